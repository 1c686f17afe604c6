/** What the picture process reads, by the names that sharp reports. */
export type PictureFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'heif' | 'tiff';

/** Pictures that sharp decodes. */
export const PICTURES: ReadonlyMap<string, PictureFormat> = new Map([
  ['image/jpeg', 'jpeg'],
  ['image/png', 'png'],
  // Its first frame is that of a PNG, unless that is left out of the animation: then it is what old readers show.
  ['image/apng', 'png'],
  ['image/webp', 'webp'],
  ['image/gif', 'gif'],
  ['image/avif', 'heif'],
  ['image/tiff', 'tiff'],
]);

/** Pictures that may be sequences of which sharp finds no picture; ffmpeg's demuxer does. */
export const SEQUENCES: ReadonlyMap<string, string> = new Map([['image/avif', 'mov']]);

/** Pictures whose codec sharp does not have; their headers it reads. */
export const HEIF_PICTURES: ReadonlySet<string> = new Set([
  'image/heic',
  'image/heif',
  'image/heic-sequence',
  'image/heif-sequence',
]);

/** With ffmpeg's demuxer, which is named and never guessed: some of those that it would guess open further files. */
export const VIDEOS: ReadonlyMap<string, string> = new Map([
  ['video/mp4', 'mov'],
  ['video/x-m4v', 'mov'],
  ['video/3gpp', 'mov'],
  ['video/3gpp2', 'mov'],
  ['video/quicktime', 'mov'],
  ['video/webm', 'matroska'],
  ['video/matroska', 'matroska'],
  ['video/x-matroska', 'matroska'],
  ['video/vnd.avi', 'avi'],
  ['video/x-msvideo', 'avi'],
  ['video/mp2t', 'mpegts'],
  ['video/mpeg', 'mpeg'],
  ['video/mp1s', 'mpeg'],
  ['video/mp2p', 'mpeg'],
  ['video/x-flv', 'flv'],
  ['video/ogg', 'ogg'],
  ['video/x-ms-asf', 'asf'],
  ['video/x-ms-wmv', 'asf'],
]);

/** With ffmpeg's demuxer. */
export const SOUNDS: ReadonlyMap<string, string> = new Map([
  ['audio/ogg', 'ogg'],
  ['audio/amr', 'amr'],
  ['audio/3gpp', 'mov'],
  ['audio/webm', 'matroska'],
]);

export const DOCUMENT = 'application/pdf';
