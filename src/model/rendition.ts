/** What a delivery serves: the original bytes or a rendition of them. */
export type Rendition = typeof ORIGINAL | Still | typeof PLAYABLE;

export interface Still {
  readonly kind: 'still';
  /** Pixels, one of {@link STILL_SIZES}. */
  readonly width: number;
  /** null = follows from the picture's aspect ratio. */
  readonly height: number | null;
  readonly fit: 'cover' | 'contain';
}

export const ORIGINAL = { kind: 'original' } as const;
/** Audio that every browser plays: AAC in MP4. */
export const PLAYABLE = { kind: 'playable' } as const;

/** A short list, so that callers cannot fill the blob store with sizes. */
const STILL_SIZES = [64, 160, 320, 640, 1280, 2048] as const;
export const MAX_STILL_SIZE = 2048;

/** A still of the smallest offered size that is at least as large as requested, up to {@link MAX_STILL_SIZE}. */
export function stillOf(width: number, height: number | null, fit: Still['fit']): Still {
  return { kind: 'still', width: offeredSize(width), height: height === null ? null : offeredSize(height), fit };
}

function offeredSize(size: number): number {
  return STILL_SIZES.find((candidate) => candidate >= size) ?? MAX_STILL_SIZE;
}

/** Formats a rendition for URLs and blob keys: `still-320x240-cover`, `still-320-cover`, `playable`. */
export function formatRendition(rendition: Exclude<Rendition, typeof ORIGINAL>): string {
  if (rendition.kind === 'playable') return rendition.kind;
  const { width, height, fit } = rendition;
  return `still-${width}${height === null ? '' : `x${height}`}-${fit}`;
}

/** Parses what {@link formatRendition} writes. Returns null for any other text and for sizes that are not offered. */
export function parseRendition(text: string): Rendition | null {
  if (text === PLAYABLE.kind) return PLAYABLE;
  const [, width, height, fit] = /^still-(\d{2,4})(?:x(\d{2,4}))?-(cover|contain)$/.exec(text) ?? [];
  if (width === undefined) return null;
  const still: Still = {
    kind: 'still',
    width: Number(width),
    height: height === undefined ? null : Number(height),
    fit: fit === 'contain' ? 'contain' : 'cover',
  };
  const sizes: readonly number[] = STILL_SIZES;
  const known = [still.width, still.height ?? still.width].every((size) => sizes.includes(size));
  return known && formatRendition(still) === text ? still : null;
}
