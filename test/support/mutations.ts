import type { Client } from './client.js';
import type { GraphQLAnswer, MediaData } from './test-bed.js';

interface UploadData {
  readonly uploadMediaFromUrl: {
    readonly replayed: boolean;
    readonly media: MediaData & { readonly sha256: string | null };
  } | null;
}

interface DeletionData {
  readonly deleteMedia: { readonly scope: string; readonly media: MediaData } | null;
}

const UPLOAD = `mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { replayed media {
  id status kind mimeType sizeBytes sha256 filename url providerMediaId message { id } } } }`;
const DELETE = 'mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope media { id status url } } }';
const MEDIA = 'query($id: ID!) { media(id: $id) { id status url providerMediaId } }';

/** A caller who may change things: with an API key, where the server wants one. */
export class Mutations {
  constructor(
    private readonly client: Pick<Client, 'get'>,
    private readonly apiKey: string | null = null,
  ) {}

  upload(input: Readonly<Record<string, unknown>>): Promise<GraphQLAnswer<UploadData>> {
    return this.ask<UploadData>(UPLOAD, { input });
  }

  /** @throws Error where nothing was uploaded, or is being */
  async uploaded(input: Readonly<Record<string, unknown>>): Promise<MediaData & { readonly sha256: string | null }> {
    const { data, text } = await this.upload(input);
    if (!data?.uploadMediaFromUrl) throw new Error(`expected an upload, got ${text}`);
    return data.uploadMediaFromUrl.media;
  }

  delete(id: string): Promise<GraphQLAnswer<DeletionData>> {
    return this.ask<DeletionData>(DELETE, { id });
  }

  /** @throws Error where nothing was deleted */
  async deleted(id: string): Promise<{ readonly scope: string; readonly media: MediaData }> {
    const { data, text } = await this.delete(id);
    if (!data?.deleteMedia) throw new Error(`expected a deletion, got ${text}`);
    return data.deleteMedia;
  }

  /** What is known of a media; null = none that the caller may see. */
  async media(id: string): Promise<MediaData | null> {
    const { data, errors, text } = await this.ask<{ readonly media: MediaData | null }>(MEDIA, { id });
    if (errors.length > 0) throw new Error(`expected an answer without errors, got ${text}`);
    return data?.media ?? null;
  }

  async ask<Data>(query: string, variables: Readonly<Record<string, unknown>> = {}): Promise<GraphQLAnswer<Data>> {
    const { status, headers, bytes } = await this.client.get('/graphql', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.apiKey !== null && { authorization: `Bearer ${this.apiKey}` }),
      },
      body: JSON.stringify({ query, variables }),
    });
    const text = bytes.toString();
    const { data, errors = [] }: Partial<GraphQLAnswer<Data>> = JSON.parse(text);
    return { status, headers, text, data, errors };
  }
}

/** The code of each error. */
export function codesOf({ errors }: Pick<GraphQLAnswer<unknown>, 'errors'>): string[] {
  return errors.map(({ extensions }) => extensions.code);
}
