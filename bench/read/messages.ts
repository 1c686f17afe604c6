import { signalwireMessageSid } from '../../demo/src/emulators/sample-ids.js';
import { CHANNEL_ID } from './servers/settings.js';

/** Ids of messages, as this product's callers write them, that were never queried before. */
export class Messages {
  #given = 0;

  take(count: number): string[] {
    const first = this.#given;
    this.#given += count;
    return Array.from({ length: count }, (_, index) => `${CHANNEL_ID}:${signalwireMessageSid(first + index)}`);
  }
}

/** Rejects an answer that has not a signed link for each of so many media. */
export function expectLinks(answer: string, count: number): void {
  const links = answer.split('"url":"https://').length - 1;
  if (links !== count) throw new Error(`expected ${count} links, got ${links} in ${answer.slice(0, 500)}`);
}
