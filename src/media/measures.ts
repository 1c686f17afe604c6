/** Pixels as a browser shows them, orientation and cropping applied; null: not told, or not to be believed. */
export interface Measures {
  readonly width: number | null;
  readonly height: number | null;
  readonly durationSeconds: number | null;
}
