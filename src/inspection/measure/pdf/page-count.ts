import { inflateSync } from 'node:zlib';
import type { MeasuredSource } from '../byte-window.js';

/** Larger documents are left to pdfinfo, which reads the cross-reference table. */
const MAX_BYTES = 32 * 2 ** 20;
/** The limit on all object streams together, once they are inflated. */
const MAX_INFLATED_BYTES = 16 * 2 ** 20;
const MAX_STREAMS = 2_000;
/** Larger than a page tree node's dictionary without its list of kids. */
const DICTIONARY_BYTES = 256;
/** The distance searched for a node's list of kids, before and after its type. */
const NODE_BYTES = 128 * 1024;
const MAX_PAGES = 1_000_000;

/**
 * The number of pages of a PDF: the `Count` of the root of its page tree (ISO 32000-1, section 7.7.3.2), which stands
 * in the file or in one of its object streams (section 7.5.7). Null: no count was found, the document is encrypted, or
 * its revisions left several counts.
 */
export async function countPdfPages({ sizeBytes, read }: MeasuredSource): Promise<number | null> {
  if (sizeBytes > MAX_BYTES) return null;
  const file = await read(0, sizeBytes - 1);
  if (file.includes('/Encrypt')) return null;
  const counts = new Set(rootCounts(file));
  let inflatedLeft = MAX_INFLATED_BYTES;
  for (const stream of objectStreams(file)) {
    const objects = inflated(stream, inflatedLeft);
    inflatedLeft -= objects.length;
    for (const count of rootCounts(objects)) counts.add(count);
    if (inflatedLeft <= 0) return null;
  }
  const [only] = counts;
  return counts.size === 1 && only !== undefined && only > 0 && only <= MAX_PAGES ? only : null;
}

/** The counts of page tree nodes without a parent. */
function* rootCounts(bytes: Buffer): Generator<number, void, undefined> {
  for (let at = bytes.indexOf('/Pages'); at >= 0; at = bytes.indexOf('/Pages', at + 6)) {
    if (!/\/Type\s{0,8}$/.test(bytes.toString('latin1', Math.max(at - 16, 0), at))) continue;
    // The name may be a longer one, such as /PagesTree.
    if (/[A-Za-z]/.test(String.fromCharCode(bytes[at + 6] ?? 0))) continue;
    const dictionary = dictionaryAround(bytes, at);
    if (dictionary === null || /\/Parent\b/.test(dictionary)) continue;
    const count = /\/Count\s{1,8}(\d{1,7})\b(?!\s{1,8}\d{1,7}\s{1,8}R)/.exec(dictionary)?.[1];
    if (count !== undefined) yield Number(count);
  }
}

/** The dictionary around an offset, without its list of kids. Null: there is none. */
function dictionaryAround(bytes: Buffer, at: number): string | null {
  const front = Math.max(at - NODE_BYTES, 0);
  const node = bytes.subarray(front, at + NODE_BYTES);
  return dictionaryIn(node, at - front);
}

function dictionaryIn(bytes: Buffer, at: number): string | null {
  const start = bytes.lastIndexOf('<<', at);
  if (start < 0) return null;
  const kids = bytes.indexOf('/Kids', start);
  const end = bytes.indexOf('>>', at);
  if (end < 0) return null;
  if (kids < 0 || kids > end) return bytes.toString('latin1', start, Math.min(end, start + 4 * DICTIONARY_BYTES));
  const listEnd = bytes.indexOf(']', kids);
  if (listEnd < 0 || listEnd > end) return null;
  const [front, back] = [Math.min(kids, start + DICTIONARY_BYTES), Math.min(end, listEnd + DICTIONARY_BYTES)];
  return `${bytes.toString('latin1', start, front)} ${bytes.toString('latin1', listEnd + 1, back)}`;
}

/**
 * The compressed bytes of each object stream. Bytes after its end do no harm, since a zlib stream marks its own end.
 */
function* objectStreams(file: Buffer): Generator<Buffer, void, undefined> {
  let left = MAX_STREAMS;
  for (let at = file.indexOf('/ObjStm'); at >= 0; at = file.indexOf('/ObjStm', at + 7)) {
    const start = file.indexOf('stream', at);
    if (start < 0 || start - at > 4 * DICTIONARY_BYTES) continue;
    if (left-- === 0) return;
    const isAfterReturn = file[start + 6] === 0x0d;
    const end = file.indexOf('endstream', start);
    yield file.subarray(start + (isAfterReturn ? 8 : 7), end < 0 ? file.length : end);
  }
}

/** @throws RangeError when the stream inflates to more than `maxOutputLength` */
function inflated(stream: Buffer, maxOutputLength: number): Buffer {
  try {
    return inflateSync(stream, { maxOutputLength: Math.max(maxOutputLength, 1) });
  } catch (thrown) {
    if (thrown instanceof RangeError) throw thrown;
    // The stream is corrupt, or uses another filter.
    return Buffer.alloc(0);
  }
}
