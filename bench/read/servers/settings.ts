/** What all servers agree on, so that their answers are the same to the byte. */

export const CHANNEL_ID = 'sms';
export const SIGNING_KEY = { id: 'bench', secret: 'a-signing-key-for-benchmarks-only' };
/** Not the server's own address, which differs from server to server. */
export const DELIVERY_BASE_URL = 'https://cdn.example.com';
/** Expiry times are rounded to a quarter of this: with a week, the same link comes out for a day and a half. */
export const URL_TTL_DAYS = 7;
