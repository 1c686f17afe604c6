import type { Chance } from '../chance.js';

export const FAULT_KINDS = [
  'replica killed',
  'replica stopped',
  'replica cut from PostgreSQL',
  'replica cut from S3',
  'replica rolled',
  'PostgreSQL restarted',
  'S3 answers 503',
  'S3 silent',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** The index of the replica; null: the fault concerns all. */
  readonly replica: number | null;
  /** How long it lasts; 0: a process only ends and starts. */
  readonly ms: number;
  /** The worse of two ways: silence in place of a refusal, a crash in place of an end in order. */
  readonly harsh: boolean;
  /** The time without a fault before it. */
  readonly pauseMs: number;
}

/** One replica lives through all but the first round, so that its memory can be compared over time. */
const OLDEST_REPLICA = 2;

interface Times {
  /** The shortest and the longest fault of one replica. */
  readonly one: readonly [number, number];
  /** The fault of the store. */
  readonly store: number;
  readonly pause: number;
}

/** Every fault once, within a minute where the machine does nothing else. */
export const SHORT_TIMES: Times = { one: [1_500, 3_000], store: 5_000, pause: 500 };
/** Stops and cuts are longer than a lease, and shorter. */
export const LONG_TIMES: Times = { one: [4_000, 20_000], store: 30_000, pause: 4_000 };

/** Every kind once, in a random order. @param round 0: the first */
export function roundOfFaults(chance: Chance, times: Times, round: number): PlannedFault[] {
  return shuffled(FAULT_KINDS, chance).map((kind, index) => {
    const [shortest, longest] = times.one;
    const ofStore = kind.startsWith('S3');
    const ofOne = kind.startsWith('replica');
    const restarts = kind === 'replica killed' || kind === 'replica rolled';
    const replicas = restarts && round > 0 ? OLDEST_REPLICA : OLDEST_REPLICA + 1;
    const drawn = shortest + chance.below(longest - shortest);
    return {
      kind,
      replica: ofOne ? (round + index + chance.below(replicas)) % replicas : null,
      ms: restarts || kind === 'PostgreSQL restarted' ? 0 : ofStore ? times.store : drawn,
      harsh: chance.next() < 0.5,
      pauseMs: times.pause + chance.below(times.pause),
    };
  });
}

function shuffled<Item>(items: readonly Item[], chance: Chance): Item[] {
  const left = [...items];
  return items.flatMap(() => left.splice(chance.below(left.length), 1));
}
