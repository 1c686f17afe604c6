import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Selectable } from 'kysely';
import { Agent, request } from 'undici';
import type { WebhookDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { type App, startApp } from '../../src/app/app.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import { parseConfig } from '../../src/config/config.js';
import type { Database } from '../../src/database/database.js';
import type { Tables } from '../../src/database/tables.js';
import type { JobKind } from '../../src/model/job-kind.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { borrowDatabase, giveBack } from './embedded-database.js';
import { eventually } from './eventually.js';
import { type Got, type MediaData, SECRETS, WITHOUT_PLACEHOLDERS } from './test-bed.js';

/** What {@link WebhookBed.media} selects. */
export interface ReportedMedia extends Omit<MediaData, 'url' | 'urlExpiresAt'> {
  readonly sha256: string | null;
  readonly url: string | null;
  readonly expiresAt: string | null;
}

export type InboxRow = Selectable<Tables['webhook_events']>;
export type MediaRow = Selectable<Tables['media']>;

export interface WebhookBedOptions {
  /** Sections of the configuration besides `channels`. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly channels: readonly unknown[];
}

const MEDIA = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media {
  __typename id status kind mimeType sizeBytes sha256 filename caption url providerMediaId createdAt expiresAt
  message { id } } } }`;

/**
 * The real server over channels that a test names, with a database of its own that the test may look into: what became
 * of a webhook after its answer shows nowhere else.
 */
export class WebhookBed {
  readonly #agent = new Agent();

  private constructor(
    readonly app: App,
    private readonly database: Database,
    /** Where the blobs are. */
    readonly blobs: string,
    /** Every line that the server logged, at level trace. */
    readonly logLines: readonly string[],
    private readonly folder: string,
  ) {}

  static async start({ config = {}, channels }: WebhookBedOptions): Promise<WebhookBed> {
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-webhooks-'));
    const database = await borrowDatabase();
    const blobs = join(folder, 'blobs');
    const document = {
      server: { port: 0 },
      storage: { root: blobs },
      ...WITHOUT_PLACEHOLDERS,
      network: { allowPrivate: ['127.0.0.0/8'] },
      delivery: { signingKeys: [{ id: 'k1', secret: SECRETS.signingSecret }] },
      ...config,
      // This process runs the tests as well, and is late because of that.
      limits: { eventLoopDelay: null, ...Object(config.limits) },
      channels,
    };
    const logLines: string[] = [];
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void logLines.push(line) } });
    const app = await startApp({ config: parseConfig(document, {}), logger, database });
    return new WebhookBed(app, database, blobs, logLines, folder);
  }

  /** One webhook. */
  post(channel: string, { body, headers }: WebhookDelivery, query = ''): Promise<Got> {
    return this.send('POST', `/webhooks/${channel}${query}`, headers, body);
  }

  /** One request, nothing added. `target` is a path of the server or a whole URL. */
  async send(
    method: string,
    target: string,
    headers: Readonly<Record<string, string>> = {},
    sent?: Buffer,
  ): Promise<Got> {
    const url = target.startsWith('/') ? this.app.url + target : target;
    const options = { dispatcher: this.#agent, headers, body: sent };
    const { statusCode, headers: answered, body } = await request(url, { ...options, method: methodOf(method) });
    return { status: statusCode, headers: answered, bytes: Buffer.from(await body.arrayBuffer()) };
  }

  /** `Message.media`; unknown details are null. @throws Error when the message itself could not be answered */
  async media(messageId: string, tenantKey?: string): Promise<readonly ReportedMedia[]> {
    const body = Buffer.from(JSON.stringify({ query: MEDIA, variables: { ids: [messageId] } }));
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (tenantKey !== undefined) headers.authorization = `Bearer ${tenantKey}`;
    const { bytes } = await this.send('POST', '/graphql', headers, body);
    const answer: Answer = JSON.parse(bytes.toString());
    const media = answer.data?.messagesWithMedia[0]?.media;
    if (!media) throw new Error(`expected media of ${messageId}, got ${bytes}`);
    return media;
  }

  /** What the catalogue keeps of a message's media, in their order. */
  stored(channelId: string, providerMessageId: string): Promise<MediaRow[]> {
    return this.database.kysely
      .selectFrom('media')
      .selectAll()
      .where('channel_id', '=', channelId)
      .where('provider_message_id', '=', providerMessageId)
      .orderBy('position')
      .execute();
  }

  /** The events of the inbox behind one of them, the oldest first; by default all. Bodies can be large. */
  events(after = 0): Promise<InboxRow[]> {
    return this.database.kysely
      .selectFrom('webhook_events')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .execute();
  }

  /** The id of the latest event in the inbox; 0 when it is empty. */
  async lastEventId(): Promise<number> {
    const latest = this.database.kysely.selectFrom('webhook_events').select('id').orderBy('id', 'desc').limit(1);
    return (await latest.executeTakeFirst())?.id ?? 0;
  }

  /** The jobs of a kind for one subject. */
  jobs(kind: JobKind, key: unknown): Promise<Selectable<Tables['jobs']>[]> {
    const jobs = this.database.kysely.selectFrom('jobs').selectAll();
    return jobs.where('kind', '=', kind).where('key', '=', String(key)).execute();
  }

  /** Until every event and every copy is worked off, and what was listed or delivered is kept. */
  async settled(): Promise<void> {
    await this.app.settled();
    const inbox = new SqlWebhookInbox(this.database);
    const catalogue = new SqlMediaCatalogue(this.database);
    const due = async () => (await inbox.counts()).due + (await catalogue.counts()).mirrorsDue;
    await eventually(due, (count) => count === 0);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
    await this.app.close();
    await giveBack(this.database);
    await rm(this.folder, { recursive: true, force: true });
  }
}

interface Answer {
  readonly data?: {
    readonly messagesWithMedia: ReadonlyArray<{ readonly media: readonly ReportedMedia[] | null } | null>;
  } | null;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

function methodOf(name: string): (typeof METHODS)[number] {
  const method = METHODS.find((known) => known === name);
  if (method === undefined) throw new Error(`expected an HTTP method, got ${name}`);
  return method;
}
