/** What the picture process reads, by the names that sharp reports. */
export type PictureFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'heif';

/** Pictures that sharp decodes. */
export const PICTURES: ReadonlyMap<string, PictureFormat> = new Map([
  ['image/jpeg', 'jpeg'],
  ['image/png', 'png'],
  ['image/webp', 'webp'],
  ['image/gif', 'gif'],
  ['image/avif', 'heif'],
]);

/** Pictures whose codec sharp does not have; their headers it reads. */
export const HEIF_PICTURES: ReadonlySet<string> = new Set(['image/heic', 'image/heif']);

/** With ffmpeg's demuxer, which is named and never guessed: some of those that it would guess open further files. */
export const VIDEOS: ReadonlyMap<string, string> = new Map([
  ['video/mp4', 'mov'],
  ['video/3gpp', 'mov'],
  ['video/quicktime', 'mov'],
  ['video/webm', 'matroska'],
]);

/** With ffmpeg's demuxer. */
export const SOUNDS: ReadonlyMap<string, string> = new Map([
  ['audio/ogg', 'ogg'],
  ['audio/amr', 'amr'],
  ['audio/3gpp', 'mov'],
  ['audio/webm', 'matroska'],
]);

export const DOCUMENT = 'application/pdf';
