import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Delivery } from './lines.js';

const TIMEOUT_MS = 60_000;

/** What became of one delivery. */
export interface Sent {
  readonly delivery: Delivery;
  /** An HTTP status, or how the connection failed. */
  readonly outcome: number | string;
  /** Milliseconds from the moment it was due, so that a stall counts for all that it held up. */
  readonly latency: number;
  /** How much later than due it left: the sender's own fault. */
  readonly lateness: number;
}

/** Sends at a constant rate, on as many connections as that needs, however slow the server is. */
export class Sender {
  readonly #pool: Pool;

  constructor(origin: string) {
    this.#pool = new Pool(origin, { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
  }

  /** Resolves when all are answered. */
  async send(deliveries: readonly Delivery[], perSecond: number): Promise<Sent[]> {
    const startedAt = performance.now();
    const sending: Promise<Sent>[] = [];
    for (const [index, delivery] of deliveries.entries()) {
      const due = startedAt + (index * 1000) / perSecond;
      for (let early = due - performance.now(); early > 0; early = due - performance.now())
        await sleep(Math.ceil(early));
      sending.push(this.#sendOne(delivery, due));
    }
    return Promise.all(sending);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #sendOne(delivery: Delivery, due: number): Promise<Sent> {
    const lateness = performance.now() - due;
    const outcome = await this.#outcomeOf(delivery);
    return { delivery, outcome, latency: performance.now() - due, lateness };
  }

  async #outcomeOf({ line, body, headers }: Delivery): Promise<number | string> {
    try {
      const request = { method: 'POST', path: `/webhooks/${line}`, headers: headers(new Date()), body } as const;
      const response = await this.#pool.request(request);
      await response.body.dump();
      return response.statusCode;
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : String(thrown);
    }
  }
}
