import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient, type Client as SocketClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { eventually } from './eventually.js';
import type { GraphQLFault } from './test-bed.js';

export type Transport = 'websocket' | 'sse';
export const TRANSPORTS: readonly Transport[] = ['websocket', 'sse'];

export interface Result<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly GraphQLFault[];
}

export interface SubscriberOptions {
  readonly transport: Transport;
  /** `http://…`, without a path. */
  readonly url: string;
  readonly query: string;
  readonly variables?: Record<string, unknown>;
  /** For sockets: in `connection_init`. */
  readonly authorization?: string;
}

/** A subscriber with the reference clients of both protocols that records the results in their order. */
export class Subscriber<Data> {
  readonly results: Array<Result<Data>> = [];
  /** How it ended; null: it goes on. */
  end: { readonly fault: unknown } | null = null;
  readonly #dispose: Array<() => unknown> = [];

  static open<Data>(options: SubscriberOptions): Subscriber<Data> {
    const subscriber = new Subscriber<Data>();
    const sink = {
      next: (result: Result<Data>) => void subscriber.results.push(result),
      error: (fault: unknown) => {
        subscriber.end ??= { fault };
      },
      complete: () => {
        subscriber.end ??= { fault: null };
      },
    };
    const { query, variables } = options;
    const client = options.transport === 'sse' ? eventClient(options) : socketClient(options);
    // The two libraries' sinks differ in the type of their errors only.
    const unsubscribe = client.subscribe({ query, variables }, sink as Parameters<SocketClient['subscribe']>[1]);
    subscriber.#dispose.push(unsubscribe, () => client.dispose());
    return subscriber;
  }

  /** Until so many results are there. */
  has(count: number): Promise<unknown> {
    const seen = () => ({ results: this.results, end: this.end });
    return eventually(seen, ({ results }) => results.length >= count, { what: `${count} results` });
  }

  async ended(): Promise<unknown> {
    const { end } = await eventually(
      () => ({ end: this.end, results: this.results }),
      ({ end: reached }) => reached !== null,
      { what: 'a subscription to end' },
    );
    return end?.fault;
  }

  close(): void {
    for (const dispose of this.#dispose.splice(0)) dispose();
  }
}

function socketClient({ url, authorization }: SubscriberOptions): SocketClient {
  return createSocketClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: authorization === undefined ? undefined : { authorization },
  });
}

function eventClient({ url, authorization }: SubscriberOptions) {
  return createSseClient({
    url: `${url}/graphql`,
    retryAttempts: 0,
    headers: authorization === undefined ? {} : { authorization },
  });
}
