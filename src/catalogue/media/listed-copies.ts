import type { Media } from '../../model/media.js';
import type { Listing } from './catalogued-media.js';

/** Whether a media of a listing gets a job that copies it. */
export function isToCopy({ copies }: Listing, { status }: Media): boolean {
  return copies.some((copied) => copied === status);
}
