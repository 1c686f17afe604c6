import { LRUCache } from 'lru-cache';

const REMEMBERED_PATHS = 50_000;
const REMEMBERED_FOR_MS = 60 * 60 * 1000;
/** How long a 404 may mean "not yet". */
const DOUBTED_FOR_MS = 60 * 1000;
const RETRY_AFTER_MS = 2_000;

interface Absence {
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
}

/** `later`: a first 404 may pass, so come back; `gone`: it did not. */
export type AbsenceVerdict = { readonly kind: 'later'; readonly retryAfterMs: number } | { readonly kind: 'gone' };

/**
 * A 404 of the gateway is doubted first: its documentation asks to retry "for eventual consistency", and a webhook may
 * be faster than the file it announces. Callers wait, not this: within a minute of the first 404 they are told when to
 * come back, and who comes sooner is answered without a call. A 404 that lasts longer is believed for an hour.
 */
export class Absences {
  readonly #seen = new LRUCache<string, Absence>({ max: REMEMBERED_PATHS });

  /** @param now milliseconds since the epoch */
  constructor(private readonly now: () => number) {}

  /** What is known without a call; null = ask. */
  recall(path: string): AbsenceVerdict | null {
    const absence = this.#seen.get(path);
    if (!absence) return null;
    const ageMs = this.now() - absence.lastSeenAt;
    if (isBelieved(absence)) {
      if (ageMs < REMEMBERED_FOR_MS) return { kind: 'gone' };
      this.#seen.delete(path);
      return null;
    }
    return ageMs < RETRY_AFTER_MS ? { kind: 'later', retryAfterMs: RETRY_AFTER_MS - ageMs } : null;
  }

  /** Notes a 404. */
  note(path: string): AbsenceVerdict {
    const lastSeenAt = this.now();
    const absence = { firstSeenAt: this.#seen.get(path)?.firstSeenAt ?? lastSeenAt, lastSeenAt };
    this.#seen.set(path, absence);
    return isBelieved(absence) ? { kind: 'gone' } : { kind: 'later', retryAfterMs: RETRY_AFTER_MS };
  }

  /** It is there after all. */
  forget(path: string): void {
    if (this.#seen.size > 0) this.#seen.delete(path);
  }
}

function isBelieved({ firstSeenAt, lastSeenAt }: Absence): boolean {
  return lastSeenAt - firstSeenAt >= DOUBTED_FOR_MS;
}
