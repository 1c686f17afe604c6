import type { Readable } from 'node:stream';

/** The size of a still in pixels. Each side is from 1 to {@link MAX_STILL_SIDE}. */
export interface StillSpec {
  readonly width: number;
  /** Null: the height that the picture's own aspect ratio gives. */
  readonly height: number | null;
  /** `cover` crops the middle to the requested shape, `contain` fits the whole picture inside. */
  readonly fit: 'cover' | 'contain';
  readonly format: 'jpeg' | 'png' | 'webp' | 'avif';
}

/** A side that every format supports. WebP's limit is the lowest (RFC 9649 section 2.5). */
export const MAX_STILL_SIDE = 16_383;

export interface RenderSource {
  /** The sniffed type. Its parameters are ignored. */
  readonly mimeType: string;
  /** Opens the original. Called once, when the job starts. The signal aborts when the bytes are no longer needed. */
  open(signal: AbortSignal): Promise<Readable>;
}

export interface Still {
  readonly bytes: Buffer;
  readonly mimeType: string;
}

/** The type of a base: the decoded original from which all stills are made. */
export const BASE_MIME_TYPE = 'image/webp';

/** What can be shown of a picture, page or video before it is opened. */
export interface Preview {
  /** The ThumbHash of the upright still, in base64. */
  readonly thumbHash: string;
  /** Pixels of the original as it is shown. Null for a page, which has none. */
  readonly width: number | null;
  readonly height: number | null;
  /** For types of {@link Renderer.baseTypes}: a picture from which every still of the original can be made. */
  readonly base: Still | null;
}

/**
 * AAC in MP4. The caller drains or destroys `body`. Its file is already unlinked and disappears when the body closes.
 */
export interface Playable {
  readonly body: Readable;
  readonly mimeType: string;
}

export interface RenderOptions {
  /** An aborted job rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Makes stills and playable sound from media. The work runs in other processes, without the environment of this one.
 * The results hold none of the original's metadata.
 *
 * Every job rejects with {@link Unrenderable} for bytes that will never render, with {@link RendererOverloaded} at once
 * when too many jobs wait, with a RangeError for a type outside of the set or an invalid spec, with the source's own
 * error, and with another Error for failures that a later attempt may not meet.
 */
export interface Renderer {
  /** The essences of which this machine can make a still. */
  readonly stillTypes: ReadonlySet<string>;
  /** Those of `stillTypes` that take long to decode. They are decoded once, into a base for all stills. */
  readonly baseTypes: ReadonlySet<string>;
  /** The essences of which this machine can make an AAC rendition. */
  readonly playableTypes: ReadonlySet<string>;
  /**
   * A still of the first frame or page: upright, in sRGB, and never larger than the original (with `cover` a small
   * original gives the requested shape). Transparency becomes white in a JPEG. A page of a PDF, which has no pixels,
   * counts as twice the requested size.
   */
  renderStill(source: RenderSource, spec: StillSpec, options: RenderOptions): Promise<Still>;
  /** The first audio stream, as long as the original. Mono stays mono, everything else becomes stereo. */
  renderPlayable(source: RenderSource, options: RenderOptions): Promise<Playable>;
  /** A ThumbHash, the size, and for `baseTypes` the base, from a single decoding of the original. */
  preview(source: RenderSource, options: RenderOptions): Promise<Preview>;
  /** The pages of a PDF. Null: pdfinfo is not installed, or the document needs a password. */
  pageCount(source: RenderSource, options: RenderOptions): Promise<number | null>;
  /** Aborts all jobs, and waits for their processes and folders to be gone. It may be called again. */
  close(): Promise<void>;
}

/** These bytes will never render. The message says why and names no file. */
export class Unrenderable extends Error {
  override readonly name = 'Unrenderable';
}

/** Too many jobs wait. A later attempt may succeed. */
export class RendererOverloaded extends Error {
  override readonly name = 'RendererOverloaded';
}
