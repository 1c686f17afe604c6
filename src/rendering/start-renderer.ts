import type { Logger } from '../telemetry/logger.js';
import { JobQueue } from './job-queue.js';
import { LocalRenderer } from './local-renderer.js';
import { Pictures } from './pictures/pictures.js';
import type { Renderer } from './renderer.js';
import { findConfinement } from './tools/confinement.js';
import { removeLeftBehind } from './tools/job-folder.js';
import { findTools, logMissing } from './tools/tools.js';

export interface RendererOptions {
  /** How many jobs at once. */
  readonly concurrency: number;
  /** How many jobs wait behind them; default 64. */
  readonly maxWaiting?: number;
  /** The longest that one step of a job may take: reading the original, a program's run, sharp's work. */
  readonly timeoutMs: number;
  /** Of the original and everything between it and the still: width times height. */
  readonly maxPixels: number;
  readonly maxSourceBytes: number;
  readonly logger: Logger;
  /** Where programs are looked for, a list of folders as in PATH; '' looks nowhere. */
  readonly path: string;
  /** How long the picture process stays when there is nothing to do; default five minutes. */
  readonly idleMs?: number;
}

/** Looks once for the programs that are there; what is missing is logged, and not made. */
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
  const [tools, confinement] = await Promise.all([findTools(path), findConfinement(), removeLeftBehind()]);
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
