import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { FormDataEncoder } from 'form-data-encoder';
import type { RequestBody } from './sent-body.js';

export interface MultipartFile {
  /** As people wrote it; made safe for a part's header here. */
  readonly filename: string;
  /** Of the part: an essence. */
  readonly mimeType: string;
  readonly sizeBytes: number;
  readonly body: Readable;
}

/** Large enough to cost little, small enough that a slow receiver is seen to be alive. */
const MAX_CHUNK_BYTES = 64 * 1024;

/**
 * `multipart/form-data` (RFC 7578) of a known length, whose files are read as they are sent. A file that is not as long
 * as announced fails before the closing boundary, so that no receiver can take the body for a whole one.
 * @param fields names of ours with what a caller or a stranger may have written
 */
export function multipartBody(fields: Readonly<Record<string, string | MultipartFile>>): RequestBody {
  const form = new FormData();
  const files = Object.values(fields).filter((value) => typeof value !== 'string');
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, new StreamedFile(value));
  }
  // No boundary that a file's author could foresee: the library's own is made of Math.random.
  const encoder = new FormDataEncoder(form, `mediagraph-${randomBytes(24).toString('hex')}`);
  // From now on, since a file may fail before it comes to be read; reading throws the same then.
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

/** What the encoder takes for a file: it reads name, type and size, and leaves the bytes to us. */
class StreamedFile extends File {
  constructor(readonly source: MultipartFile) {
    // Some receivers read `\"` in a quoted name as one character, and would miss the name's end. The library encodes `"`.
    super([], source.filename.replace(/[\\\p{Cc}]/gu, '_'), { type: source.mimeType });
  }

  override get size(): number {
    return this.source.sizeBytes;
  }
}

// Private: not the encoder's own `encode()`, which copies chunks above 64 KiB from the wrong place (version 4.1.0 slices
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
