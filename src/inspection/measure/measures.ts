/**
 * Pixels as a browser shows them, after orientation and cropping. Null: the bytes do not tell, or the value is
 * implausible.
 */
export interface Measures {
  readonly width: number | null;
  readonly height: number | null;
  readonly durationSeconds: number | null;
}

/** VIDEO where at least one track of a container is video; AUDIO where all of its tracks are sound. */
export type TrackKind = 'VIDEO' | 'AUDIO';

/** What one measure function read, not checked for plausibility yet. An absent property was not found. */
export interface RawMeasures extends Partial<Measures> {
  /** Only of a container whose tracks were read. */
  readonly trackKind?: TrackKind | null;
  /** True: the length was extrapolated from a part of the media. */
  readonly isEstimate?: boolean;
}

export function trackKindOf(tracks: { readonly hasVideo: boolean; readonly hasSound: boolean }): TrackKind | null {
  if (tracks.hasVideo) return 'VIDEO';
  return tracks.hasSound ? 'AUDIO' : null;
}
