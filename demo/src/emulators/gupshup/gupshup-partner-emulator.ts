import { Agent, request as sendRequest } from 'undici';
import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import { type FormPart, readForm } from '../multipart-form.js';
import { fileTypeRefusal, uploadLimitOf } from '../whatsapp/whatsapp-upload-rules.js';

export interface GupshupPartnerOptions {
  /** A UUID. */
  readonly appId: string;
  /** The only valid app token, without a scheme, in `Authorization` or in `token`. */
  readonly token: string;
  /** Milliseconds since the epoch, for the hourly limit on deletions. */
  readonly now?: () => number;
}

export interface GupshupUpload {
  /** Digits, as in Meta's ids. */
  readonly id: string;
  readonly bytes: Buffer;
  /** The type that the caller sent. */
  readonly fileType: string;
  readonly mode: 'file' | 'url';
}

/** The emulator's request to the URL of an upload. */
export interface GupshupFetch {
  readonly url: string;
  /** Null: there was no response. */
  readonly status: number | null;
}

const HOUR_MS = 60 * 60 * 1000;
const DELETIONS_PER_HOUR = 10;
/**
 * The limit of an upload: "File size exceeds the maximum limit!". The lower limits of some kinds apply when the media
 * is sent.
 */
const MAX_BYTES = 100_000_000;

/**
 * The media of Gupshup's Partner API: uploads of files, or of URLs that it fetches while the caller waits, and
 * deletions. Statuses and messages are the published ones (partner-docs.gupshup.io, post_partner-app-appid-media,
 * delete_partner-app-appid-media-mediaid, get_partner-app-appid-subscription, partner-rate-limits). The message for a
 * wrong token is that of other calls. The response to the eleventh deletion of an hour is not published.
 */
export class GupshupPartnerEmulator extends EmulatorServer {
  /** False: the app is not on the Cloud API. */
  isCloudApiApp = true;
  /** The status of a deletion above the limit: 429, or the documented 400 "temporarily blocked". */
  beyondDeletions: 400 | 429 = 429;

  private readonly media = new Map<string, GupshupUpload>();
  private readonly fetched: GupshupFetch[] = [];
  private readonly agent = new Agent();
  private readonly now: () => number;
  private deletions: number[] = [];
  private ids = 1_852_559_851_913_764;

  constructor(private readonly options: GupshupPartnerOptions) {
    super();
    this.now = options.now ?? Date.now;
  }

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.agent.destroy()]);
  }

  /** The `baseUrl` of a channel. */
  get baseUrl(): string {
    return this.url;
  }

  /** The uploads that were not deleted, oldest first. */
  get uploads(): readonly GupshupUpload[] {
    return [...this.media.values()];
  }

  /** The requests to the URLs of uploads, in order. */
  get fetches(): readonly GupshupFetch[] {
    return this.fetched;
  }

  protected answer({ method, path, headers }: EmulatorRequest, body: Buffer): Answer | Promise<Answer> {
    if (headers.authorization !== this.options.token && headers.token !== this.options.token)
      return this.errorAnswer(401);
    const { pathname } = splitPath(path);
    const isSubscriptions = pathname === `/partner/app/${this.options.appId}/subscription`;
    if (method === 'GET' && isSubscriptions) return json(200, { status: 'success', subscriptions: [] });
    const root = `/partner/app/${this.options.appId}/media`;
    if (method === 'POST' && (pathname === root || pathname === `${root}/`))
      return this.upload(body, headers['content-type']);
    if (method === 'DELETE' && pathname.startsWith(`${root}/`)) return this.delete(pathname.slice(root.length + 1));
    return this.errorAnswer(404);
  }

  protected errorAnswer(status: number): Answer {
    return refusal(status, MESSAGES[status] ?? 'Internal Server Error');
  }

  private async upload(body: Buffer, contentType: string | undefined): Promise<Answer> {
    if (!this.isCloudApiApp) return refusal(400, 'Only CAPI apps allowed to generate media ID');
    const form = await readForm(body, contentType);
    const fileType = form?.get('file_type');
    const type = typeof fileType === 'string' ? fileType : '';
    if (uploadLimitOf(type) === null) return refusal(400, fileTypeRefusal(type));
    const file = form?.get('file');
    const bytes = await this.bytesOf(file);
    if (bytes === null) return refusal(500, 'Unable to upload requested Media');
    if (bytes.length > MAX_BYTES) return this.errorAnswer(413);
    this.ids += 1;
    const id = String(this.ids);
    this.media.set(id, { id, bytes, fileType: type, mode: typeof file === 'string' ? 'url' : 'file' });
    return json(200, { mediaId: id, status: 'success' });
  }

  /** A part with a file name is the file. A part without one holds a URL. */
  private async bytesOf(file: FormPart | undefined): Promise<Buffer | null> {
    if (file === undefined) return null;
    return typeof file === 'string' ? await this.download(file) : file.bytes;
  }

  /** Fetches a URL without credentials. That redirects are not followed is our deduction. */
  private async download(url: string): Promise<Buffer | null> {
    let status: number | null = null;
    try {
      const { statusCode, body } = await sendRequest(url, { dispatcher: this.agent });
      status = statusCode;
      const bytes = Buffer.from(await body.arrayBuffer());
      return statusCode === 200 ? bytes : null;
    } catch {
      return null;
    } finally {
      this.fetched.push({ url, status });
    }
  }

  private delete(id: string): Answer {
    const now = this.now();
    this.deletions = this.deletions.filter((at) => at > now - HOUR_MS);
    if (this.deletions.length >= DELETIONS_PER_HOUR) return this.errorAnswerBeyond();
    this.deletions.push(now);
    if (!this.media.delete(id)) return refusal(400, 'Failed to delete media');
    return json(200, { message: 'Media deleted successfully', status: 'success' });
  }

  private errorAnswerBeyond(): Answer {
    if (this.beyondDeletions === 429) return this.errorAnswer(429);
    return refusal(400, 'The media deletion is temporarily blocked for this app due to previous errors');
  }
}

const MESSAGES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized Access',
  404: 'Not Found',
  413: 'File size exceeds the maximum limit!',
  429: 'Too Many Requests',
};

function refusal(status: number, message: string): Answer {
  return json(status, { message, status: 'error' });
}

function json(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
