import { readFileSync } from 'node:fs';

/** One attachment as a customer might send it. */
export interface MediaSample {
  readonly filename: string;
  /** The type as messengers send it, with parameters. */
  readonly mimeType: string;
  readonly bytes: Buffer;
}

export type SampleName = 'photo' | 'sticker' | 'voiceNote' | 'video' | 'document';
export type MediaSamples = Readonly<Record<SampleName, MediaSample>>;

/** The package's own folder: two levels above this file in `src/` as well as in `dist/`. */
const SAMPLES_FOLDER = new URL('../../../assets/samples/', import.meta.url);

let loaded: MediaSamples | null = null;

/** The files of `assets/samples/`, which are read at the first call. */
export function loadMediaSamples(): MediaSamples {
  loaded ??= {
    photo: readSample('photo.jpg', 'image/jpeg'),
    sticker: readSample('sticker.webp', 'image/webp'),
    voiceNote: readSample('voice-note.ogg', 'audio/ogg; codecs=opus'),
    video: readSample('video.mp4', 'video/mp4'),
    document: readSample('document.pdf', 'application/pdf'),
  };
  return loaded;
}

function readSample(filename: string, mimeType: string): MediaSample {
  return { filename, mimeType, bytes: readFileSync(new URL(filename, SAMPLES_FOLDER)) };
}
