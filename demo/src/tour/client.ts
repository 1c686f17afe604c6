import { Agent, request } from 'undici';
import type { WebhookDelivery } from '../emulators/whatsapp/whatsapp-webhook.js';
import type { ProviderQuestion } from '../line.js';
import type { TypedDocumentString } from '../operations.generated.js';

export interface GraphQLFault {
  readonly message: string;
  readonly path?: ReadonlyArray<string | number>;
  readonly extensions?: { readonly code?: string };
}

export interface GraphQLAnswer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly GraphQLFault[];
}

/** What a link gave to somebody who has nothing but the link. */
export interface OpenedLink {
  readonly status: number;
  readonly contentType: string | null;
  readonly sizeBytes: number;
}

/** How a webhook was answered. */
export interface WebhookReceipt {
  readonly status: number;
  /** Milliseconds until the answer was there. */
  readonly tookMs: number;
}

/** What a provider says when it is asked itself. */
export interface ProviderWord {
  readonly status: number;
  readonly text: string;
}

/** Somebody outside who knows the server by its address, and the providers by theirs: asks over HTTP as any client does. */
export class DemoClient {
  readonly #agent = new Agent();

  /** @param serverUrl without a trailing slash */
  constructor(private readonly serverUrl: string) {}

  async query<Data, Variables>(
    document: TypedDocumentString<Data, Variables>,
    variables: Variables,
  ): Promise<GraphQLAnswer<Data>> {
    const { body } = await request(`${this.serverUrl}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: document.toString(), variables }),
      dispatcher: this.#agent,
    });
    // The shape is the typed document's, generated from the same schema that answers.
    const answer: GraphQLAnswer<Data> = JSON.parse(await body.text());
    return answer;
  }

  async open(url: string): Promise<OpenedLink> {
    const { statusCode, headers, body } = await request(url, { dispatcher: this.#agent });
    const { byteLength } = await body.arrayBuffer();
    const type = headers['content-type'];
    return { status: statusCode, contentType: typeof type === 'string' ? type : null, sizeBytes: byteLength };
  }

  /** Sends what a provider would send. */
  async deliver(url: string, { body: sent, headers }: WebhookDelivery): Promise<WebhookReceipt> {
    const from = performance.now();
    const { statusCode, body } = await request(url, {
      method: 'POST',
      headers: { ...headers },
      body: sent,
      dispatcher: this.#agent,
    });
    await body.dump();
    return { status: statusCode, tookMs: performance.now() - from };
  }

  /** Asks a provider past the server. Redirects are answers. */
  async askProvider({ url, headers }: ProviderQuestion): Promise<ProviderWord> {
    const { statusCode, body } = await request(url, { headers: { ...headers }, dispatcher: this.#agent });
    return { status: statusCode, text: await body.text() };
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }
}
