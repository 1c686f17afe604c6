import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../demo/src/emulators/emulator-server.js';
import { KirimEmulator, type KirimEmulatorOptions } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { LamlEmulator } from '../../demo/src/emulators/laml/laml-emulator.js';
import { type App, startApp } from '../../src/app/app.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { type Config, parseConfig } from '../../src/config/config.js';
import type { Database } from '../../src/database/database.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { listing, reportedMedia } from './databases.js';
import { borrowDatabase, emptyTables, giveBack } from './embedded-database.js';
import { filesBelow } from './files-below.js';

/** Everything secret that a bed knows; no answer and no log line may hold any of it. */
export const SECRETS = {
  kirimToken: 'kdv_live_0123456789kirimtoken',
  signalwirePassword: 'PTsignalwirepassword0123456789',
  twilioPassword: 'twilioauthtoken0123456789',
  signingSecret: 'signing-secret-0123456789-abcdef',
} as const;

export const ACCOUNTS = {
  signalwire: 'ea108133-d6b3-407c-9536-000000000001',
  twilio: 'AC0123456789abcdef0123456789abcdef',
} as const;

/** Channel ids of the bed, one per provider. */
export const CHANNELS = { kirim: 'wa', signalwire: 'sms', twilio: 'mms' } as const;
export type ProviderOfBed = keyof typeof CHANNELS;

/** What looks at every picture is a process of its own, which takes longer to start than most tests. */
export const WITHOUT_PLACEHOLDERS = { rendering: { placeholders: false } } as const;

const OPEN_TIMEOUT_MS = 60_000;

export interface BedOptions {
  /** Sections of the configuration; `channels` are added to the three of the bed. */
  readonly config?: Readonly<Record<string, unknown>> & { readonly channels?: readonly unknown[] };
  /** `options`, `tenant` and so on of the bed's own channels. */
  readonly channelKeys?: Readonly<Partial<Record<ProviderOfBed, Readonly<Record<string, unknown>>>>>;
  readonly env?: NodeJS.ProcessEnv;
  /** The bed whose database this one has, too; that one does nothing meanwhile, and is closed after this one. */
  readonly beside?: TestBed;
  readonly kirim?: Partial<KirimEmulatorOptions>;
}

export interface GraphQLFault {
  readonly message: string;
  readonly path?: ReadonlyArray<string | number>;
  readonly extensions: Readonly<Record<string, unknown>> & { readonly code: string };
}

export interface GraphQLAnswer<Data> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The body as it came, for what must not stand anywhere in it. */
  readonly text: string;
  readonly data: Data | null | undefined;
  readonly errors: readonly GraphQLFault[];
}

/** The fields that queries of the tests select; a field that was not selected is absent, despite its type. */
export interface MediaData {
  readonly __typename: string;
  readonly id: string;
  readonly status: string;
  readonly kind: string;
  readonly mimeType: string | null;
  readonly sizeBytes: number | null;
  readonly filename: string | null;
  readonly caption: string | null;
  readonly url: string;
  readonly urlExpiresAt: string;
  readonly providerMediaId: string | null;
  readonly createdAt: string | null;
  readonly message: { readonly id: string } | null;
}

export interface MessageData {
  readonly id: string;
  readonly channelId: string;
  readonly providerMessageId: string;
  readonly media: readonly MediaData[] | null;
}

export interface MessagesData {
  readonly messagesWithMedia: ReadonlyArray<MessageData | null>;
}

export interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
}

export interface GetOptions {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'OPTIONS';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** The real server over emulated providers, all on free ports of the loopback interface. `close` ends all of them. */
export class TestBed {
  readonly #agent = new Agent();

  private constructor(
    readonly app: App,
    readonly cdn: CdnEmulator,
    readonly kirim: KirimEmulator,
    readonly signalwire: LamlEmulator,
    readonly twilio: LamlEmulator,
    readonly config: Config,
    /** Every line that the server logged, at level trace. */
    readonly logLines: readonly string[],
    private readonly folder: string,
    private readonly database: Database,
    private readonly ownsDatabase: boolean,
  ) {}

  static async start(options: BedOptions = {}): Promise<TestBed> {
    const cdn = await new CdnEmulator().start();
    const account = (provider: 'signalwire' | 'twilio') => ({
      accountSid: ACCOUNTS[provider],
      username: ACCOUNTS[provider],
    });
    const [kirim, signalwire, twilio] = await Promise.all([
      new KirimEmulator({ token: SECRETS.kirimToken, cdn, ...options.kirim }).start(),
      new LamlEmulator({
        flavour: 'signalwire',
        ...account('signalwire'),
        password: SECRETS.signalwirePassword,
        cdn,
      }).start(),
      new LamlEmulator({ flavour: 'twilio', ...account('twilio'), password: SECRETS.twilioPassword, cdn }).start(),
    ]);
    const { channels: moreChannels = [], ...sections } = options.config ?? {};
    const { channelKeys = {} } = options;
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-test-'));
    const document = {
      server: { port: 0 },
      storage: { root: join(folder, 'blobs') },
      ...WITHOUT_PLACEHOLDERS,
      // The emulators' CDN is on the loopback interface, which no provider may name otherwise.
      network: { allowPrivate: ['127.0.0.0/8'] },
      delivery: { signingKeys: [{ id: 'k1', secret: SECRETS.signingSecret }] },
      ...sections,
      // This process runs the tests as well, and is late because of that.
      limits: { eventLoopDelay: null, ...Object(sections.limits) },
      channels: [
        kirimChannel(kirim.baseUrl, channelKeys.kirim),
        lamlChannel('signalwire', signalwire.baseUrl, channelKeys.signalwire),
        lamlChannel('twilio', twilio.baseUrl, channelKeys.twilio),
        ...moreChannels,
      ],
    };
    const logLines: string[] = [];
    const config = parseConfig(document, options.env ?? {});
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void logLines.push(line) } });
    const { beside } = options;
    // The embedded engine's servers take themselves to be alone, and would work off each other's jobs.
    const database = beside ? beside.database : await borrowDatabase();
    const app = await startApp({ config, logger, database });
    return new TestBed(app, cdn, kirim, signalwire, twilio, config, logLines, folder, database, !beside);
  }

  get emulators(): readonly EmulatorServer[] {
    return [this.cdn, this.kirim, this.signalwire, this.twilio];
  }

  /** Requests that reached any of the providers' APIs. */
  get providerCalls(): number {
    return this.kirim.requestCount + this.signalwire.requestCount + this.twilio.requestCount;
  }

  /** Everything as it was at the start, but for the providers' messages, which stay. */
  async reset(): Promise<void> {
    await this.forget();
    for (const emulator of this.emulators) {
      emulator.fault = null;
      emulator.faults.length = 0;
      emulator.latencyMs = 0;
    }
    this.kirim.omitsErrorMessage = false;
    for (const laml of [this.signalwire, this.twilio]) {
      laml.maxPageSize = 1000;
      laml.pageFault = null;
      laml.redirectStatus = 302;
      laml.bytesWithoutExtension = 'redirect';
      laml.unknownMessage = 'not-found';
    }
    this.clearRequests();
  }

  /** Empties the catalogue, so that providers are asked again. */
  async forget(): Promise<void> {
    await this.app.settled();
    await emptyTables(this.database);
    await this.app.reload(this.config);
  }

  /** The root of the blob store. */
  get blobs(): string {
    return join(this.folder, 'blobs');
  }

  /** Cuts every stored original to so many bytes, behind the server's back. */
  async truncateBlobs(bytes: number): Promise<void> {
    const originals = (await filesBelow(this.blobs)).filter((file) => file.endsWith('.original'));
    await Promise.all(originals.map((file) => truncate(file, bytes)));
  }

  /** Gives the media of a Kirim message a row with a hash, as a webhook could do. */
  async recordHash(providerMessageId: string, sha256: string): Promise<void> {
    const media = reportedMedia({ channelId: CHANNELS.kirim, providerMessageId, sha256 });
    const now = new Date();
    await new SqlMediaCatalogue(this.database).recordListings(media.tenant, [listing(media, [media], { now })], now);
    await this.app.reload(this.config);
  }

  clearRequests(): void {
    for (const emulator of this.emulators) emulator.clearRequests();
  }

  async query<Data = MessagesData>(
    query: string,
    variables: Readonly<Record<string, unknown>> = {},
    options: GetOptions = {},
  ): Promise<GraphQLAnswer<Data>> {
    return this.post<Data>(JSON.stringify({ query, variables }), options);
  }

  /** A body of `/graphql` as it stands. */
  async post<Data = MessagesData>(body: string, options: GetOptions = {}): Promise<GraphQLAnswer<Data>> {
    const headers = { 'content-type': 'application/json', ...options.headers };
    const {
      status,
      headers: answered,
      bytes,
    } = await this.get('/graphql', { ...options, method: 'POST', headers, body });
    const text = bytes.toString();
    const parsed: { data?: Data | null; errors?: GraphQLFault[] } = JSON.parse(text);
    return { status, headers: answered, text, data: parsed.data, errors: parsed.errors ?? [] };
  }

  /** One request, nothing added, no redirect followed. `target` is a path of the server or a whole URL. */
  async get(target: string, { method = 'GET', headers = {}, body, signal }: GetOptions = {}): Promise<Got> {
    const url = target.startsWith('/') ? this.app.url + target : target;
    const response = await request(url, { dispatcher: this.#agent, method, headers, body, signal });
    return {
      status: response.statusCode,
      headers: response.headers,
      bytes: Buffer.from(await response.body.arrayBuffer()),
    };
  }

  /** The links that a message's media have with default arguments. */
  async urlsOf(messageId: string): Promise<string[]> {
    const answer = await this.query(URLS, { ids: [messageId] });
    const media = sole(answer.data?.messagesWithMedia)?.media;
    if (!media) throw new Error(`expected media of ${messageId}, got ${answer.text}`);
    return media.map(({ url }) => url);
  }

  /** The one link of a message that has one media. */
  async urlOf(messageId: string): Promise<string> {
    return sole(await this.urlsOf(messageId));
  }

  /** Path and query, as {@link get} takes them. */
  async pathOf(messageId: string): Promise<string> {
    const { pathname, search } = new URL(await this.urlOf(messageId));
    return pathname + search;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
    await this.app.close();
    await Promise.all(this.emulators.map((emulator) => emulator.close()));
    if (this.ownsDatabase) await giveBack(this.database);
    await rm(this.folder, { recursive: true, force: true });
  }
}

export interface Beds {
  /** One bed for all tests that need no other; reset after each. */
  shared(): Promise<TestBed>;
  /** A bed for one test, closed after it. */
  own(options?: BedOptions): Promise<TestBed>;
}

/**
 * Beds that are closed by jest's hooks, each over a database of its own; `ofAll` are the options of the shared one. Call
 * it at the top of a file, or in a `describe` whose tests share a server with other options.
 */
export function useBeds(ofAll: BedOptions = {}): Beds {
  let shared: Promise<TestBed> | null = null;
  const own: TestBed[] = [];
  // Opening one takes a second, which is no test's time.
  beforeAll(async () => giveBack(await borrowDatabase()), OPEN_TIMEOUT_MS);
  afterEach(async () => {
    await (await shared)?.reset();
    for (const bed of own.splice(0).reverse()) await bed.close();
  });
  afterAll(async () => {
    await (await shared)?.close();
  });
  return {
    shared: () => {
      shared ??= TestBed.start(ofAll);
      return shared;
    },
    own: async (options) => {
      const bed = await TestBed.start(options);
      own.push(bed);
      return bed;
    },
  };
}

const URLS = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { url } } }';

/** The JSON of an error answer of a route that is not GraphQL. */
export function errorOf(got: Got): { code: string; message: string; requestId: string } {
  const body: { error: { code: string; message: string; requestId: string } } = JSON.parse(got.bytes.toString());
  return body.error;
}

/** A header of which there is one. */
export function headerOf({ headers }: Pick<Got, 'headers'>, name: string): string {
  const value = headers[name];
  if (typeof value !== 'string') throw new Error(`expected one header ${name}, got ${JSON.stringify(value)}`);
  return value;
}

/** The only element of a list. */
export function sole<Item>(list: readonly Item[] | null | undefined): Item {
  const [first] = list ?? [];
  if (first === undefined || list?.length !== 1) throw new Error(`expected one element, got ${JSON.stringify(list)}`);
  return first;
}

/** The element at an index that must be there. */
export function nth<Item>(list: readonly Item[] | null | undefined, index: number): Item {
  const item = list?.[index];
  if (item === undefined) throw new Error(`expected an element ${index}, got ${JSON.stringify(list)}`);
  return item;
}

export function kirimChannel(baseUrl: string, keys: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { id: CHANNELS.kirim, provider: 'kirim', baseUrl, credentials: { token: SECRETS.kirimToken }, ...keys };
}

function lamlChannel(
  provider: 'signalwire' | 'twilio',
  baseUrl: string,
  keys: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const accountSid = ACCOUNTS[provider];
  const password = provider === 'signalwire' ? SECRETS.signalwirePassword : SECRETS.twilioPassword;
  return {
    id: CHANNELS[provider],
    provider,
    baseUrl,
    credentials: { accountSid, username: accountSid, password },
    ...keys,
  };
}
