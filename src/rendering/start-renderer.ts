import type { Logger } from '../telemetry/logger.js';
import { JobQueue } from './job-queue.js';
import { LocalRenderer } from './local-renderer.js';
import { Pictures } from './pictures/pictures.js';
import type { Renderer } from './renderer.js';
import { findConfinement } from './tools/confinement.js';
import { removeStaleJobFolders } from './tools/job-folder.js';
import { findTools, logMissing, runnableTools, type Tools } from './tools/tools.js';
import type { Workshop } from './tools/workshop.js';

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
  /** How long the picture process stays without a task; default one minute. */
  readonly idleMs?: number;
}

/**
 * Looks for the installed programs once. Renditions that need a missing one are not made, which is logged. Whether the
 * programs run, and how they can be confined, is tried out before the first job: it takes processes, and most servers
 * that start have nothing to render yet.
 */
export async function startRenderer(options: RendererOptions): Promise<Renderer> {
  const { concurrency, maxWaiting = 64, maxSourceBytes, path, logger } = options;
  const [tools] = await Promise.all([findTools(path), removeStaleJobFolders()]);
  logMissing(tools, logger);
  return new LocalRenderer({
    tools,
    openWorkshop: () => openWorkshop(tools, options),
    timeoutMs: options.timeoutMs,
    maxSourceBytes,
    queue: new JobQueue({ concurrency, maxWaiting }),
  });
}

async function openWorkshop(found: Tools, options: RendererOptions): Promise<Workshop> {
  const { concurrency, timeoutMs, maxPixels, path, logger, idleMs = 60_000 } = options;
  const [tools, confinement] = await Promise.all([runnableTools(found, path), findConfinement()]);
  const broken = Object.values(found).filter((name) => name !== null && !Object.values(tools).includes(name));
  if (broken.length > 0) logger.warn({ broken }, 'these programs are installed and cannot be run');
  const pictures = new Pictures({ timeoutMs, concurrency, idleMs, maxPixels, confinement });
  return { tools, path, timeoutMs, maxPixels, confinement, pictures };
}
