import { Agent, request } from 'undici';
import type { WebhookDelivery } from '../emulators/whatsapp/whatsapp-webhook.js';
import type { ProviderRequest } from '../line.js';
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

/** The response to a link that was opened without credentials. */
export interface OpenedLink {
  readonly status: number;
  readonly contentType: string | null;
  readonly sizeBytes: number;
}

/** The response to a webhook. */
export interface WebhookReceipt {
  readonly status: number;
  /** Milliseconds until the response. */
  readonly tookMs: number;
}

/** A provider's response. */
export interface ProviderResponse {
  readonly status: number;
  readonly text: string;
}

/** An HTTP client of the server and of the providers, which uses nothing but their public addresses. */
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
    // The type follows from the document. Both are generated from the schema of the server.
    const answer: GraphQLAnswer<Data> = JSON.parse(await body.text());
    return answer;
  }

  async open(url: string): Promise<OpenedLink> {
    const { statusCode, headers, body } = await request(url, { dispatcher: this.#agent });
    const { byteLength } = await body.arrayBuffer();
    const type = headers['content-type'];
    return { status: statusCode, contentType: typeof type === 'string' ? type : null, sizeBytes: byteLength };
  }

  /** Sends a webhook as its provider would. */
  async deliver(url: string, { body: sent, headers }: WebhookDelivery): Promise<WebhookReceipt> {
    const startedAt = performance.now();
    const { statusCode, body } = await request(url, {
      method: 'POST',
      headers: { ...headers },
      body: sent,
      dispatcher: this.#agent,
    });
    await body.dump();
    return { status: statusCode, tookMs: performance.now() - startedAt };
  }

  /** Sends a request to a provider without the server in between. It does not follow redirects. */
  async requestProvider({ url, headers }: ProviderRequest): Promise<ProviderResponse> {
    const { statusCode, body } = await request(url, { headers: { ...headers }, dispatcher: this.#agent });
    return { status: statusCode, text: await body.text() };
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }
}
