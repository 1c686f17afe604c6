import type { CSSProperties } from 'react';

/** What is not known yet, and what was awaited, is shown in this shape. */
const USUAL_RATIO = 4 / 3;
/** Longer than this is cut off: a panorama would be a line, a screenshot would fill the page. */
const NARROWEST = 3 / 4;
const WIDEST = 2;

interface Sized {
  readonly width: number | null;
  readonly height: number | null;
}

/** The place that a picture takes before a byte of it is here. */
export function frameOf({ width, height }: Sized, keepsFrame = false): CSSProperties {
  const ratio = keepsFrame || !width || !height ? USUAL_RATIO : width / height;
  return { aspectRatio: Math.min(Math.max(ratio, NARROWEST), WIDEST) };
}
