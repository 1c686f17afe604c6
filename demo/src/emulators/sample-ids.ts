import { createHash } from 'node:crypto';

/**
 * Identifiers in the form of the providers' own, derived from an index. The same index gives the same id in every
 * process, so that a load generator knows an emulator's messages.
 */

/** The common prefix of all ids of {@link signalwireMessageSid}. */
export const SIGNALWIRE_MESSAGE_SID_PREFIX = '0a059168-ead0-41af-9d1f-';

/** A UUID: the prefix and the index as 12 decimal digits, for example `0a059168-ead0-41af-9d1f-000000000042`. */
export function signalwireMessageSid(index: number): string {
  return SIGNALWIRE_MESSAGE_SID_PREFIX + String(index).padStart(12, '0');
}

/**
 * Like the documented example `b3877c40-da60-4998-90ad-b792e98472me`: called a UUID, but ending in the letters `me`
 * (providers: SignalWire, Retrieve Message Media).
 */
export function signalwireMediaSid(index: number): string {
  return `b3877c40-da60-4998-90ad-${String(index).padStart(10, '0')}me`;
}

/** A SignalWire project id, which is also its account SID: a UUID. */
export function signalwireProjectId(index: number): string {
  return `ea108133-d6b3-407c-9536-${String(index).padStart(12, '0')}`;
}

/** `MM` and 32 hex digits (providers: Twilio, api v2010 specification). */
export function twilioMessageSid(index: number): string {
  return `MM${hexDigits('message', index)}`;
}

/** `ME` and 32 hex digits. */
export function twilioMediaSid(index: number): string {
  return `ME${hexDigits('media', index)}`;
}

/** `AC` and 32 hex digits. */
export function twilioAccountSid(index: number): string {
  return `AC${hexDigits('account', index)}`;
}

/** A prefixed ULID such as `msg_01HX…` (providers: Kirim, developers.kirim.chat concepts/pagination). */
export function kirimMessageId(index: number): string {
  return `msg_${ulid('message', index)}`;
}

/** `req_` and a ULID, as in the documented error example (providers: Kirim). */
export function kirimRequestId(index: number): string {
  return `req_${ulid('request', index)}`;
}

/** `wamid.` and padded Base64 of a customer's number and 20 hex digits as text. */
export function whatsappMessageId(index: number): string {
  const number = Buffer.from('16505551234');
  const digits = Buffer.from(hexDigits('whatsapp message', index).slice(0, 20).toUpperCase());
  const bytes = [0x1c, 0x18, number.length, ...number, 0x15, 2, 0, 0x12, 0x18, digits.length, ...digits, 0];
  return `wamid.${Buffer.from(bytes).toString('base64')}`;
}

/** 16 digits, as in Meta's media ids. */
export function whatsappMediaId(index: number): string {
  return String(1_000_000_000_000_000n + (digest('whatsapp media', index).readBigUInt64BE() % 9_000_000_000_000_000n));
}

/** `3EB0` and 16 hex digits in capitals, as in the ids of WhatsApp's own applications. */
export function waGatewayMessageId(index: number): string {
  return `3EB0${hexDigits('gateway message', index).slice(0, 16).toUpperCase()}`;
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function ulid(namespace: string, index: number): string {
  const random = Array.from(digest(namespace, index).subarray(0, 22), (byte) => CROCKFORD.charAt(byte & 31));
  return `01HX${random.join('')}`;
}

function hexDigits(namespace: string, index: number): string {
  return digest(namespace, index).toString('hex').slice(0, 32);
}

function digest(namespace: string, index: number): Buffer {
  return createHash('sha256').update(`${namespace} ${index}`).digest();
}
