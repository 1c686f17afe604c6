import { loadMediaSamples, type MediaSample } from '../../demo/src/emulators/media-samples.js';
import {
  kirimMessageId,
  signalwireMediaSid,
  signalwireMessageSid,
  twilioMediaSid,
  twilioMessageSid,
} from '../../demo/src/emulators/sample-ids.js';
import { CHANNELS, type ProviderOfBed, type TestBed } from './test-bed.js';

export const samples = loadMediaSamples();

/** The provider's own id of its message number `index`. */
const messageSid = {
  kirim: kirimMessageId,
  signalwire: signalwireMessageSid,
  twilio: twilioMessageSid,
} as const satisfies Record<ProviderOfBed, (index: number) => string>;

/** What callers of the server name it. */
export function messageId(provider: ProviderOfBed, index = 1): string {
  return `${CHANNELS[provider]}:${messageSid[provider](index)}`;
}

/** Lets a provider receive a message with one media; returns the message's id for callers of the server. */
export function receive(bed: TestBed, provider: ProviderOfBed, index = 1, sample: MediaSample = samples.photo): string {
  const sid = messageSid[provider](index);
  if (provider === 'kirim') bed.kirim.addMessage({ id: sid, media: sample });
  if (provider === 'signalwire')
    bed.signalwire.addMessage({ sid, media: [{ ...sample, sid: signalwireMediaSid(index) }] });
  if (provider === 'twilio') bed.twilio.addMessage({ sid, media: [{ ...sample, sid: twilioMediaSid(index) }] });
  return messageId(provider, index);
}

/** One message at each provider, photos all. */
export function receiveEverywhere(bed: TestBed, index = 1): string[] {
  return [receive(bed, 'kirim', index), receive(bed, 'signalwire', index), receive(bed, 'twilio', index)];
}
