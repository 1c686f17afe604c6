import { z } from 'zod';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import type { CallOptions } from '../provider-adapter.js';
import { isHtmlPage } from './error-body.js';
import type { ProviderFaults } from './provider-call.js';

const SUBJECT = "the acceptance of the channel's credentials";

export interface CredentialsCheckOptions extends CallOptions {
  readonly http: ProviderHttpClient;
  /** A path whose GET needs the credentials and changes nothing. */
  readonly path: string;
  readonly faults: ProviderFaults;
  /**
   * Whether a response other than a JSON body with status 200 means that the provider has accepted the credentials.
   * Default: no.
   */
  readonly isAcceptance?: (response: BufferedResponse) => boolean;
}

/** Performs `ProviderAdapter.checkCredentials` with one GET. */
export async function checkByGet({
  http,
  path,
  faults,
  isAcceptance = () => false,
  signal,
}: CredentialsCheckOptions): Promise<void> {
  try {
    const headers = { accept: 'application/json' };
    // Providers count refusals, and some lock an account out after a few.
    const response = await http.request({ method: 'GET', path, headers, retries: 0, signal });
    if (isAcceptance(response)) return;
    const { statusCode } = response;
    // A wrong base URL leads to another server, which answers with a page.
    if (statusCode === 404 && isHtmlPage(response))
      throw faults.protocol(SUBJECT, 'a page', { upstreamStatus: statusCode });
    if (statusCode !== 200) throw faults.ofStatus(response, SUBJECT);
    faults.parse(response, z.unknown(), SUBJECT);
  } catch (thrown) {
    throw faults.ofThrown(thrown, SUBJECT);
  }
}
