import type { ProviderHttpClient } from '../net/client/provider-http-client.js';
import type { SafeFetch } from '../net/guarded/safe-fetch.js';
import type { ChannelFacts } from './channel-facts.js';
import type { Quota } from './quota.js';
import type { ProviderRefusal } from './toolkit/refusal-log.js';

/** What an adapter receives besides its channel's settings. It uses no other way to reach the network. */
export interface AdapterContext {
  /**
   * Creates the client for calls with credentials. `headers` carry them, and they are sent to one origin only: the
   * channel's base URL, or `mediaOrigin`. The latter comes from the provider's documentation or the configuration
   * (`options.mediaOrigins`), never from an answer of the provider.
   */
  createHttpClient(headers: Readonly<Record<string, string>>, mediaOrigin?: string): ProviderHttpClient;
  /** Opens URLs from this provider's answers: guarded against private addresses, without credentials. */
  readonly safeFetch: SafeFetch;
  /**
   * Checks a `Location` that the channel's API returned for `path`, without opening it. For another origin than that of
   * the base URL, `path` is the absolute URL.
   * @throws MediagraphError URL_NOT_ALLOWED
   */
  judgeRedirect(location: string, path: string): URL;
  /** Counts calls that the provider limits, over all replicas. */
  readonly quota: Quota;
  /** Facts about this channel's provider that were learned from its answers, shared by all replicas. */
  readonly facts: ChannelFacts;
  /** Logs a provider's refusal, in the provider's own words, for the operator. */
  readonly onRefusal: (refusal: ProviderRefusal) => void;
  /** Maximum size of a download, in bytes. */
  readonly maxDownloadBytes: number;
  /** Limits the time until the headers of a call, and each silence within a body. */
  readonly timeoutMs: number;
}
