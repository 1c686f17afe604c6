import type { WebhookRequest } from '../provider-adapter.js';
import type { WebhookFaults } from './faults.js';

/** Headers that came several times are joined with commas by Node, so that no signature can match them. */
export function headerOf({ headers }: WebhookRequest, name: string): string | null {
  const value = headers[name.toLowerCase()];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** @throws MediagraphError WEBHOOK_REJECTED where it is missing */
export function signatureOf(request: WebhookRequest, name: string, faults: WebhookFaults): string {
  const value = headerOf(request, name);
  if (value === null) throw faults.rejected(`the header ${name}`, 'a request without it');
  return value;
}

/** A header that names the delivery, if what it holds can be a name: 1 to 200 visible characters of ASCII. */
export function deliveryIdOf(request: WebhookRequest, name: string): string | null {
  const value = headerOf(request, name);
  return value !== null && /^[\x21-\x7e]{1,200}$/.test(value) ? value : null;
}
