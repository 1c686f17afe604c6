import type { Client } from './client.js';
import { credentials } from './leaks.js';

const FAILURE = 'query($id: ID!) { media(id: $id) { status failure { code message retryable at } } }';
const RETRY = 'mutation($id: ID!) { retryMedia(input: { id: $id }) { media { status failure { code } } } }';
/** No clock of a test is so far away. */
const NOW_MS = 10 * 60_000;

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly at: string;
}

/** The state of a media, as far as the tests compare it. */
export interface MediaEnd {
  readonly status: string;
  readonly failure: Pick<Failure, 'code' | 'retryable'> | null;
}

/**
 * The status of a media and its failure. Checks that the failure has a readable message and a time, and contains no
 * host, address or credential.
 * @param secrets of the test besides the credentials of all channels
 */
export async function endOf(client: Client, id: string, secrets: readonly string[] = []): Promise<MediaEnd> {
  const { data, text } = await client.query<{ readonly media: Pick<MediaEnd, 'status'> & { failure: Failure | null } }>(
    FAILURE,
    { id },
  );
  if (!data) throw new Error(`expected a media, got ${text}`);
  const { status, failure } = data.media;
  if (!failure) return { status, failure };
  const { code, message, retryable, at } = failure;
  expect(message).toMatch(/^expected \S.*, got \S.*$/);
  expect(message).not.toMatch(/https?:|\d+\.\d+\.\d+\.\d+|localhost|:\d{2,}/);
  expect([...credentials(), ...secrets].filter((secret) => text.includes(secret))).toEqual([]);
  expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(NOW_MS);
  return { status, failure: { code, retryable } };
}

/** `retryMedia`; the code of its error, or how the media is after it. */
export async function retried(client: Client, id: string): Promise<string | MediaEnd> {
  const { data, errors, text } = await client.query<{ readonly retryMedia: { readonly media: MediaEnd } | null }>(
    RETRY,
    { id },
  );
  const media = data?.retryMedia?.media;
  if (media) return media;
  const [fault] = errors;
  if (!fault) throw new Error(`expected a media or an error, got ${text}`);
  return fault.extensions.code;
}
