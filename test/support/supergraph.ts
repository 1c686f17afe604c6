import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { composeServices as composeWithApollo } from '@apollo/composition';
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { composeServices as composeWithGuild } from '@theguild/federation-composition';
import { type DocumentNode, parse } from 'graphql';
import type { MessageIds } from '../../src/graphql/resolvers/message-source.js';
import { Client } from './client.js';
import type { GraphQLAnswer, GraphQLFault } from './test-bed.js';

const FOLDER = new URL('../../schema/supergraph/', import.meta.url);

/** What is composed: a subgraph's name, where gateways reach it, and its SDL. */
export interface Subgraph {
  readonly name: string;
  readonly url: string;
  readonly typeDefs: DocumentNode;
}

export interface Composition {
  readonly errors: readonly string[];
  /** What the composer would have done otherwise: a code, and the element of the schema that it is about. */
  readonly hints: ReadonlyArray<{ readonly code: string; readonly about: string | undefined }>;
  /** Empty where there are errors. */
  readonly supergraphSdl: string;
}

export type ComposerName = 'apollo' | 'guild';
type Compose = (subgraphs: readonly Subgraph[]) => Composition;

/** Two composers that share no code. The Guild's gives no hints. */
export const COMPOSERS: Readonly<Record<ComposerName, Compose>> = {
  apollo: (subgraphs) => {
    const { errors = [], hints = [], supergraphSdl = '' } = composeWithApollo([...subgraphs]);
    return {
      errors: errors.map(({ message }) => message),
      hints: hints.map(({ definition: { code }, coordinate }) => ({ code, about: coordinate })),
      supergraphSdl,
    };
  },
  guild: (subgraphs) => {
    const { errors = [], supergraphSdl = '' } = composeWithGuild([...subgraphs]);
    return { errors: errors.map(({ message }) => message), hints: [], supergraphSdl };
  },
};

/** The two subgraphs beside ours, as files have them. */
export function neighbours(
  messageIds: MessageIds,
  urls = { messages: 'http://messages', notes: 'http://notes' },
): Subgraph[] {
  const read = (file: string) => parse(readFileSync(new URL(file, FOLDER), 'utf8'));
  return [
    { name: 'messages', url: urls.messages, typeDefs: read(`messages/${messageIds}.graphql`) },
    { name: 'notes', url: urls.notes, typeDefs: read('notes/notes.graphql') },
  ];
}

/** A conversation of the messages subgraph's data file. */
export interface ConversationGiven {
  readonly id: string;
  readonly channelId: string;
  readonly contact: { readonly name: string; readonly phone: string | null };
  readonly messages: ReadonlyArray<{
    readonly providerMessageId: string;
    readonly direction: 'INBOUND' | 'OUTBOUND';
    readonly sentAt: string;
    readonly text: string | null;
  }>;
}

/** A program of `schema/supergraph`, as a process of its own. */
export class Program {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | string>;
  stdout = '';
  stderr = '';

  /** @param file relative to `schema/supergraph` */
  constructor(file: string, args: readonly string[] = []) {
    // Nothing of the test runner's own environment.
    this.#child = spawn(process.execPath, [fileURLToPath(new URL(file, FOLDER)), ...args], {
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#ended = once(this.#child, 'close').then(
      ([code, signal]: Array<number | string | null>) => code ?? signal ?? 'unknown',
    );
  }

  /** Resolves with the exit status, or the signal's name, when everything was read. */
  get ended(): Promise<number | string> {
    return this.#ended;
  }

  /** Where it listens, when it does. @throws Error when the process ends without */
  async listening(): Promise<string> {
    for (let isOver = false; ; ) {
      const [, url] = /^\w+ subgraph listens at (http\S+)\n/.exec(this.stdout) ?? [];
      if (url !== undefined) return url;
      if (isOver) throw new Error(`expected the line of a subgraph that listens, got: ${this.stdout}${this.stderr}`);
      isOver = await Promise.race([this.#moreOutput().then(() => false), this.#ended.then(() => true)]);
    }
  }

  /** Asks it to end, and resolves with its status. */
  stop(): Promise<number | string> {
    this.#child.kill('SIGTERM');
    return this.#ended;
  }

  async #moreOutput(): Promise<void> {
    if (this.#child.stdout) await once(this.#child.stdout, 'data');
  }
}

/** A server that answers operations: a gateway, or the media subgraph itself. */
export interface Endpoint {
  /** Without a path. */
  readonly url: string;
  ask<Data>(
    query: string,
    variables?: Readonly<Record<string, unknown>>,
    headers?: Headers,
  ): Promise<GraphQLAnswer<Data>>;
  close(): Promise<void>;
}

type Headers = Readonly<Record<string, string>>;

/** The media subgraph, or what else answers at `<url>/graphql`. */
export function endpointAt(url: string): Endpoint {
  const client = new Client(url);
  return {
    url,
    async ask<Data>(query: string, variables = {}, headers: Headers = {}) {
      const {
        status,
        headers: answered,
        bytes,
      } = await client.get('/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query, variables }),
      });
      const text = bytes.toString();
      const { data, errors = [] }: { data?: Data | null; errors?: GraphQLFault[] } = JSON.parse(text);
      return { status, headers: answered, text, data, errors };
    },
    close: () => client.close(),
  };
}

export type GatewayName = 'apollo' | 'hive';

/** @param added headers that every subgraph gets from the gateway itself */
type StartGateway = (supergraphSdl: string, added: Headers) => Promise<Endpoint>;

/** Two gateways that share no code, each as its documentation has it; both pass `Authorization` on. */
const GATEWAYS: Readonly<Record<GatewayName, StartGateway>> = {
  async apollo(supergraphSdl, added) {
    const gateway = new ApolloGateway({
      supergraphSdl,
      buildService: ({ url }) => new Forwarding(added, url),
      logger: SILENT,
    });
    const server = new ApolloServer<ApolloContext>({
      gateway,
      includeStacktraceInErrorResponses: false,
      stopOnTerminationSignals: false,
      logger: SILENT,
    });
    const context = async ({ req }: { req: IncomingMessage }) => ({ authorization: req.headers.authorization });
    const { url } = await startStandaloneServer(server, { listen: { host: '127.0.0.1', port: 0 }, context });
    const endpoint = endpointAt(new URL(url).origin);
    return {
      ...endpoint,
      close: async () => {
        await endpoint.close();
        await server.stop();
      },
    };
  },

  async hive(supergraphSdl, added) {
    const gateway = createGatewayRuntime({
      supergraph: supergraphSdl,
      logging: false,
      propagateHeaders: {
        fromClientToSubgraphs: ({ request }) => ({ ...added, authorization: request.headers.get('authorization') }),
      },
    });
    const http = createServer(gateway).listen(0, '127.0.0.1');
    await once(http, 'listening');
    const address = http.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    const endpoint = endpointAt(`http://127.0.0.1:${address.port}`);
    return {
      ...endpoint,
      close: async () => {
        await endpoint.close();
        http.close();
        await once(http, 'close');
        await gateway[Symbol.asyncDispose]();
      },
    };
  },
};

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

interface ApolloContext {
  readonly authorization?: string;
}

class Forwarding extends RemoteGraphQLDataSource<ApolloContext> {
  constructor(
    private readonly added: Headers,
    url: string | undefined,
  ) {
    super({ url });
  }

  override willSendRequest({
    request,
    context,
  }: Parameters<NonNullable<RemoteGraphQLDataSource<ApolloContext>['willSendRequest']>>[0]): void {
    for (const [name, value] of Object.entries(this.added)) request.http?.headers.set(name, value);
    if (context.authorization !== undefined) request.http?.headers.set('authorization', context.authorization);
  }
}

export interface SupergraphOptions {
  readonly messageIds: MessageIds;
  /** Ours, as it runs. */
  readonly media: Subgraph;
  readonly conversations: readonly ConversationGiven[];
  /** Which composer's supergraph each gateway is given. */
  readonly composers: Readonly<Record<GatewayName, ComposerName>>;
  /** Headers that the gateways add to what they ask of subgraphs. */
  readonly added?: Headers;
}

/** The neighbours as processes, and both gateways over all three subgraphs. */
export class Supergraph {
  private constructor(
    readonly gateways: Readonly<Record<GatewayName, Endpoint>>,
    private readonly programs: readonly Program[],
    private readonly folder: string,
  ) {}

  static async start({
    messageIds,
    media,
    conversations,
    composers,
    added = {},
  }: SupergraphOptions): Promise<Supergraph> {
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-supergraph-'));
    const data = join(folder, 'conversations.json');
    await writeFile(data, JSON.stringify({ conversations }));
    const messages = new Program('messages/server.js', ['--ids', messageIds, '--port', '0', '--data', data]);
    const notes = new Program('notes/server.js', ['--port', '0']);
    try {
      const urls = { messages: await messages.listening(), notes: await notes.listening() };
      const subgraphs = [media, ...neighbours(messageIds, urls)];
      const start = (name: GatewayName) => GATEWAYS[name](COMPOSERS[composers[name]](subgraphs).supergraphSdl, added);
      return new Supergraph({ apollo: await start('apollo'), hive: await start('hive') }, [messages, notes], folder);
    } catch (thrown) {
      await Promise.all([messages.stop(), notes.stop()]);
      throw thrown;
    }
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.gateways).map((gateway) => gateway.close()));
    const statuses = await Promise.all(this.programs.map((program) => program.stop()));
    await rm(this.folder, { recursive: true, force: true });
    if (statuses.some((status) => status !== 0)) throw new Error(`expected processes that end well, got ${statuses}`);
  }
}
