import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { FormDataEncoder } from 'form-data-encoder';
import type { RequestBody } from './request-body.js';

export interface MultipartFile {
  /** The sender's file name. {@link multipartBody} makes it safe for the part's header. */
  readonly filename: string;
  /** The part's media type without parameters. */
  readonly mimeType: string;
  readonly sizeBytes: number;
  readonly body: Readable;
}

/** Large enough to be cheap, and small enough that a slow receiver's progress is visible. */
const MAX_CHUNK_BYTES = 64 * 1024;

/**
 * Builds a `multipart/form-data` body (RFC 7578) of a known length whose files are read while they are sent. A file of
 * another length than announced fails before the closing boundary, so that no receiver takes the body for complete.
 * @param fields our field names; the values may come from untrusted callers
 */
export function multipartBody(fields: Readonly<Record<string, string | MultipartFile>>): RequestBody {
  const form = new FormData();
  const files = Object.values(fields).filter((value) => typeof value !== 'string');
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, new StreamedFile(value));
  }
  // A boundary must be unpredictable, or a file could contain it. The library's own comes from Math.random.
  const encoder = new FormDataEncoder(form, `mediagraph-${randomBytes(24).toString('hex')}`);
  // A file may fail before it is read. Without a handler the error would end the process; reading throws the same error
  // later.
  for (const { body } of files) body.on('error', ignore);
  return {
    contentType: encoder.contentType,
    sizeBytes: Number(encoder.contentLength),
    chunks: () => chunksOf(encoder),
    destroy: () => {
      for (const { body } of files) body.destroy();
    },
  };
}

/** Looks like a file to the encoder, which reads its name, type and size only. */
class StreamedFile extends File {
  constructor(readonly source: MultipartFile) {
    // Some receivers decode `\"` in a quoted name and would miss the end of the name. The library encodes `"`.
    super([], source.filename.replace(/[\\\p{Cc}]/gu, '_'), { type: source.mimeType });
  }

  override get size(): number {
    return this.source.sizeBytes;
  }
}

// Replaces the encoder's own `encode()`, which copies chunks above 64 KiB from the wrong place (version 4.1.0 slices
// the underlying buffer without the chunk's offset).
async function* chunksOf(encoder: FormDataEncoder): AsyncGenerator<Uint8Array> {
  for (const part of encoder.values()) {
    if (part instanceof Uint8Array) yield part;
    else if (part instanceof StreamedFile) yield* fileChunks(part.source);
    else throw new TypeError('expected a part of this form, got another file');
  }
}

async function* fileChunks({ body, sizeBytes }: MultipartFile): AsyncGenerator<Uint8Array> {
  let passed = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError(`expected a body of bytes, got ${typeof chunk}`);
    passed += chunk.length;
    if (passed > sizeBytes) throw new RangeError(`expected a body of ${sizeBytes} bytes, got more`);
    for (let at = 0; at < chunk.length; at += MAX_CHUNK_BYTES) yield chunk.subarray(at, at + MAX_CHUNK_BYTES);
  }
  if (passed < sizeBytes) throw new RangeError(`expected a body of ${sizeBytes} bytes, got ${passed}`);
}

function ignore(): void {}
