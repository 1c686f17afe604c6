import { z } from 'zod';
import { essenceOf } from '../model/mime-type.js';
import type { WebhookFaults } from './webhook-faults.js';

/** A field that may be missing or be anything: whoever reads it takes what it can use. */
export const anything = z.unknown().optional();

/** RFC 8259 section 8.1: senders must not add a byte order mark; it is kept here, so that the parser refuses it. */
const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function isJson(contentType: string): boolean {
  return /^(application\/json|text\/json|[a-z0-9.-]+\/[a-z0-9.-]+\+json)$/.test(essenceOf(contentType));
}

export function isForm(contentType: string): boolean {
  return essenceOf(contentType) === 'application/x-www-form-urlencoded';
}

/** @throws MediagraphError PROVIDER_PROTOCOL for another content type, and for what is not JSON in UTF-8 */
export function readJson(rawBody: Buffer, contentType: string, faults: WebhookFaults): unknown {
  if (!isJson(contentType)) throw faults.protocol('a content type other than application/json');
  let text: string;
  try {
    text = UTF_8.decode(rawBody);
  } catch {
    throw faults.protocol('a body that is not UTF-8');
  }
  return parseJson(text, faults);
}

/** @throws MediagraphError PROVIDER_PROTOCOL */
export function parseJson(text: string, faults: WebhookFaults): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw faults.protocol('a body that is not JSON');
  }
}

/** @throws MediagraphError PROVIDER_PROTOCOL, which names the places that do not fit, not what stands there */
export function readShape<Wire>(value: unknown, schema: z.ZodType<Wire>, faults: WebhookFaults): Wire {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const at = parsed.error.issues.map((issue) => issue.path.join('.') || '(root)').slice(0, 3);
  throw faults.protocol(`JSON of another shape at ${at.join(', ')}`);
}

/** A form of which every field counts once. Empty for an empty body. */
export class WebhookForm {
  readonly #values = new Map<string, string[]>();

  constructor(
    rawBody: Buffer,
    private readonly faults: WebhookFaults,
  ) {
    for (const [name, value] of new URLSearchParams(rawBody.toString('utf8'))) {
      const values = this.#values.get(name);
      if (values) values.push(value);
      else this.#values.set(name, [value]);
    }
  }

  /** null = not there. @throws MediagraphError PROVIDER_PROTOCOL for a field that came several times: nobody says which is meant */
  get(name: string): string | null {
    const [first, ...others] = this.#values.get(name) ?? [];
    if (others.length > 0) throw this.faults.protocol(`the field ${name} several times`);
    return first ?? null;
  }
}
