import { setImmediate as givingWay } from 'node:timers/promises';
import type { WebhookEvent, WebhookFault, WebhookItem } from '../../providers/provider-adapter.js';

/** The maximum number of media that one statement records, and of elements that are read before other work can run. */
const PART = 1_000;
/** The maximum number of faults of a body that are reported with their texts. The others are only counted. */
const MAX_TEXTS = 5;

/** Counts faults by their text, so that a body with a million faults needs little memory. */
export class FaultTally {
  readonly #counts = new Map<string, number>();
  #others = 0;

  add({ message }: WebhookFault): void {
    const count = this.#counts.get(message);
    if (count !== undefined || this.#counts.size < MAX_TEXTS) this.#counts.set(message, (count ?? 0) + 1);
    else this.#others += 1;
  }

  /** The report of all faults; null if there are none. */
  get text(): string | null {
    if (this.#counts.size === 0) return null;
    const texts = [...this.#counts].map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`));
    if (this.#others > 0) texts.push(`and ${this.#others} others`);
    return `PROVIDER_PROTOCOL: ${texts.join('; ')}`;
  }
}

/**
 * Yields the events of a body in parts of about a thousand media and counts faults. Other work of the process can run
 * between two parts, and after every thousand elements without an event.
 */
export async function* partsOf(told: Iterable<WebhookItem>, faults: FaultTally): AsyncGenerator<WebhookEvent[]> {
  let part: WebhookEvent[] = [];
  let weight = 0;
  let elements = 0;
  for (const one of told) {
    elements += 1;
    if (elements % PART === 0) await givingWay();
    if (one === null) continue;
    if (one.type === 'fault') {
      faults.add(one);
      continue;
    }
    part.push(one);
    weight += one.type === 'mediaAnnounced' ? one.media.length : 1;
    if (weight < PART) continue;
    yield part;
    part = [];
    weight = 0;
  }
  if (part.length > 0) yield part;
}
