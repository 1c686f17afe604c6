import { signalwireMessageSid } from '../../src/emulators/sample-ids.js';
import { CHANNEL_ID } from './servers/settings.js';

/** Ids of the emulator's first messages, as this product's callers write them. */
export function messageIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${CHANNEL_ID}:${signalwireMessageSid(index)}`);
}

/** How many media of an answer have a signed link. */
export function countLinks(answer: string): number {
  return answer.split('"url":"https://').length - 1;
}
