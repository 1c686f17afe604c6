import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type FileLike, FormDataEncoder, type FormDataEntryValue, type FormDataLike } from 'form-data-encoder';
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
  const files = Object.values(fields).filter((value) => typeof value !== 'string');
  const form = new StreamedForm(
    Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? value : new StreamedFile(value)]),
  );
  // A boundary must be unpredictable, or a file could contain it. The library's own comes from Math.random.
  const encoder = new FormDataEncoder(form, `mediagraph-${randomBytes(24).toString('hex')}`);
  // A file may fail before it is read. Without a handler the error would end the process; reading throws the same error
  // later.
  for (const { body } of files) body.on('error', ignore);
  return {
    contentType: encoder.contentType,
    sizeBytes: Number(encoder.contentLength),
    chunks: () => encoder.encode(),
    destroy: () => {
      for (const { body } of files) body.destroy();
    },
  };
}

type Entry = [name: string, value: FormDataEntryValue];

/** The `FormDataLike` of the encoder. Node's FormData would replace a file that is a stream by a Blob. */
class StreamedForm implements FormDataLike {
  readonly [Symbol.toStringTag] = 'FormData';

  constructor(private readonly fields: Entry[]) {}

  append(name: string, value: unknown): void {
    this.fields.push([name, String(value)]);
  }

  getAll(name: string): FormDataEntryValue[] {
    return this.fields.flatMap(([field, value]) => (field === name ? [value] : []));
  }

  entries(): IterableIterator<Entry> {
    return this.fields.values();
  }

  [Symbol.iterator](): IterableIterator<Entry> {
    return this.entries();
  }
}

/** The `FileLike` of the encoder: a name, a type, an announced size and the bytes. */
class StreamedFile implements FileLike {
  readonly [Symbol.toStringTag] = 'File';
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly lastModified = 0;

  constructor(private readonly source: MultipartFile) {
    // Some receivers decode `\"` in a quoted name and would miss the end of the name. The library encodes `"`.
    this.name = source.filename.replace(/[\\\p{Cc}]/gu, '_');
    // As the type of a File is (W3C File API, "Constructor"): no characters beyond ASCII, and in lower case.
    this.type = /^[ -~]*$/.test(source.mimeType) ? source.mimeType.toLowerCase() : '';
    this.size = source.sizeBytes;
  }

  /** Pieces of at most {@link MAX_CHUNK_BYTES}: larger ones the encoder would cut in the wrong place (version 4.1.0). */
  stream(): AsyncIterable<Uint8Array> {
    return fileChunks(this.source);
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
