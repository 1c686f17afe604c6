import type { Logger } from '../telemetry/logger.js';
import { JobQueue } from './job-queue.js';
import { LocalRenderer } from './local-renderer.js';
import { Pictures } from './pictures/pictures.js';
import type { Renderer } from './renderer.js';
import { findConfinement } from './tools/confinement.js';
import { removeStaleJobFolders } from './tools/job-folder.js';
import { findTools, logMissing } from './tools/tools.js';

export interface RendererOptions {
  /** How many jobs run at once. */
  readonly concurrency: number;
  /** How many jobs wait behind them; default 64. */
  readonly maxWaiting?: number;
  /** The limit on each step of a job: reading the original, running a program, a task of sharp. */
  readonly timeoutMs: number;
  /** The limit on width times height, of the original and of every intermediate picture. */
  readonly maxPixels: number;
  readonly maxSourceBytes: number;
  readonly logger: Logger;
  /** The folders in which programs are searched, as in PATH. '': none. */
  readonly path: string;
  /** How long the picture process stays without a task; default five minutes. */
  readonly idleMs?: number;
}

/** Searches the installed programs once. Renditions that need a missing one are not made, which is logged. */
export async function startRenderer(options: RendererOptions): Promise<Renderer> {
  const {
    concurrency,
    maxWaiting = 64,
    timeoutMs,
    maxPixels,
    maxSourceBytes,
    path,
    logger,
    idleMs = 300_000,
  } = options;
  const [tools, confinement] = await Promise.all([findTools(path), findConfinement(), removeStaleJobFolders()]);
  logMissing(tools, logger);
  return new LocalRenderer({
    tools,
    path,
    timeoutMs,
    maxPixels,
    maxSourceBytes,
    confinement,
    pictures: new Pictures({ timeoutMs, concurrency, idleMs, maxPixels, confinement }),
    queue: new JobQueue({ concurrency, maxWaiting }),
  });
}
