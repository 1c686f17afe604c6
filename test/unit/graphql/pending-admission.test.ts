/** Clients that disconnect while their credentials are still being checked. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';
import { WebSocket } from 'ws';
import { createSubgraphSchema, createTracedSchema } from '../../../src/graphql/build-schema.js';
import { ExecutionBudget } from '../../../src/graphql/execution/execution-budget.js';
import { createGraphQLServers, type GraphQLServers } from '../../../src/graphql/graphql-server.js';
import type { GraphQLContext } from '../../../src/graphql/resolvers/context.js';
import { registerGraphQLRoute } from '../../../src/graphql/transport/graphql-route.js';
import { serveSubscriptionSockets } from '../../../src/graphql/transport/subscription-sockets.js';
import type { Caller } from '../../../src/model/caller.js';
import { MediagraphError } from '../../../src/model/errors.js';
import type { Media } from '../../../src/model/media.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { until } from '../../support/eventually.js';
import { watchUnhandled } from '../../support/unhandled.js';

const READER: Caller = { tenant: 'default', scopes: new Set(['media:read']) };
const SUBSCRIPTION = 'subscription { mediaUpdated(messageIds: ["wa:m"]) { __typename } }';
const logger = createLogger({ level: 'silent' });

interface PendingCheck {
  accept(): void;
  refuse(): void;
}

/** Credential checks that wait until the test decides them, unless `isOpen`. */
class Checks {
  isOpen = false;
  readonly pending: PendingCheck[] = [];

  readonly admit = (): Promise<Caller> => {
    if (this.isOpen) return Promise.resolve(READER);
    return new Promise((resolve, reject) => {
      this.pending.push({
        accept: () => resolve(READER),
        refuse: () => reject(new MediagraphError('UNAUTHENTICATED', 'expected valid credentials')),
      });
    });
  };
}

/** A source of events that knows whether its subscription is still open. */
class Changes implements AsyncIterableIterator<Media> {
  isOpen = false;
  #deliver: ((result: IteratorResult<Media>) => void) | null = null;

  open(): this {
    this.isOpen = true;
    return this;
  }

  next(): Promise<IteratorResult<Media>> {
    return new Promise((resolve) => {
      this.#deliver = resolve;
    });
  }

  emit(): void {
    // The subscription selects nothing that a resolver reads from the media.
    this.#deliver?.({ value: {} as Media, done: false });
  }

  async return(): Promise<IteratorResult<Media>> {
    this.isOpen = false;
    const done = { value: undefined, done: true } as const;
    this.#deliver?.(done);
    return done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

let http: FastifyInstance;
let url: URL;
let servers: GraphQLServers;
let checks: Checks;
let changes: Changes;
let contexts: number;
let openStreams: number;
let errorCodes: string[];
let unhandled: ReturnType<typeof watchUnhandled>;

beforeEach(async () => {
  [checks, changes, contexts, openStreams, errorCodes] = [new Checks(), new Changes(), 0, 0, []];
  unhandled = watchUnhandled();
  const schema = createSubgraphSchema({});
  servers = await createGraphQLServers({
    schema,
    tracedSchema: () => createTracedSchema({}),
    limits: { maxDepth: 8, maxAliases: 30, maxTokens: 2_000 },
    explorer: 'off',
    production: true,
    logger,
    metrics: { graphqlError: (code) => void errorCodes.push(code), subscriptionOpened: () => () => {} },
  });
  const entrance = {
    operations: servers.streamed,
    admit: checks.admit,
    createContext: async () => {
      contexts += 1;
      const budget = new ExecutionBudget({ maxNodes: 1_000, maxProviderCalls: 1, maxAnswerBytes: 1_000_000 });
      // What the subscription above needs.
      const context: Partial<GraphQLContext> = { caller: READER, budget, watch: async () => changes.open() };
      return context as GraphQLContext;
    },
    metrics: {
      streamOpened: () => {
        openStreams += 1;
        return () => {
          openStreams -= 1;
        };
      },
    },
  };
  http = fastify();
  registerGraphQLRoute(http, { ...entrance, servers, bodyBytes: 1_000_000, allowedOrigins: [] });
  serveSubscriptionSockets(http, {
    ...entrance,
    schema,
    maxBytes: 1_000_000,
    maxOperations: 10,
    refusesForeignPages: false,
    knownHosts: null,
    allowedOrigins: [],
    logger,
  });
  url = new URL(await http.listen({ host: '127.0.0.1', port: 0 }));
});

afterEach(async () => {
  await http.close();
  await Promise.all([servers.compiled.stop(), servers.traced.stop()]);
  unhandled.stop();
  expect(unhandled.seen).toEqual([]);
});

async function openConnection(): Promise<Socket> {
  const socket = connect(Number(url.port), url.hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function sendRequest(head: readonly string[], body = ''): Promise<Socket> {
  const socket = await openConnection();
  socket.write(`${head.join('\r\n')}\r\nHost: localhost\r\n\r\n${body}`);
  return socket;
}

/** Waits until the server, too, has seen the end of every connection. */
async function disconnect(socket: Socket): Promise<void> {
  socket.destroy();
  await until('the server to see the disconnection', async () => (await connectionCount()) === 0);
}

function connectionCount(): Promise<number> {
  return new Promise((resolve, reject) => {
    http.server.getConnections((err, count) => (err ? reject(err) : resolve(count)));
  });
}

async function decided(decision: keyof PendingCheck): Promise<void> {
  for (const check of checks.pending.splice(0)) check[decision]();
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
}

const query = encodeURIComponent(SUBSCRIPTION);
const REQUESTS: ReadonlyArray<readonly [string, readonly string[], string]> = [
  ['a body', ['POST /graphql HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 100000'], '{"query":'],
  [
    'a compressed body',
    ['POST /graphql HTTP/1.1', 'Content-Type: application/json', 'Content-Encoding: gzip', 'Content-Length: 9'],
    '',
  ],
  ['a subscription over server-sent events', [`GET /graphql?query=${query} HTTP/1.1`, 'Accept: text/event-stream'], ''],
];

describe.each(REQUESTS)('an HTTP request with %s', (_name, head, body) => {
  it.each(['accept', 'refuse'] as const)(
    'that disconnects is dropped when its check ends with %s',
    async (decision) => {
      const socket = await sendRequest(head, body);
      await until('the credentials to be checked', () => checks.pending.length === 1);
      await disconnect(socket);
      await decided(decision);
      expect({ contexts, openStreams, pending: checks.pending.length }).toEqual({
        contexts: 0,
        openStreams: 0,
        pending: 0,
      });
    },
  );
});

describe('a subscription over server-sent events', () => {
  it('that disconnects while an event is admitted ends, and counts no error', async () => {
    checks.isOpen = true;
    const socket = await sendRequest([`GET /graphql?query=${query} HTTP/1.1`, 'Accept: text/event-stream']);
    await until('the subscription to be open', () => changes.isOpen && openStreams === 1);
    const contextsAtStart = contexts;
    checks.isOpen = false;
    await once(socket, 'data');
    changes.emit();
    await until('the event to be checked', () => checks.pending.length === 1);
    await disconnect(socket);
    await decided('accept');
    await until('the subscription to end', () => !changes.isOpen);
    expect({ contexts: contexts - contextsAtStart, openStreams, errorCodes }).toEqual({
      contexts: 0,
      openStreams: 0,
      errorCodes: [],
    });
  });
});

describe('a WebSocket', () => {
  async function openSocket(): Promise<WebSocket> {
    const socket = new WebSocket(`ws://${url.host}/graphql`, 'graphql-transport-ws');
    socket.on('error', () => {});
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init' }));
    return socket;
  }

  it.each(['accept', 'refuse'] as const)(
    'that disconnects is dropped when its check ends with %s',
    async (decision) => {
      const socket = await openSocket();
      await until('the credentials to be checked', () => checks.pending.length === 1);
      socket.terminate();
      await until('the socket to be closed', () => openStreams === 0);
      await decided(decision);
      expect({ contexts, openStreams }).toEqual({ contexts: 0, openStreams: 0 });
    },
  );

  it('that disconnects while a subscription is admitted opens none', async () => {
    checks.isOpen = true;
    const socket = await openSocket();
    await once(socket, 'message');
    checks.isOpen = false;
    socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query: SUBSCRIPTION } }));
    await until('the credentials to be checked', () => checks.pending.length === 1);
    socket.terminate();
    await until('the socket to be closed', () => openStreams === 0);
    await decided('accept');
    expect({ contexts, isOpen: changes.isOpen, errorCodes }).toEqual({ contexts: 0, isOpen: false, errorCodes: [] });
  });

  it('that sends an operation before it is admitted is closed with 4401', async () => {
    const socket = await openSocket();
    await until('the credentials to be checked', () => checks.pending.length === 1);
    socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query: SUBSCRIPTION } }));
    expect((await once(socket, 'close'))[0]).toBe(4401);
    await decided('accept');
  });
});

describe('a request with a body', () => {
  it('is refused before the body is read, however long the check takes', async () => {
    const socket = await sendRequest(
      ['POST /graphql HTTP/1.1', 'Content-Type: application/json', 'Content-Length: 100000'],
      '{"query":',
    );
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
    });
    await until('the credentials to be checked', () => checks.pending.length === 1);
    expect(received).toBe('');
    const closed = once(socket, 'close');
    await decided('refuse');
    await closed;
    expect(received).toMatch(/^HTTP\/1\.1 401 .*UNAUTHENTICATED/s);
  });
});
