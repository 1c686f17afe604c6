import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Logger } from '../../telemetry/logger.js';
import { DOCUMENT, HEIF_PICTURES, PICTURES, SOUNDS, VIDEOS } from '../media-formats.js';

/** Programs that are there; null: not installed. */
export interface Tools {
  readonly ffmpeg: string | null;
  readonly pdftoppm: string | null;
  readonly pdfinfo: string | null;
  readonly heifConvert: string | null;
}

const ANSWER_WITHIN_MS = 5_000;

/** Asks each program that could be used for its version. `path` is a list of folders as in PATH; '' would be this one. */
export async function findTools(path: string): Promise<Tools> {
  if (path === '') return { ffmpeg: null, pdftoppm: null, pdfinfo: null, heifConvert: null };
  const [ffmpeg, pdftoppm, pdfinfo, heifConvert, heifDec] = await Promise.all([
    answers('ffmpeg', '-version', path),
    answers('pdftoppm', '-v', path),
    answers('pdfinfo', '-v', path),
    answers('heif-convert', '--version', path),
    // Its name since libheif 1.18.
    answers('heif-dec', '--version', path),
  ]);
  return {
    ffmpeg: ffmpeg ? 'ffmpeg' : null,
    pdftoppm: pdftoppm ? 'pdftoppm' : null,
    pdfinfo: pdfinfo ? 'pdfinfo' : null,
    heifConvert: heifDec ? 'heif-dec' : heifConvert ? 'heif-convert' : null,
  };
}

/** Essences of which these tools, and sharp, can make a still. */
export function stillTypesWith({ ffmpeg, pdftoppm, heifConvert }: Tools): ReadonlySet<string> {
  return new Set([
    ...PICTURES.keys(),
    ...(heifConvert === null ? [] : HEIF_PICTURES),
    ...(ffmpeg === null ? [] : VIDEOS.keys()),
    ...(pdftoppm === null ? [] : [DOCUMENT]),
  ]);
}

/** Those that a program of its own has to decode before sharp can make a still, and that have the same pixels for all. */
export function baseTypesWith({ ffmpeg, heifConvert }: Tools): ReadonlySet<string> {
  return new Set([...(heifConvert === null ? [] : HEIF_PICTURES), ...(ffmpeg === null ? [] : VIDEOS.keys())]);
}

/** Essences of which these tools can make sound that plays everywhere. */
export function playableTypesWith({ ffmpeg }: Tools): ReadonlySet<string> {
  return new Set(ffmpeg === null ? [] : SOUNDS.keys());
}

/** One line that names what is not installed and what is not made for that; none when everything is there. */
export function logMissing({ ffmpeg, pdftoppm, heifConvert }: Tools, logger: Logger): void {
  const missing = [
    ...(ffmpeg === null ? ['ffmpeg'] : []),
    ...(pdftoppm === null ? ['pdftoppm'] : []),
    ...(heifConvert === null ? ['heif-convert'] : []),
  ];
  if (missing.length === 0) return;
  const notMade = [
    ...(ffmpeg === null ? ['stills of videos', 'playable voice notes'] : []),
    ...(pdftoppm === null ? ['stills of PDF'] : []),
    ...(heifConvert === null ? ['stills of HEIC'] : []),
  ];
  logger.info({ missing, notMade }, `not installed: ${missing.join(', ')}; not made: ${notMade.join(', ')}`);
}

/** Any answer will do, whatever its status: not every version knows the option. */
async function answers(command: string, option: string, path: string): Promise<boolean> {
  const child = spawn(command, [option], {
    env: { PATH: path },
    stdio: 'ignore',
    timeout: ANSWER_WITHIN_MS,
    killSignal: 'SIGKILL',
  });
  try {
    const [status]: Array<number | null> = await once(child, 'close');
    // 126 and 127: found, but it cannot be run (POSIX, XCU section 2.8.2; the dynamic linker too).
    return typeof status === 'number' && status < 126;
  } catch {
    return false;
  }
}
