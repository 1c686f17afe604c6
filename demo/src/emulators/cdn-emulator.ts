import { createHmac, randomBytes } from 'node:crypto';
import { EmulatorServer, splitPath } from './emulator-server.js';
import type { Answer, EmulatorRequest } from './faults.js';

export interface CdnFile {
  readonly bytes: Buffer;
  readonly mimeType: string;
}

export interface CdnFileOptions {
  /** The `Content-Type`, which may be wrong. Default: the file's own type. Null: no such header. */
  readonly contentType?: string | null;
  /** The whole header, for example `inline; filename="photo.jpg"`. */
  readonly contentDisposition?: string;
  /** True: only a {@link CdnEmulator.signedUrl} opens the file. */
  readonly private?: boolean;
  /** True: answers without Content-Length. */
  readonly chunked?: boolean;
}

export interface CdnOptions {
  /** Milliseconds since the epoch, by which signed URLs expire. */
  readonly now?: () => number;
}

interface StoredFile {
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly private: boolean;
  readonly chunked: boolean;
}

/**
 * The origin behind the providers' redirects: public files, and S3-like signed ones. It rejects requests with an
 * `Authorization` header, as such origins do when the query is signed ("Only one auth mechanism allowed"), so that a
 * client that forwards credentials across a redirect fails instead of leaking them unnoticed.
 */
export class CdnEmulator extends EmulatorServer {
  private readonly files = new Map<string, StoredFile>();
  private readonly signingKey = randomBytes(32);
  private readonly now: () => number;

  constructor(options: CdnOptions = {}) {
    super();
    this.now = options.now ?? Date.now;
  }

  /** Stores or replaces the file at `/{key}`. It may be called before start(). */
  put(key: string, file: CdnFile, options: CdnFileOptions = {}): void {
    const contentType = options.contentType === undefined ? file.mimeType : options.contentType;
    this.files.set(key, {
      bytes: file.bytes,
      headers: {
        ...(contentType === null ? {} : { 'content-type': contentType }),
        ...(options.contentDisposition === undefined ? {} : { 'content-disposition': options.contentDisposition }),
        'accept-ranges': 'bytes',
        'last-modified': new Date(this.now()).toUTCString(),
      },
      private: options.private ?? false,
      chunked: options.chunked ?? false,
    });
  }

  remove(key: string): void {
    this.files.delete(key);
  }

  publicUrl(key: string): string {
    return this.url + pathOf(key);
  }

  /** A URL that expires `lifetimeMs` from now. */
  signedUrl(key: string, lifetimeMs: number): string {
    const expires = Math.floor((this.now() + lifetimeMs) / 1000);
    return `${this.publicUrl(key)}?Expires=${expires}&Signature=${this.sign(key, String(expires))}`;
  }

  protected answer(request: EmulatorRequest): Answer {
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.errorAnswer(405);
    if (request.headers.authorization !== undefined) {
      const message =
        'Only one auth mechanism allowed; only the Signature query string parameter or the Authorization header should be specified';
      return xmlError(400, 'InvalidArgument', message);
    }
    const { pathname, query } = splitPath(request.path);
    const key = keyOf(pathname);
    const file = key === null ? undefined : this.files.get(key);
    const refusal = this.checkSignature(key, new URLSearchParams(query), file?.private ?? false);
    if (refusal) return refusal;
    if (!file) return xmlError(404, 'NoSuchKey', 'The specified key does not exist.');
    const { bytes, headers, chunked } = file;
    return { status: 200, headers, body: bytes, chunked, isFile: true };
  }

  protected errorAnswer(status: number): Answer {
    return xmlError(status, ERROR_CODES[status] ?? 'InternalError', `The request was answered with ${status}.`);
  }

  private checkSignature(key: string | null, query: URLSearchParams, isPrivate: boolean): Answer | null {
    const expires = query.get('Expires');
    const signature = query.get('Signature');
    if (expires === null && signature === null)
      return isPrivate ? xmlError(403, 'AccessDenied', 'Access Denied') : null;
    if (key === null || expires === null || signature !== this.sign(key, expires)) {
      return xmlError(403, 'SignatureDoesNotMatch', 'The request signature we calculated does not match.');
    }
    return Number(expires) * 1000 <= this.now() ? xmlError(403, 'AccessDenied', 'Request has expired') : null;
  }

  private sign(key: string, expires: string): string {
    return createHmac('sha256', this.signingKey).update(`${expires} ${key}`).digest('hex');
  }
}

const ERROR_CODES: Readonly<Record<number, string>> = {
  400: 'InvalidRequest',
  403: 'AccessDenied',
  404: 'NoSuchKey',
  405: 'MethodNotAllowed',
  416: 'InvalidRange',
  429: 'SlowDown',
  503: 'SlowDown',
};

function xmlError(status: number, code: string, message: string): Answer {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return { status, headers: { 'content-type': 'application/xml' }, body };
}

function pathOf(key: string): string {
  return `/${key.split('/').map(encodeURIComponent).join('/')}`;
}

function keyOf(pathname: string): string | null {
  try {
    return decodeURIComponent(pathname.slice(1));
  } catch {
    return null;
  }
}
