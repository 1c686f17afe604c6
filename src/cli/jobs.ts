import { type JobQueue, openJobQueue } from '../app/stores.js';
import { type CountsByKind, JOB_KINDS, type JobKind } from '../model/job-kind.js';
import { EXIT_BAD_CONFIG } from './check-config.js';
import { type StoresCommand, withConfig } from './with-stores.js';

const ACTIONS = ['list', 'pause', 'resume'] as const;
type Action = (typeof ACTIONS)[number];

export interface JobsCommand extends StoresCommand {
  /** As it was typed. */
  readonly action: string;
  /** As they were typed. */
  readonly kinds: readonly string[];
  readonly json: boolean;
}

/**
 * `mediagraph jobs`: lists the kinds of background jobs, pauses or resumes some, and prints what was listed or changed.
 * Resolves to the exit status: 2 for faulty arguments or a faulty configuration, 1 when the database cannot be queried.
 */
export async function jobsCommand({ action, kinds, json, ...command }: JobsCommand): Promise<number> {
  const wanted = judgeArguments(action, kinds);
  if (typeof wanted === 'string') {
    command.stderr.write(`error: ${wanted}\n`);
    return EXIT_BAD_CONFIG;
  }
  return withConfig(command, async (config, logger) => {
    const queue = await openJobQueue(config, logger);
    try {
      await carryOut(queue, wanted);
      const rows = rowsOf(await queue.jobs.counts(), wanted.kinds, queue.clock.now());
      command.stdout.write(json ? `${JSON.stringify(rows)}\n` : formatTable(rows));
    } finally {
      await queue.close();
    }
  });
}

interface Wanted {
  readonly action: Action;
  readonly kinds: readonly JobKind[];
}

/** What the arguments ask for, or their fault. */
function judgeArguments(action: string, kinds: readonly string[]): Wanted | string {
  const known = ACTIONS.find((one) => one === action);
  if (known === undefined) return `expected one of ${ACTIONS.join(', ')}, got ${JSON.stringify(action)}`;
  const unknown = kinds.find((kind) => !JOB_KINDS.some((one) => one === kind));
  if (unknown !== undefined) return `expected a kind of ${JOB_KINDS.join(', ')}, got ${JSON.stringify(unknown)}`;
  if (known !== 'list' && kinds.length === 0)
    return `expected the kinds to ${known} after ${known}, some of ${JOB_KINDS.join(', ')}, got none`;
  return { action: known, kinds: JOB_KINDS.filter((kind) => kinds.length === 0 || kinds.includes(kind)) };
}

async function carryOut({ jobs, wake }: JobQueue, { action, kinds }: Wanted): Promise<void> {
  if (action === 'list') return;
  for (const kind of kinds) await jobs[action](kind);
  if (action === 'resume') await wake(kinds);
}

/** One kind, as it is printed. */
interface Row {
  readonly id: JobKind;
  readonly open: number;
  readonly due: number;
  readonly running: number;
  readonly dead: number;
  readonly paused: boolean;
  /** How long the job that has been due longest waits; null where none is due. */
  readonly oldestDueAgeSeconds: number | null;
}

function rowsOf(counts: CountsByKind, kinds: readonly JobKind[], now: number): Row[] {
  return kinds.map((id) => {
    const { open, due, running, dead, isPaused: paused, oldestDueAt } = counts[id];
    const oldestDueAgeSeconds = oldestDueAt && Math.max(0, Math.floor((now - oldestDueAt.getTime()) / 1000));
    return { id, open, due, running, dead, paused, oldestDueAgeSeconds };
  });
}

const COLUMNS = ['kind', 'open', 'due', 'running', 'dead', 'paused', 'oldest due'] as const;

function formatTable(rows: readonly Row[]): string {
  const cells = rows.map(({ id, open, due, running, dead, paused, oldestDueAgeSeconds: age }) => [
    ...[id, `${open}`, `${due}`, `${running}`, `${dead}`, paused ? 'yes' : 'no', age === null ? '-' : `${age}s`],
  ]);
  const table = [[...COLUMNS], ...cells];
  const widths = COLUMNS.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  const lines = table.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
