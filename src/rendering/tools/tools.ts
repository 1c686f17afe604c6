import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Logger } from '../../telemetry/logger.js';
import { DOCUMENT, HEIF_PICTURES, PICTURES, SOUNDS, VIDEOS } from '../media-formats.js';

/** The commands of the installed programs. Null: not installed. */
export interface Tools {
  readonly ffmpeg: string | null;
  readonly pdftoppm: string | null;
  readonly pdfinfo: string | null;
  readonly heifConvert: string | null;
}

const ANSWER_WITHIN_MS = 5_000;

/** Looks for the programs' files, without running any. `path` is a list of folders as in PATH; '' finds nothing. */
export async function findTools(path: string): Promise<Tools> {
  return await toolsWhere((command) => hasProgram(command, path));
}

/** Those of the tools that can be run. Their version is asked for; a program may miss its interpreter or a library. */
export async function runnableTools(found: Tools, path: string): Promise<Tools> {
  const names = new Set(Object.values(found));
  return await toolsWhere(async (command, option) => names.has(command) && (await isRunnable(command, option, path)));
}

type Test = (command: string, option: string) => Promise<boolean>;

async function toolsWhere(has: Test): Promise<Tools> {
  const [ffmpeg, pdftoppm, pdfinfo, heifConvert, heifDec] = await Promise.all([
    has('ffmpeg', '-version'),
    has('pdftoppm', '-v'),
    has('pdfinfo', '-v'),
    has('heif-convert', '--version'),
    // The name of heif-convert since libheif 1.18.
    has('heif-dec', '--version'),
  ]);
  return {
    ffmpeg: ffmpeg ? 'ffmpeg' : null,
    pdftoppm: pdftoppm ? 'pdftoppm' : null,
    pdfinfo: pdfinfo ? 'pdfinfo' : null,
    heifConvert: heifDec ? 'heif-dec' : heifConvert ? 'heif-convert' : null,
  };
}

/** The essences of which sharp and these tools can make a still. */
export function stillTypesWith({ ffmpeg, pdftoppm, heifConvert }: Tools): ReadonlySet<string> {
  return new Set([
    ...PICTURES.keys(),
    ...(heifConvert === null ? [] : HEIF_PICTURES),
    ...(ffmpeg === null ? [] : VIDEOS.keys()),
    ...(pdftoppm === null ? [] : [DOCUMENT]),
  ]);
}

/**
 * The essences that a program has to decode before sharp can make a still. A PDF is none: each size is rendered from
 * the page.
 */
export function baseTypesWith({ ffmpeg, heifConvert }: Tools): ReadonlySet<string> {
  return new Set([...(heifConvert === null ? [] : HEIF_PICTURES), ...(ffmpeg === null ? [] : VIDEOS.keys())]);
}

/** The essences of which these tools can make sound that plays everywhere. */
export function playableTypesWith({ ffmpeg }: Tools): ReadonlySet<string> {
  return new Set(ffmpeg === null ? [] : SOUNDS.keys());
}

/** Logs one line with the missing programs and the renditions that are not made without them, if any is missing. */
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

async function hasProgram(command: string, path: string): Promise<boolean> {
  for (const folder of path.split(delimiter)) {
    const isThere = access(join(folder, command), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== '' && (await isThere)) return true;
  }
  return false;
}

/** Whether the program can be run. Its exit status does not matter, since not every version knows the option. */
async function isRunnable(command: string, option: string, path: string): Promise<boolean> {
  const child = spawn(command, [option], {
    env: { PATH: path },
    stdio: 'ignore',
    timeout: ANSWER_WITHIN_MS,
    killSignal: 'SIGKILL',
  });
  try {
    const [status]: Array<number | null> = await once(child, 'close');
    // 126 and 127: found, but not executable (POSIX, XCU section 2.8.2), or its libraries are missing (the dynamic
    // linker).
    return typeof status === 'number' && status < 126;
  } catch {
    return false;
  }
}
