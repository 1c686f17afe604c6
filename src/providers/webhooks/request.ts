import type { WebhookRequest } from '../provider-adapter.js';
import type { WebhookFaults } from './faults.js';

/** Returns a header. Node joins repeated headers with commas, so no signature can match them. */
export function headerOf({ headers }: WebhookRequest, name: string): string | null {
  const value = headers[name.toLowerCase()];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** @throws MediagraphError WEBHOOK_REJECTED if the header is missing */
export function signatureOf(request: WebhookRequest, name: string, faults: WebhookFaults): string {
  const value = headerOf(request, name);
  if (value === null) throw faults.rejected(`the header ${name}`, 'a request without it');
  return value;
}

/** Returns a header with the delivery's id if it is a valid one: 1 to 200 visible ASCII characters. */
export function deliveryIdOf(request: WebhookRequest, name: string): string | null {
  const value = headerOf(request, name);
  return value !== null && /^[\x21-\x7e]{1,200}$/.test(value) ? value : null;
}
