import { z } from 'zod';
import type { Channel } from '../../model/channel.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { Logger } from '../../telemetry/logger.js';
import { MAX_ENVELOPE_BYTES } from './error-body.js';

/** A provider's refusal with its body. */
export interface ProviderRefusal {
  /** The thing that the call was to return, as in `ProviderFaults`. */
  readonly subject: string;
  readonly response: BufferedResponse;
}

export interface RefusalLogOptions {
  readonly channel: Channel;
  /** Credentials in the form in which they are sent. They are redacted. */
  readonly secrets: readonly string[];
  readonly logger: Pick<Logger, 'info'>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const MAX_TEXT_CHARACTERS = 300;
const LINES_PER_MINUTE = 20;
const MINUTE_MS = 60_000;

/** The text fields of the providers' envelopes: Kirim, Meta, LaML, Gupshup, WA Gateway, Chakra, in this order. */
const FIELDS = [
  'type',
  'code',
  'error_subcode',
  'message',
  'param',
  'error_user_title',
  'error_user_msg',
  'status',
  'more_info',
  'request_id',
  'fbtrace_id',
] as const;

const jsonObject = z.record(z.string(), z.unknown());

/**
 * Logs a provider's own text of a refusal for the operator; callers see our text only. The text is shortened and
 * stripped of control characters, query strings and the channel's credentials. Twenty lines per minute and channel are
 * logged, so that a channel with nothing but refusals does not fill the disk. The next line then counts those that were
 * left out.
 */
export class RefusalLog {
  readonly #secrets: readonly string[];
  readonly #now: () => number;
  #minute = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #suppressed = 0;

  constructor(private readonly options: RefusalLogOptions) {
    this.#secrets = options.secrets.filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length);
    this.#now = options.now ?? Date.now;
  }

  readonly record = ({ subject, response }: ProviderRefusal): void => {
    if (!this.#hasRoom()) {
      this.#suppressed += 1;
      return;
    }
    const { provider, id: channelId } = this.options.channel;
    const suppressed = this.#suppressed === 0 ? {} : { untold: this.#suppressed };
    this.#suppressed = 0;
    const upstream = { httpStatus: response.statusCode, ...this.#words(response.body) };
    // Level info: the consequences for a job or a caller are logged separately at a higher level.
    this.options.logger.info(
      { provider, channelId, asked: subject, upstream, ...suppressed },
      'a provider refused a call',
    );
  };

  #hasRoom(): boolean {
    const minute = Math.floor(this.#now() / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#lines = 0;
    }
    this.#lines += 1;
    return this.#lines <= LINES_PER_MINUTE;
  }

  #words(body: Buffer): Readonly<Record<string, string>> {
    const text = body.subarray(0, MAX_ENVELOPE_BYTES).toString('utf8');
    const envelope = envelopeOf(text);
    if (envelope === null) return text.trim() === '' ? {} : { text: this.#harmless(text) };
    const words = FIELDS.flatMap((field) => {
      const value = envelope[field];
      return typeof value === 'string' || typeof value === 'number' ? [[field, this.#harmless(String(value))]] : [];
    });
    const details = jsonObject.safeParse(envelope.error_data).data?.details;
    return { ...Object.fromEntries(words), ...(typeof details === 'string' && { details: this.#harmless(details) }) };
  }

  #harmless(words: string): string {
    // Shortened before and after the redaction. A secret that the first cut splits lies beyond the second.
    let text = words.slice(0, MAX_ENVELOPE_BYTES);
    for (const secret of this.#secrets) text = text.replaceAll(secret, '[redacted]');
    const shortened = text.slice(0, MAX_TEXT_CHARACTERS).replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
    // Query strings may hold signatures. A text after "Bearer", or as long as a token, may be a token.
    return shortened
      .replace(/\?[^\s"'<>]{1,300}/g, '?…')
      .replace(/\b(bearer|basic)\s[^\s"'<>]{1,300}/gi, '$1 [redacted]')
      .replace(/[A-Za-z0-9_+/=-]{60,300}/g, '[redacted]');
  }
}

/**
 * Returns the object with the error's fields: `{error: {…}}`, `{_errors: [{…}]}`, or the body itself. Returns null if
 * the body is no JSON object.
 */
function envelopeOf(text: string): Readonly<Record<string, unknown>> | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const whole = jsonObject.safeParse(json).data;
  if (!whole) return null;
  const [first]: unknown[] = Array.isArray(whole._errors) ? whole._errors : [];
  const inner = jsonObject.safeParse(whole.error).data ?? jsonObject.safeParse(first).data;
  if (inner) return { ...whole, ...inner };
  return typeof whole.error === 'string' ? { ...whole, code: whole.code ?? whole.error } : whole;
}
