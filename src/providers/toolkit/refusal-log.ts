import { z } from 'zod';
import type { Channel } from '../../model/channel.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { Logger } from '../../telemetry/logger.js';

/** A refusal of a provider, with its body. */
export interface HeardRefusal {
  readonly asked: string;
  readonly response: BufferedResponse;
}

export interface RefusalLogOptions {
  readonly channel: Channel;
  /** Whatever may not stand in a log, as it is sent. */
  readonly secrets: readonly string[];
  readonly logger: Pick<Logger, 'info'>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Envelopes have a few hundred bytes; of what is longer, this much is looked at. */
const MAX_BODY_BYTES = 16_384;
const MAX_WORDS = 300;
const LINES_PER_MINUTE = 20;
const MINUTE_MS = 60_000;

/** Where the providers' envelopes have their words: Kirim, Meta, LaML, Gupshup, WA Gateway, Chakra, in this order. */
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

const record = z.record(z.string(), z.unknown());

/**
 * Tells the operator what a provider said when it refused: callers get our words alone. The provider's are capped, freed of
 * control characters, of addresses' queries and of the channel's credentials. A channel whose every call is refused fills
 * no disk: after twenty lines in a minute the rest is counted, and told with the next one.
 */
export class RefusalLog {
  readonly #secrets: readonly string[];
  readonly #now: () => number;
  #minute = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #untold = 0;

  constructor(private readonly options: RefusalLogOptions) {
    this.#secrets = options.secrets.filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length);
    this.#now = options.now ?? Date.now;
  }

  readonly hear = ({ asked, response }: HeardRefusal): void => {
    if (!this.#hasRoom()) {
      this.#untold += 1;
      return;
    }
    const { provider, id: channelId } = this.options.channel;
    const untold = this.#untold === 0 ? {} : { untold: this.#untold };
    this.#untold = 0;
    const upstream = { httpStatus: response.statusCode, ...this.#words(response.body) };
    // What follows from it for a job or a caller is told on its own, and louder.
    this.options.logger.info({ provider, channelId, asked, upstream, ...untold }, 'a provider refused a call');
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
    const text = body.subarray(0, MAX_BODY_BYTES).toString('utf8');
    const told = envelopeOf(text);
    if (told === null) return text.trim() === '' ? {} : { text: this.#harmless(text) };
    const words = FIELDS.flatMap((field) => {
      const value = told[field];
      return typeof value === 'string' || typeof value === 'number' ? [[field, this.#harmless(String(value))]] : [];
    });
    const details = record.safeParse(told.error_data).data?.details;
    return { ...Object.fromEntries(words), ...(typeof details === 'string' && { details: this.#harmless(details) }) };
  }

  #harmless(words: string): string {
    // Cut before and after: a secret that the first cut splits is longer than what is kept.
    let text = words.slice(0, MAX_BODY_BYTES);
    for (const secret of this.#secrets) text = text.replaceAll(secret, '[redacted]');
    const kept = text.slice(0, MAX_WORDS).replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
    // Addresses may be signed; what stands behind "Bearer" or is as long as a token may be one.
    return kept
      .replace(/\?[^\s"'<>]{1,300}/g, '?…')
      .replace(/\b(bearer|basic)\s[^\s"'<>]{1,300}/gi, '$1 [redacted]')
      .replace(/[A-Za-z0-9_+/=-]{60,300}/g, '[redacted]');
  }
}

/** `{error: {…}}`, `{_errors: [{…}]}`, or the object itself; null where the body is no JSON object. */
function envelopeOf(text: string): Readonly<Record<string, unknown>> | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const whole = record.safeParse(json).data;
  if (!whole) return null;
  const [first]: unknown[] = Array.isArray(whole._errors) ? whole._errors : [];
  const inner = record.safeParse(whole.error).data ?? record.safeParse(first).data;
  if (inner) return { ...whole, ...inner };
  return typeof whole.error === 'string' ? { ...whole, code: whole.code ?? whole.error } : whole;
}
