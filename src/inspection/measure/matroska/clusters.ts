import type { MeasuredSource } from '../byte-window.js';
import type { RawMeasures } from '../measures.js';

/** Larger than the clusters of recorders, each of which begins with a key frame. */
const TAIL_BYTES = 16 * 2 ** 20;
const HEAD_BYTES = 2 ** 20;
const CLUSTER = Buffer.from('1f43b675', 'hex');
const TIMESTAMP = 0xe7;
const SIMPLE_BLOCK = 0xa3;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
const BLOCK_DURATION = 0x9b;
/** The most candidates for a cluster that are tried. A candidate may be a coincidence, or have no block. */
const MAX_TRIES = 64;

/**
 * The length of a Matroska without `Duration`, which recorders that cannot seek back omit: from the first to the last
 * block of its clusters (RFC 9559, section 10). Null: the end of the media holds no cluster.
 */
export async function measureMatroskaClusters({ sizeBytes, read }: MeasuredSource): Promise<RawMeasures | null> {
  const head = await read(0, Math.min(HEAD_BYTES, sizeBytes) - 1);
  const from = Math.max(sizeBytes - TAIL_BYTES, 0);
  const tail = from === 0 && sizeBytes <= HEAD_BYTES ? head : await read(from, sizeBytes - 1);
  const first = firstTimes(head, (from) => head.indexOf(CLUSTER, from < 0 ? 0 : from + 1));
  const last = firstTimes(tail, (from) =>
    from === 0 ? -1 : tail.lastIndexOf(CLUSTER, from < 0 ? undefined : from - 1),
  );
  if (first === null || last === null) return null;
  const ticks = last.end - Math.max(first.start, 0);
  return ticks > 0 ? { durationSeconds: (ticks * scaleIn(head)) / 1e9 } : null;
}

/**
 * The times of the first cluster with blocks. `next` finds the candidate after an offset, and the first one after -1.
 */
function firstTimes(bytes: Buffer, next: (from: number) => number): TimeSpan | null {
  let at = next(-1);
  for (let tries = 0; at >= 0 && tries < MAX_TRIES; tries++) {
    const times = timesOf(bytes, at);
    if (times !== null) return times;
    at = next(at);
  }
  return null;
}

/** TimestampScale, section 5.1.2.9: nanoseconds per tick. */
function scaleIn(head: Buffer): number {
  const at = head.subarray(0, 64 * 1024).indexOf(Buffer.from('2ad7b1', 'hex'));
  const size = at < 0 ? 0 : (head[at + 3] ?? 0) - 0x80;
  return size >= 1 && size <= 6 && at + 4 + size <= head.length ? head.readUIntBE(at + 4, size) : 1_000_000;
}

interface TimeSpan {
  readonly start: number;
  readonly end: number;
}

/**
 * The time span of the blocks in the cluster at that offset, in ticks. Null: no cluster is there, or it has no block.
 */
function timesOf(bytes: Buffer, at: number): TimeSpan | null {
  if (at < 0) return null;
  const cluster = elementAt(bytes, at);
  if (cluster === null) return null;
  let base: number | null = null;
  let [start, end] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const includeBlock = (time: number | null, duration: number) => {
    if (time === null || base === null) return;
    start = Math.min(start, base + time);
    end = Math.max(end, base + time + duration);
  };
  for (let place = cluster.start; place < cluster.end; ) {
    const element = elementAt(bytes, place);
    if (element === null) break;
    if (element.id === TIMESTAMP) base = unsignedIn(bytes, element);
    else if (base === null) return null;
    else if (element.id === SIMPLE_BLOCK) includeBlock(blockTime(bytes, element), 0);
    else if (element.id === BLOCK_GROUP) {
      const group = blockOf(bytes, element);
      includeBlock(group.time, group.duration);
    }
    place = element.end;
  }
  return end >= start ? { start, end } : null;
}

function blockOf(bytes: Buffer, group: Element): { readonly time: number | null; readonly duration: number } {
  let [time, duration]: [number | null, number] = [null, 0];
  for (let place = group.start; place < group.end; ) {
    const element = elementAt(bytes, place);
    if (element === null) break;
    if (element.id === BLOCK) time = blockTime(bytes, element);
    if (element.id === BLOCK_DURATION) duration = unsignedIn(bytes, element) ?? 0;
    place = element.end;
  }
  return { time, duration };
}

/** A block's time relative to its cluster, which follows the track number: section 10.1. */
function blockTime(bytes: Buffer, { start }: Element): number | null {
  const at = start + Math.clz32(bytes[start] ?? 0) - 23;
  return at + 2 <= bytes.length ? bytes.readInt16BE(at) : null;
}

function unsignedIn(bytes: Buffer, { start, end }: Element): number | null {
  const size = end - start;
  return size >= 1 && size <= 6 && end <= bytes.length ? bytes.readUIntBE(start, size) : null;
}

interface Element {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The element at that offset (RFC 8794, section 4). One of unknown size (section 6.2) extends to the end of the bytes.
 */
function elementAt(bytes: Buffer, at: number): Element | null {
  const idBytes = Math.clz32(bytes[at] ?? 0) - 23;
  if (idBytes > 4 || at + idBytes >= bytes.length) return null;
  const sizeAt = at + idBytes;
  const sizeBytes = Math.clz32(bytes[sizeAt] ?? 0) - 23;
  const start = sizeAt + sizeBytes;
  if (sizeBytes > 8 || start > bytes.length) return null;
  let size = (bytes[sizeAt] ?? 0) & (0xff >> sizeBytes);
  let isUnknown = size === 0xff >> sizeBytes;
  for (let index = sizeAt + 1; index < start; index++) {
    isUnknown &&= bytes[index] === 0xff;
    size = size * 256 + (bytes[index] ?? 0);
  }
  const end = isUnknown ? bytes.length : start + size;
  return { id: bytes.readUIntBE(at, idBytes), start, end: Math.min(end, Math.max(bytes.length, start)) };
}
