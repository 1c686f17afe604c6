import type { Logger } from './logger.js';

const SHORTEST_PAUSE_MS = 5_000;
/** So an answer to a webhook, 99 of 100 of which are out within 100 ms, seldom waits behind it on the embedded database. */
const PAUSE_PER_TIME_TAKEN = 200;

/** A question that may take its time: asked by one at once, and for a two-hundredth of the time at most. */
export class PacedQuestion<Answer> {
  #answer: Answer | null = null;
  #asking: Promise<void> | null = null;
  #askAgainAt = 0;

  constructor(
    private readonly ask: () => Promise<Answer>,
    private readonly logger: Logger,
  ) {}

  /** The last answer; null where there is none, or the last question failed. */
  get answer(): Answer | null {
    return this.#answer;
  }

  /** Asks anew if it is time to; resolves then, or after the patience, and never rejects. */
  async refresh(patienceMs: number): Promise<void> {
    if (performance.now() >= this.#askAgainAt) this.#asking ??= this.#ask();
    if (this.#asking) await succeedsInTime(this.#asking, patienceMs);
  }

  /** Whatever was answered is no longer so. */
  forget(): void {
    this.#answer = null;
    this.#askAgainAt = 0;
  }

  async #ask(): Promise<void> {
    const startedAt = performance.now();
    try {
      this.#answer = await this.ask();
    } catch (err) {
      this.#answer = null;
      this.logger.warn({ err }, 'what is in the database could not be counted; metrics leave it out');
    }
    const endedAt = performance.now();
    this.#askAgainAt = endedAt + Math.max(SHORTEST_PAUSE_MS, PAUSE_PER_TIME_TAKEN * (endedAt - startedAt));
    this.#asking = null;
  }
}

/** false: it failed, or takes longer. */
export async function succeedsInTime(asked: Promise<void>, patienceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false);
  });
  const answered = asked.then(
    () => true,
    () => false,
  );
  return Promise.race([answered, late]).finally(() => clearTimeout(timer));
}
