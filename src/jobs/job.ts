import type { ChannelId, TenantId } from '../model/channel.js';
import type { JobKind } from '../model/job-kind.js';

/** What a job is about. There is at most one open job of a kind for it. */
export interface JobSubject {
  /** Empty: the job is no tenant's. */
  readonly tenant: TenantId;
  /** The id of a media or of a webhook event; what the kind says. */
  readonly key: string;
}

export interface NewJob extends JobSubject {
  readonly kind: JobKind;
  /** null: the job concerns no channel. */
  readonly channelId: ChannelId | null;
  readonly dueAt: Date;
  /** What the kind needs besides the subject; JSON. */
  readonly payload?: object;
}

/** The lease of a job: enough to renew, end or postpone it. */
export interface JobLease {
  readonly id: number;
  readonly owner: string;
}

/** What earlier attempts at a job tell of it. */
export interface JobHistory {
  /** The job was under way when a process died, and runs alone. */
  readonly suspect: boolean;
  /** How often its lease ran out instead of being handed back. */
  readonly interruptions: number;
  /** How often its process died while it performed this job alone. */
  readonly deaths: number;
}

/** A job that its claimer performs, under a lease. */
export interface ClaimedJob extends JobLease, JobSubject, JobHistory {
  readonly kind: JobKind;
  readonly channelId: ChannelId | null;
  /** How often the job was claimed, this time included. */
  readonly attempts: number;
  /** The time from which attempts and deadlines count; a new announcement or a retry begins anew. */
  readonly since: Date;
  /** JSON as it was added. */
  readonly payload: unknown;
}

/** After so many deaths of a process that performed a job alone, the job is not begun again. */
export const MAX_DEATHS = 3;
/** How long a lease lasts, in milliseconds. A third of it passes between two renewals, so that one may fail. */
export const LEASE_MS = 15_000;
/** A job of this or a later rank has no deadline: its rank only orders it after those that have one. */
export const NO_DEADLINE = new Date('9999-01-01T00:00:00Z');
