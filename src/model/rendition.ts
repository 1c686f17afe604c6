/** What of a media is served: its own bytes, or something made from them. */
export type Rendition = typeof ORIGINAL | Still | typeof PLAYABLE;

export interface Still {
  readonly kind: 'still';
  /** Pixels, one of {@link STILL_SIZES}. */
  readonly width: number;
  /** null: as the picture's shape has it. */
  readonly height: number | null;
  readonly fit: 'cover' | 'contain';
}

export const ORIGINAL = { kind: 'original' } as const;
/** Sound that every browser plays: AAC in MP4. */
export const PLAYABLE = { kind: 'playable' } as const;

/** Few, so that sizes cannot fill the store. */
const STILL_SIZES = [64, 160, 320, 640, 1280, 2048] as const;
export const MAX_STILL_SIZE = 2048;

/** A still that is at least so large, as far as {@link MAX_STILL_SIZE} goes. */
export function stillOf(width: number, height: number | null, fit: Still['fit']): Still {
  return { kind: 'still', width: rendered(width), height: height === null ? null : rendered(height), fit };
}

function rendered(size: number): number {
  return STILL_SIZES.find((candidate) => candidate >= size) ?? MAX_STILL_SIZE;
}

/** As it stands in URLs and blob keys: `still-320x240-cover`, `still-320-cover`, `playable`. */
export function formatRendition(rendition: Exclude<Rendition, typeof ORIGINAL>): string {
  if (rendition.kind === 'playable') return rendition.kind;
  const { width, height, fit } = rendition;
  return `still-${width}${height === null ? '' : `x${height}`}-${fit}`;
}

/** null for what {@link formatRendition} cannot have written of a still that is rendered. */
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
