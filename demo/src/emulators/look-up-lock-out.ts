import type { Answer } from './faults.js';

const WINDOW_MS = 60 * 60 * 1000;
const BLOCKED_MS = 30 * 60 * 1000;
const FAILURES = 20;

/**
 * "20 failures in 60 minutes: blocked for 30 minutes", as Meta's partners report it of `GET /{media id}` (providers:
 * docs.360dialog.com, media). Off unless a test switches it on: Meta's own pages do not have it.
 */
export class LookUpLockOut {
  isOn = false;
  /** Failures that were counted, in all. */
  failures = 0;
  private recent: number[] = [];
  private blockedUntil = 0;

  /** @param now milliseconds since the epoch */
  constructor(private readonly now: () => number) {}

  get isBlocked(): boolean {
    return this.isOn && this.now() < this.blockedUntil;
  }

  /** Counts an answer to a look-up, and hands it on. */
  count(answer: Answer): Answer {
    if (!this.isOn || answer.status < 400 || answer.status >= 500) return answer;
    const now = this.now();
    this.failures += 1;
    this.recent = [...this.recent.filter((at) => at > now - WINDOW_MS), now];
    if (this.recent.length >= FAILURES) this.blockedUntil = now + BLOCKED_MS;
    return answer;
  }
}
