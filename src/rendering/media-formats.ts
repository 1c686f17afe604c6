/** The formats that the picture process reads, by sharp's names. */
export type PictureFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'heif' | 'tiff';

/** The pictures that sharp decodes, with their format. */
export const PICTURES: ReadonlyMap<string, PictureFormat> = new Map([
  ['image/jpeg', 'jpeg'],
  ['image/png', 'png'],
  // sharp decodes the default image. It is the first frame, or what decoders without animation show instead.
  ['image/apng', 'png'],
  ['image/webp', 'webp'],
  ['image/gif', 'gif'],
  ['image/avif', 'heif'],
  ['image/tiff', 'tiff'],
]);

/** Types whose files may be sequences without a picture that sharp finds, with ffmpeg's demuxer for them. */
export const SEQUENCES: ReadonlyMap<string, string> = new Map([['image/avif', 'mov']]);

/** Pictures of which sharp reads the header, but lacks the codec. */
export const HEIF_PICTURES: ReadonlySet<string> = new Set([
  'image/heic',
  'image/heif',
  'image/heic-sequence',
  'image/heif-sequence',
]);

/** Videos, with ffmpeg's demuxer. It is named because some demuxers that ffmpeg would guess open further files. */
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

/** Sound of which an AAC rendition is made, with ffmpeg's demuxer. */
export const SOUNDS: ReadonlyMap<string, string> = new Map([
  ['audio/ogg', 'ogg'],
  ['audio/amr', 'amr'],
  ['audio/3gpp', 'mov'],
  ['audio/webm', 'matroska'],
]);

export const DOCUMENT = 'application/pdf';
