/** Pixels as a browser shows them, orientation and cropping applied; null: not told, or not to be believed. */
export interface Measures {
  readonly width: number | null;
  readonly height: number | null;
  readonly durationSeconds: number | null;
}

/** What the tracks of a container are: VIDEO where one of them is a video, AUDIO where there is sound alone. */
export type Tracks = 'VIDEO' | 'AUDIO';

/** What a measurer found; absent: not told. */
export interface Found extends Partial<Measures> {
  /** Of a container whose tracks were read. */
  readonly tracks?: Tracks | null;
  /** The length is that of a part, and the rest was taken to be like it. */
  readonly isGuess?: boolean;
}

/** @param kinds of the tracks that were found, in any order */
export function tracksOf(kinds: { readonly hasVideo: boolean; readonly hasSound: boolean }): Tracks | null {
  if (kinds.hasVideo) return 'VIDEO';
  return kinds.hasSound ? 'AUDIO' : null;
}
