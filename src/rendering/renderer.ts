import type { Readable } from 'node:stream';

/** In pixels, each at least 1 and at most {@link MAX_STILL_SIDE}. */
export interface StillSpec {
  readonly width: number;
  /** null: as the picture's own shape has it. */
  readonly height: number | null;
  /** `cover` crops the middle to the shape asked for, `contain` fits the whole inside. */
  readonly fit: 'cover' | 'contain';
  readonly format: 'jpeg' | 'png' | 'webp' | 'avif';
}

/** What every format can hold; WebP's is the lowest limit (RFC 9649 section 2.5). */
export const MAX_STILL_SIDE = 16_383;

export interface RenderSource {
  /** What the bytes are, by their signature; parameters are ignored. */
  readonly mimeType: string;
  /** The original bytes. Called once, when the job's turn has come; the signal aborts when they are wanted no more. */
  open(signal: AbortSignal): Promise<Readable>;
}

export interface Still {
  readonly bytes: Buffer;
  readonly mimeType: string;
}

/** What stills are made from where the original was decoded once for all of them. */
export const BASE_MIME_TYPE = 'image/webp';

/** What a picture, page or video is known by before it is opened. */
export interface Preview {
  /** Of the upright still, in base64. */
  readonly thumbHash: string;
  /** Pixels of the original as it is shown; null: a page has none. */
  readonly width: number | null;
  readonly height: number | null;
  /** For types of {@link Renderer.baseTypes}: what every still of the original can be made from. */
  readonly base: Still | null;
}

/** AAC in MP4. The caller drains or destroys `body`: its file has no name and is gone when the body closes. */
export interface Playable {
  readonly body: Readable;
  readonly mimeType: string;
}

export interface RenderOptions {
  /** Its reason is what an aborted job rejects with. */
  readonly signal?: AbortSignal;
}

/**
 * Makes pictures and sound from media. All of it happens in other processes, without the environment of this one, and
 * what is made has none of the original's metadata.
 *
 * Every job rejects with {@link Unrenderable} for bytes that will never render, with {@link RendererOverloaded} at once
 * when too many wait, with a RangeError for a type that is not in the set or a spec that is none, with whatever the
 * source fails with, and with another Error for what may go better next time.
 */
export interface Renderer {
  /** Essences of which a still can be made on this machine. */
  readonly stillTypes: ReadonlySet<string>;
  /** Of these, essences whose decoding takes long: it is done once, and stills are made from what it gave. */
  readonly baseTypes: ReadonlySet<string>;
  /** Essences of which an AAC rendition can be made on this machine. */
  readonly playableTypes: ReadonlySet<string>;
  /**
   * Of the first frame or page: upright, in sRGB, never larger than the original (with `cover` it then has the shape that
   * was asked for). Transparent becomes white in a JPEG. A page of a PDF, which has no pixels, counts as twice the size.
   */
  renderStill(source: RenderSource, spec: StillSpec, options: RenderOptions): Promise<Still>;
  /** The first audio stream, as long as the original; mono stays mono, everything else is stereo. */
  renderPlayable(source: RenderSource, options: RenderOptions): Promise<Playable>;
  /** The original is decoded once, whatever is made of it. */
  preview(source: RenderSource, options: RenderOptions): Promise<Preview>;
  /** Of a PDF; null where nothing here can count them, and for documents that open with a password only. */
  pageCount(source: RenderSource, options: RenderOptions): Promise<number | null>;
  /** Ends all jobs, their processes and folders. Harmless when repeated. */
  close(): Promise<void>;
}

/** These bytes will never render. The message says why and names no file. */
export class Unrenderable extends Error {
  override readonly name = 'Unrenderable';
}

/** Too many jobs wait: this one may be tried again later. */
export class RendererOverloaded extends Error {
  override readonly name = 'RendererOverloaded';
}
