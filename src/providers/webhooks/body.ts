import { essenceOf } from '../../model/text/mime-type.js';
import type { WebhookFaults } from './faults.js';
import { FormBody } from './form.js';
import { type JsonBody, JsonObject, type JsonPart, openJson } from './json-walk.js';

export function isJson(contentType: string): boolean {
  return /^(application\/json|text\/json|[a-z0-9.-]+\/[a-z0-9.-]+\+json)$/.test(essenceOf(contentType));
}

export function isForm(contentType: string): boolean {
  return essenceOf(contentType) === 'application/x-www-form-urlencoded';
}

/** @throws MediagraphError PROVIDER_PROTOCOL for another content type, and for a body that is not JSON in UTF-8 */
export function readJson(rawBody: Buffer, contentType: string, faults: WebhookFaults): JsonBody {
  if (!isJson(contentType)) throw faults.protocol('a content type other than application/json');
  return parseJson(rawBody, faults);
}

/** @throws MediagraphError PROVIDER_PROTOCOL */
export function parseJson(bytes: Buffer, faults: WebhookFaults): JsonBody {
  const body = openJson(bytes);
  if (body === null) throw faults.protocol('a body that is not JSON in UTF-8');
  return body;
}

/** @throws MediagraphError PROVIDER_PROTOCOL, which names the place of the fault but not its content */
export function objectOf(part: JsonPart | undefined, place: string, faults: WebhookFaults): JsonObject {
  if (part instanceof JsonObject) return part;
  throw faults.protocol(shapeAt(place));
}

/** @throws MediagraphError PROVIDER_PROTOCOL, as `objectOf` */
export function stringOf(part: JsonPart | undefined, place: string, faults: WebhookFaults): string {
  if (typeof part === 'string') return part;
  throw faults.protocol(shapeAt(place));
}

export function shapeAt(place: string): string {
  return `JSON of another shape at ${place}`;
}

/** A form in which each field may occur once. An empty body is an empty form. */
export class WebhookForm {
  readonly #body: FormBody;

  constructor(
    rawBody: Buffer,
    private readonly faults: WebhookFaults,
  ) {
    this.#body = new FormBody(rawBody);
  }

  /**
   * Returns a field, or null if it is missing.
   * @throws MediagraphError PROVIDER_PROTOCOL for a repeated field, whose meaning is ambiguous
   */
  get(name: string): string | null {
    const [first, ...repeated] = this.#body.values(name);
    if (repeated.length > 0) throw this.faults.protocol(`the field ${name} several times`);
    return first === undefined ? null : Buffer.from(first, 'latin1').toString('utf8');
  }
}
