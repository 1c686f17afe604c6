/**
 * The kinds of background work:
 * `webhook` reads a stored webhook body, `copy` stores a provider's bytes here, `upload` carries out `uploadMediaFromUrl`,
 * `deletion` finishes a deletion that a crash interrupted, `removal` removes what a deleted media leaves (bytes, CDN),
 * `inspection` looks at bytes that were stored before they were looked at, `sweep` expires media and removes orphans.
 */
export const JOB_KINDS = ['webhook', 'copy', 'upload', 'deletion', 'removal', 'inspection', 'sweep'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

/** What operators see of the jobs of one kind. */
export interface JobCounts {
  /** Jobs that wait or are under way. */
  readonly open: number;
  /** Open jobs that a process may begin now, were the kind not paused. */
  readonly due: number;
  /** Open jobs that a process performs. */
  readonly running: number;
  /** Dead letters. */
  readonly dead: number;
  /** Whether no process begins jobs of this kind. */
  readonly isPaused: boolean;
  /** From when on the job is due that has been due longest; null where none is due. */
  readonly oldestDueAt: Date | null;
  /** The earliest time after which the provider no longer has the bytes that an open job needs; null where none is known. */
  readonly deadline: Date | null;
  /** The largest share of the time between the beginning of an open job and its deadline that has passed; 0 without one. */
  readonly deadlineUsed: number;
}

export type CountsByKind = Readonly<Record<JobKind, JobCounts>>;
