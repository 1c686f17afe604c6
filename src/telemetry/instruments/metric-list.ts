/** Deliveries take from 1 ms, out of the page cache, to half a minute for a video. */
const ANSWER_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const PROVIDER_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const WORK_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300];
const BATCH_KEYS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 10_000];

export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** What each label holds. Every label has a closed set of values, or names from the configuration. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

const ROUTE = 'the pattern of the route; `(none)`: no route; `/graphql (events)`: an event stream';
const CHANNEL = "the channel's id in the configuration";
const PROVIDER = "the provider's name in the configuration";
const KIND = 'the kind of the job: `webhook`, `copy`, `upload`, `deletion`, `removal`, `inspection` or `sweep`';
const SOURCE =
  '`memory`: the cache of small media; `store`: the blob store; `provider`: not stored yet; `redirect`: the store’s own URL; `proxy`: nginx sends the file; `none`: `HEAD` and 304';

/**
 * Every metric of the server. Instruments can be made for these names only, and docs/metrics.md is generated from this
 * list. No label holds a secret, an id of a media or a message, a URL, or any other text of a caller or a provider.
 */
export const METRICS = {
  mediagraph_http_request_duration_seconds: {
    type: 'histogram',
    help: 'Duration of requests until the response was sent or the client disconnected, by route pattern.',
    labels: {
      route: ROUTE,
      method: 'the HTTP method; `(none)` for a request that is no HTTP',
      status: 'the status code',
    },
    buckets: ANSWER_SECONDS,
  },
  mediagraph_graphql_operation_duration_seconds: {
    type: 'histogram',
    help: 'Duration of the execution of GraphQL operations; of a subscription, of each event.',
    labels: {
      operation: 'the name, if `metrics.operations` lists it; `(none)`: no name; `(other)`: another name',
      type: '`query`, `mutation` or `subscription`',
      outcome: '`ok`, or `errors` if the response has errors',
    },
    buckets: ANSWER_SECONDS,
  },
  mediagraph_graphql_errors_total: {
    type: 'counter',
    help: 'Errors in GraphQL responses, one for each field that failed, by extensions.code.',
    labels: { code: 'an error code of this API or of Apollo’s protocol' },
  },
  mediagraph_refused_requests_total: {
    type: 'counter',
    help: 'Requests refused before any work: above the rate of the tenant, or while the process is overloaded.',
    labels: { work: '`graphql`, `rendition` or `delivery`', reason: '`rate` or `overload`' },
  },
  mediagraph_graphql_streams: {
    type: 'gauge',
    help: 'Open subscription connections: WebSockets, and event streams, each of which carries one operation.',
    labels: { transport: '`websocket` or `sse`' },
  },
  mediagraph_subscriptions: { type: 'gauge', help: 'Open subscriptions; several may share a WebSocket.' },
  mediagraph_loader_batch_keys: {
    type: 'histogram',
    help: 'Keys that an operation loads at once, each batch with one statement or one round of provider calls.',
    labels: { loader: '`mediaByMessage`, `messageKeys`, `mediaById` or `mediaDetails`' },
    buckets: BATCH_KEYS,
  },
  mediagraph_catalogue_lookups_total: {
    type: 'counter',
    help: 'Messages that were looked up in the catalogue.',
    labels: {
      result:
        '`hit`: the catalogue was sufficient; `miss`: the provider was asked; `unavailable`: the database did not respond',
    },
  },
  mediagraph_provider_request_duration_seconds: {
    type: 'histogram',
    help: "Duration of requests to a provider's API, each retry separately; of downloads until their headers.",
    labels: {
      provider: PROVIDER,
      channel: CHANNEL,
      outcome:
        'a status class such as `2xx`, or `TIMEOUT`, `CONNECTION`, `CIRCUIT_OPEN`, `ABORTED` and other codes of network faults',
    },
    buckets: PROVIDER_SECONDS,
  },
  mediagraph_provider_circuit_open: {
    type: 'gauge',
    help: 'Whether a circuit breaker of the channel is open after repeated failures: 1 or 0.',
    labels: { provider: PROVIDER, channel: CHANNEL },
  },
  mediagraph_webhook_deliveries_total: {
    type: 'counter',
    help: 'Webhook deliveries: accepted (stored, or a duplicate), rejected (invalid) or failed (the provider will retry).',
    labels: { channel: `${CHANNEL}; \`(none)\`: an unknown channel`, outcome: '`accepted`, `rejected` or `failed`' },
  },
  mediagraph_webhook_events: {
    type: 'gauge',
    help: 'Unfinished webhook events: due (waiting or in progress) and dead (given up, kept for inspection).',
    labels: { state: '`due` or `dead`' },
  },
  mediagraph_webhook_oldest_due_age_seconds: {
    type: 'gauge',
    help: 'Age of the oldest due webhook event; 0 if none is due.',
  },
  mediagraph_media: { type: 'gauge', help: 'Media in the catalogue.', labels: { status: 'the status in GraphQL' } },
  mediagraph_mirrors_due: {
    type: 'gauge',
    help: 'Media whose bytes are to be copied here, waiting or in progress.',
  },
  mediagraph_copies_total: {
    type: 'counter',
    help: 'Attempts of background copies.',
    labels: {
      provider: PROVIDER,
      outcome:
        '`stored`; `retried`: another attempt follows; `failed`: the media is FAILED, although attempts may follow; `expired`: the provider no longer has the bytes; `abandoned`: the lease or the media ended',
    },
  },
  mediagraph_jobs_open: {
    type: 'gauge',
    help: 'Jobs that are not finished: waiting or in progress.',
    labels: { kind: KIND },
  },
  mediagraph_jobs_due: {
    type: 'gauge',
    help: 'Open jobs that could begin now, paused ones included.',
    labels: { kind: KIND },
  },
  mediagraph_jobs_running: { type: 'gauge', help: 'Jobs in progress, in all processes.', labels: { kind: KIND } },
  mediagraph_jobs_dead: {
    type: 'gauge',
    help: 'Dead letters: jobs that were given up and are kept for inspection.',
    labels: { kind: KIND },
  },
  mediagraph_jobs_paused: { type: 'gauge', help: 'Whether the kind is paused: 1 or 0.', labels: { kind: KIND } },
  mediagraph_jobs_oldest_due_age_seconds: {
    type: 'gauge',
    help: 'How long the job that has been due longest waits; 0 if none is due.',
    labels: { kind: KIND },
  },
  mediagraph_jobs_deadline_left_seconds: {
    type: 'gauge',
    help: 'Time until the earliest deadline of an open job, after which the provider deletes the bytes; negative if it has passed, missing if no job has a deadline.',
    labels: { kind: KIND },
  },
  mediagraph_jobs_deadline_used_ratio: {
    type: 'gauge',
    help: 'Of the open job that is closest to its deadline: the share of the time from its creation to the deadline that has passed; 0 if no job has a deadline.',
    labels: { kind: KIND },
  },
  mediagraph_job_duration_seconds: {
    type: 'histogram',
    help: 'Duration of attempts at jobs in this process.',
    labels: { kind: KIND },
    buckets: WORK_SECONDS,
  },
  mediagraph_deliveries_total: {
    type: 'counter',
    help: 'Successful responses to media links, by the place where the bytes came from.',
    labels: { source: SOURCE },
  },
  mediagraph_delivery_bytes_total: {
    type: 'counter',
    help: 'Bytes of responses to media links that this process sent; those of a streamed response count when it ends.',
    labels: { source: SOURCE },
  },
  mediagraph_rendition_duration_seconds: {
    type: 'histogram',
    help: 'Duration of making stills and playable sound that are not stored yet.',
    labels: {
      kind: '`still` or `playable`',
      outcome: '`made`; `unrenderable`: these bytes will never render; `overloaded`: too many jobs wait; `failed`',
    },
    buckets: WORK_SECONDS,
  },
  mediagraph_stored_bytes: {
    type: 'gauge',
    help: 'Bytes of the stored originals of a tenant, without renditions. It is counted once a minute at most.',
    labels: {
      tenant: 'the tenant of a channel of the configuration, the hundred largest ones; `(other)`: all others together',
    },
  },
  mediagraph_storage_free_bytes: {
    type: 'gauge',
    help: 'Free bytes of the file system of storage.root; missing with S3.',
  },
  mediagraph_storage_capacity_bytes: {
    type: 'gauge',
    help: 'Size of the file system of storage.root; missing with S3.',
  },
  mediagraph_database_up: {
    type: 'gauge',
    help: 'Whether the database responds: 1 or 0. While it does not, the metrics from it are missing.',
  },
  mediagraph_database_connections: {
    type: 'gauge',
    help: 'Connections of the pool of this process to the database; the embedded database has one.',
    labels: { state: '`used` or `idle`' },
  },
  mediagraph_database_connections_limit: { type: 'gauge', help: 'Maximum number of connections of the pool.' },
  mediagraph_database_waiting: {
    type: 'gauge',
    help: 'Statements and transactions that wait for a connection.',
    labels: { priority: '`interactive`: a request waits for them; `background`: jobs' },
  },
  mediagraph_build_info: {
    type: 'gauge',
    help: 'The running version; always 1.',
    labels: { version: 'of Mediagraph' },
  },
  nodejs_version_info: { type: 'gauge', help: 'The version of Node.js.', labels: { version: 'of Node.js' } },
  nodejs_eventloop_lag_mean_seconds: { type: 'gauge', help: lag('mean') },
  nodejs_eventloop_lag_p50_seconds: { type: 'gauge', help: lag('median') },
  nodejs_eventloop_lag_p99_seconds: { type: 'gauge', help: lag('99th percentile') },
  nodejs_eventloop_lag_max_seconds: { type: 'gauge', help: lag('maximum') },
  nodejs_heap_size_total_bytes: { type: 'gauge', help: 'Heap reserved by the engine.' },
  nodejs_heap_size_used_bytes: { type: 'gauge', help: 'Heap in use.' },
  nodejs_external_memory_bytes: {
    type: 'gauge',
    help: 'Memory outside of the heap that is held by objects in it.',
  },
  process_cpu_user_seconds_total: { type: 'counter', help: 'User CPU time.' },
  process_cpu_system_seconds_total: { type: 'counter', help: 'System CPU time.' },
  process_cpu_seconds_total: { type: 'counter', help: 'Total CPU time.' },
  process_resident_memory_bytes: { type: 'gauge', help: 'Resident memory of the process.' },
  process_start_time_seconds: {
    type: 'gauge',
    help: 'Start time of the process, in seconds since the Unix epoch.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

function lag(statistic: string): string {
  return `Delay of the event loop since the last scrape, including the 10 ms of its timer: ${statistic}.`;
}
