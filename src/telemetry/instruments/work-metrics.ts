import type { ProviderName } from '../../model/channel.js';
import type { JobKind } from '../../model/job-kind.js';
import type { Counting, Instruments, Observing } from './instruments.js';

export type OperationType = 'query' | 'mutation' | 'subscription';
export type LoaderName = 'mediaByMessage' | 'messageKeys' | 'mediaById' | 'mediaDetails';
/** Where the bytes of a delivery came from. */
export type DeliverySource = 'memory' | 'store' | 'provider' | 'redirect' | 'proxy' | 'none';
export type RenditionOutcome = 'made' | 'unrenderable' | 'overloaded' | 'failed';
export type CopyOutcome = 'stored' | 'retried' | 'failed' | 'expired' | 'abandoned';

export interface EndedOperation {
  /** As the caller wrote it. */
  readonly name: string | null | undefined;
  readonly type: OperationType;
  readonly hasErrors: boolean;
  readonly seconds: number;
}

/** Replaces names of operations that `metrics.operations` does not list: a caller must not be able to create series. */
const OTHER_NAME = '(other)';
const NO_NAME = '(none)';

/** Metrics of what requests and jobs do, recorded where it happens. */
export class WorkMetrics {
  readonly #operations: Observing<'operation' | 'type' | 'outcome'>;
  readonly #batches: Observing<'loader'>;
  readonly #lookups: Counting<'result'>;
  readonly #copies: Counting<'provider' | 'outcome'>;
  readonly #jobs: Observing<'kind'>;
  readonly #deliveries: Counting<'source'>;
  readonly #deliveredBytes: Counting<'source'>;
  readonly #renditions: Observing<'kind' | 'outcome'>;
  readonly #operationNames: ReadonlySet<string>;

  /** @param operationNames `metrics.operations` */
  constructor(instruments: Instruments, operationNames: readonly string[]) {
    this.#operationNames = new Set(operationNames);
    this.#operations = instruments.histogram('mediagraph_graphql_operation_duration_seconds');
    this.#batches = instruments.histogram('mediagraph_loader_batch_keys');
    this.#lookups = instruments.counter('mediagraph_catalogue_lookups_total');
    this.#copies = instruments.counter('mediagraph_copies_total');
    this.#jobs = instruments.histogram('mediagraph_job_duration_seconds');
    this.#deliveries = instruments.counter('mediagraph_deliveries_total');
    this.#deliveredBytes = instruments.counter('mediagraph_delivery_bytes_total');
    this.#renditions = instruments.histogram('mediagraph_rendition_duration_seconds');
  }

  operationEnded({ name, type, hasErrors, seconds }: EndedOperation): void {
    const operation = name ? (this.#operationNames.has(name) ? name : OTHER_NAME) : NO_NAME;
    this.#operations.observe({ operation, type, outcome: hasErrors ? 'errors' : 'ok' }, seconds);
  }

  batchLoaded(loader: LoaderName, keys: number): void {
    this.#batches.observe({ loader }, keys);
  }

  messagesLookedUp(result: 'hit' | 'miss' | 'unavailable', count: number): void {
    if (count > 0) this.#lookups.inc({ result }, count);
  }

  copyEnded(provider: ProviderName, outcome: CopyOutcome): void {
    this.#copies.inc({ provider, outcome });
  }

  jobEnded(kind: JobKind, seconds: number): void {
    this.#jobs.observe({ kind }, seconds);
  }

  delivered(source: DeliverySource): void {
    this.#deliveries.inc({ source });
  }

  bytesDelivered(source: DeliverySource, bytes: number): void {
    if (bytes > 0) this.#deliveredBytes.inc({ source }, bytes);
  }

  renditionEnded(kind: 'still' | 'playable', outcome: RenditionOutcome, seconds: number): void {
    this.#renditions.observe({ kind, outcome }, seconds);
  }
}
