import type { Client } from '../client.js';
import type { GetOptions, Got, GraphQLFault } from '../test-bed.js';
import type { FaultLog, MadeFault } from './fault-log.js';
import type { Ledger } from './ledger.js';

export const REQUEST_KINDS = ['webhook', 'query', 'cold query', 'link', 'range', 'upload', 'deletion'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

export interface RequestSample {
  readonly kind: RequestKind;
  readonly ms: number;
  /** Null: no answer, or an incomplete one. */
  readonly status: number | null;
  /** Whether a fault was there at some moment of it. */
  readonly inFault: boolean;
}

export interface Answered extends Got {
  readonly begunAt: number;
  readonly endedAt: number;
}

export interface GraphQLAnswered<Data> {
  readonly begunAt: number;
  readonly endedAt: number;
  readonly data: Data | null;
}

export interface Way {
  readonly name: string;
  readonly client: Client;
  readonly isNginx: boolean;
}

/** Longer than any fault of the plan. */
const TIMEOUT_MS = 60_000;
/** What the contract allows while something is missing behind a replica. */
const PASSING = [502, 503, 504];

export function isPassing(status: number): boolean {
  return PASSING.includes(status);
}

/** Sends requests, records them, and holds each answer to what holds for all of them. */
export class RequestLog {
  readonly samples: RequestSample[] = [];

  constructor(
    private readonly faults: FaultLog,
    private readonly ledger: Ledger,
  ) {}

  /** Whether a fault is there now. */
  get isInFault(): boolean {
    const now = performance.now();
    return this.faults.overlapping(now, now).length > 0;
  }

  /**
   * Null: there was no answer, or no complete one.
   * @param mayFail whether something other than a fault may be the reason, such as a deletion; asked after the answer
   */
  async send(
    kind: RequestKind,
    way: Way,
    target: string,
    options: GetOptions = {},
    mayFail: () => boolean = () => false,
  ): Promise<Answered | null> {
    const begunAt = performance.now();
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const got = await way.client.get(target, { ...options, signal }).catch(() => null);
    const endedAt = performance.now();
    const faults = this.faults.overlapping(begunAt, endedAt);
    const status = got?.status ?? null;
    this.samples.push({ kind, ms: endedAt - begunAt, status, inFault: faults.length > 0 });
    const what = `a request of kind "${kind}" by ${way.name}`;
    // What the server calls an internal error without a reason to try again is a fault of its own.
    if (status === 500) this.ledger.violate(`${what} got 500: ${got?.bytes.toString().slice(0, 500)}`);
    // A client that gave up on a slow machine did not lose its request by the restart.
    if (way.isNginx && !mayFail() && !signal.aborted) this.#judgeRestart(what, { status, got, faults });
    return got && { ...got, begunAt, endedAt };
  }

  /** Null: the request may be repeated, by what its answer says or for want of one. */
  async ask<Data>(
    kind: RequestKind,
    way: Way,
    query: string,
    variables: Readonly<Record<string, unknown>>,
  ): Promise<GraphQLAnswered<Data> | null> {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ query, variables });
    const answered = await this.send(kind, way, '/graphql', { method: 'POST', headers, body });
    if (!answered || isPassing(answered.status)) return null;
    const text = answered.bytes.toString();
    const { data = null, errors = [] } = parsed<Data>(text);
    const unexpected = answered.status !== 200 || errors.some(({ extensions }) => extensions.retryable !== true);
    if (unexpected) this.ledger.violate(`a request of kind "${kind}" got ${answered.status}: ${text.slice(0, 500)}`);
    if (errors.length > 0 && !unexpected && !hasData(data)) return null;
    return { begunAt: answered.begunAt, endedAt: answered.endedAt, data };
  }

  /** A rolling restart loses no request. */
  #judgeRestart(
    what: string,
    { status, got, faults }: { status: number | null; got: Got | null; faults: readonly MadeFault[] },
  ): void {
    const hasFailed = status === null || isPassing(status);
    const isRolling = faults.length > 0 && faults.every(({ kind }) => kind === 'replica rolled');
    if (hasFailed && isRolling)
      this.ledger.violate(`${what} got ${status ?? 'no answer'} in a rolling restart: ${got?.bytes.toString()}`);
  }
}

function parsed<Data>(text: string): { data?: Data | null; errors?: GraphQLFault[] } {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** Whether some field was answered. */
function hasData(data: unknown): boolean {
  return typeof data === 'object' && data !== null && Object.values(data).some((value) => value !== null);
}
