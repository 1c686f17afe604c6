import { Agent, request } from 'undici';
import type { TypedDocumentString } from './operations.generated.js';

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

/** Somebody outside who knows the server by its address: asks over HTTP as any client does. */
export class DemoClient {
  readonly #agent = new Agent();

  constructor(private readonly endpoint: string) {}

  async query<Data, Variables>(
    document: TypedDocumentString<Data, Variables>,
    variables: Variables,
  ): Promise<GraphQLAnswer<Data>> {
    const { body } = await request(this.endpoint, {
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

  async close(): Promise<void> {
    await this.#agent.close();
  }
}
