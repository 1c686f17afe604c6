import { setImmediate as givingWay } from 'node:timers/promises';
import type { WebhookEvent, WebhookFault, WebhookItem } from '../../providers/provider-adapter.js';

/** Media that are recorded at once, and elements that are read without giving way to other work. */
const PART = 1_000;
/** How many faults of one body are reported with their texts; the rest are counted. */
const MAX_TEXTS = 5;

/** Counts faults by what they say: a body of a million of them leaves a few texts. */
export class FaultTally {
  readonly #counts = new Map<string, number>();
  #others = 0;

  add({ message }: WebhookFault): void {
    const count = this.#counts.get(message);
    if (count !== undefined || this.#counts.size < MAX_TEXTS) this.#counts.set(message, (count ?? 0) + 1);
    else this.#others += 1;
  }

  /** null: none. */
  get text(): string | null {
    if (this.#counts.size === 0) return null;
    const texts = [...this.#counts].map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`));
    if (this.#others > 0) texts.push(`and ${this.#others} others`);
    return `PROVIDER_PROTOCOL: ${texts.join('; ')}`;
  }
}

/**
 * The events of a body in parts of about a thousand media; faults are counted. Between two parts, and after every
 * thousand elements that tell nothing, other work of the process has its turn.
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
