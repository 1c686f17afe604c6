import type { ProviderHttpClient } from '../net/client/provider-http-client.js';
import type { SafeFetch } from '../net/guarded/safe-fetch.js';
import type { ChannelFacts } from './channel-facts.js';
import type { Quota } from './quota.js';
import type { HeardRefusal } from './toolkit/refusal-log.js';

/** What every adapter is given besides its channel's settings. */
export interface AdapterContext {
  /**
   * Calls the channel's own base URL, or `mediaOrigin`, one that its bytes are documented to be at or that the
   * configuration named (`options.mediaOrigins`); `headers` are its credentials, and no answer may choose the origin.
   */
  createHttpClient(headers: Readonly<Record<string, string>>, mediaOrigin?: string): ProviderHttpClient;
  /** Opens what this provider's answers name: guarded, without credentials. */
  readonly safeFetch: SafeFetch;
  /**
   * Judges a `Location` that the channel's API answered for `path`, without opening it; for another origin than that of
   * the base URL, `path` is the whole address. @throws MediagraphError URL_NOT_ALLOWED
   */
  judgeRedirect(location: string, path: string): URL;
  /** Counts what the provider allows few of. */
  readonly quota: Quota;
  /** What was found out about this channel's provider. */
  readonly facts: ChannelFacts;
  /** Takes a provider's own words to the operator's log. */
  readonly onRefusal: (refusal: HeardRefusal) => void;
  /** Cap of every download, bytes. */
  readonly maxDownloadBytes: number;
  /** Until the headers of a call, and of silence in a body. */
  readonly timeoutMs: number;
}
