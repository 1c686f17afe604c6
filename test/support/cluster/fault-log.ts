import type { FaultKind } from './fault-plan.js';

/** A fault that was made, with its times by `performance.now()`. */
export interface MadeFault {
  readonly kind: FaultKind;
  readonly replica: number | null;
  readonly harsh: boolean;
  readonly begunAt: number;
  /** When its cause was mended. */
  endedAt: number;
  /** When every replica answered again. */
  recoveredAt: number;
}

/** All faults so far. From its begin until all replicas answer again, a fault excuses requests that fail. */
export class FaultLog {
  readonly faults: MadeFault[] = [];

  /** Makes a fault, mends it, and waits for the recovery. */
  async during(
    { kind, replica, harsh }: Pick<MadeFault, 'kind' | 'replica' | 'harsh'>,
    steps: { readonly make: () => Promise<void>; readonly recover: () => Promise<void> },
  ): Promise<void> {
    const begunAt = performance.now();
    const never = Number.POSITIVE_INFINITY;
    const made: MadeFault = { kind, replica, harsh, begunAt, endedAt: never, recoveredAt: never };
    this.faults.push(made);
    await steps.make();
    made.endedAt = performance.now();
    await steps.recover();
    made.recoveredAt = performance.now();
  }

  /** The faults that were there at some moment between two times. */
  overlapping(begunAt: number, endedAt: number): MadeFault[] {
    return this.faults.filter((fault) => fault.begunAt <= endedAt && begunAt <= fault.recoveredAt);
  }
}
