import type { Answer } from './faults.js';

const WINDOW_MS = 60 * 60 * 1000;
const BLOCKED_MS = 30 * 60 * 1000;
const FAILURES = 20;

/**
 * "20 failures in 60 minutes: blocked for 30 minutes", as Meta's partners document it for `GET /{media id}` (providers:
 * docs.360dialog.com, media). It is off by default, since Meta's own pages do not document it.
 */
export class LookUpLockOut {
  isOn = false;
  /** The number of all counted failures. */
  failures = 0;
  private recentFailures: number[] = [];
  private blockedUntil = 0;

  /** @param now milliseconds since the epoch */
  constructor(private readonly now: () => number) {}

  get isBlocked(): boolean {
    return this.isOn && this.now() < this.blockedUntil;
  }

  /** Counts the answer to a look-up if it is a failure, and returns it. */
  count(answer: Answer): Answer {
    if (!this.isOn || answer.status < 400 || answer.status >= 500) return answer;
    const now = this.now();
    this.failures += 1;
    this.recentFailures = [...this.recentFailures.filter((at) => at > now - WINDOW_MS), now];
    if (this.recentFailures.length >= FAILURES) this.blockedUntil = now + BLOCKED_MS;
    return answer;
  }
}
