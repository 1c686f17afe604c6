import { Agent, request } from 'undici';
import type { WebhookDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { until } from './eventually.js';
import { type GetOptions, type Got, type GraphQLAnswer, type MediaData, type MessagesData, sole } from './test-bed.js';

/** What one query may name. */
const MESSAGES_PER_QUERY = 100;
const MEDIA = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media {
  id status sizeBytes sha256 url providerMediaId } } }`;

/** A client of a running server: a frontend, or a provider with its webhooks. */
export class Client {
  readonly #agent = new Agent();

  /** @param authorization of GraphQL requests */
  constructor(
    readonly url: string,
    private readonly authorization?: string,
  ) {}

  /** One request, nothing added, no redirect followed. `target` is a path of the server or a whole URL. */
  async get(target: string, { method = 'GET', headers = {}, body, signal }: GetOptions = {}): Promise<Got> {
    const url = target.startsWith('/') ? this.url + target : target;
    const response = await request(url, { dispatcher: this.#agent, method, headers, body, signal });
    const bytes = Buffer.from(await response.body.arrayBuffer());
    return { status: response.statusCode, headers: response.headers, bytes };
  }

  /** A webhook, to the channel that it is for. */
  deliver(channelId: string, { body, headers }: WebhookDelivery): Promise<Got> {
    return this.get(`/webhooks/${channelId}`, { method: 'POST', headers, body: body.toString() });
  }

  async query<Data = MessagesData>(
    query: string,
    variables: Readonly<Record<string, unknown>>,
  ): Promise<GraphQLAnswer<Data>> {
    const { status, headers, bytes } = await this.get('/graphql', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.authorization === undefined ? {} : { authorization: this.authorization }),
      },
      body: JSON.stringify({ query, variables }),
    });
    const text = bytes.toString();
    const { data, errors = [] }: Partial<GraphQLAnswer<Data>> = JSON.parse(text);
    return { status, headers, text, data, errors };
  }

  /** The media of each message, in the order of the ids. @throws Error when the answer has errors */
  async media(ids: readonly string[]): Promise<Array<readonly MediaData[]>> {
    const media: Array<readonly MediaData[]> = [];
    for (let at = 0; at < ids.length; at += MESSAGES_PER_QUERY) {
      const { data, text, errors } = await this.query(MEDIA, { ids: ids.slice(at, at + MESSAGES_PER_QUERY) });
      if (errors.length > 0) throw new Error(`expected an answer without errors, got ${text}`);
      media.push(...(data?.messagesWithMedia ?? []).map((message) => message?.media ?? []));
    }
    return media;
  }

  /** The statuses of a message's media. */
  async statuses(id: string): Promise<string[]> {
    return sole(await this.media([id])).map(({ status }) => status);
  }

  /** Asks until a message has one media of this status, and returns it. */
  async becomes(status: string, id: string, withinMs?: number): Promise<MediaData> {
    await until(`${id} to be ${status}`, async () => `${await this.statuses(id)}` === status, withinMs);
    return sole(sole(await this.media([id])));
  }

  /** Until a link tells a hash of its bytes, which are here then. */
  async becomesStored(link: string): Promise<void> {
    await until(
      'a media to be stored',
      async () => (await this.get(link, { method: 'HEAD' })).headers.etag !== undefined,
    );
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}
