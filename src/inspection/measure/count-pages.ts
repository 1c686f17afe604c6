import { inflateSync } from 'node:zlib';
import type { MeasuredSource } from './window.js';

/** A document above this is left to a program that reads its table of references. */
const MAX_BYTES = 32 * 2 ** 20;
/** Of all streams of objects together, once they are inflated. */
const MAX_INFLATED_BYTES = 16 * 2 ** 20;
const MAX_STREAMS = 2_000;
/** Longer than the dictionary of any node of the page tree but for its list of kids. */
const DICTIONARY_BYTES = 256;
/** With its list of kids, which is in front of its type or behind it. */
const NODE_BYTES = 128 * 1024;
const MAX_PAGES = 1_000_000;

/**
 * How many pages a PDF says that it has: the `Count` of the root of its page tree (ISO 32000-1, section 7.7.3.2), which
 * stands in the file or in one of its streams of objects (section 7.5.7). Null where that is not found, where the document
 * is encrypted, and where it was changed in a way that leaves several.
 */
export async function countPages({ sizeBytes, read }: MeasuredSource): Promise<number | null> {
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

/** The counts of page tree nodes that have no parent. */
function* rootCounts(bytes: Buffer): Generator<number, void, undefined> {
  for (let at = bytes.indexOf('/Pages'); at >= 0; at = bytes.indexOf('/Pages', at + 6)) {
    if (!/\/Type\s{0,8}$/.test(bytes.toString('latin1', Math.max(at - 16, 0), at))) continue;
    // The name goes on in others: /PagesTree.
    if (/[A-Za-z]/.test(String.fromCharCode(bytes[at + 6] ?? 0))) continue;
    const dictionary = dictionaryAround(bytes, at);
    if (dictionary === null || /\/Parent\b/.test(dictionary)) continue;
    const count = /\/Count\s{1,8}(\d{1,7})\b(?!\s{1,8}\d{1,7}\s{1,8}R)/.exec(dictionary)?.[1];
    if (count !== undefined) yield Number(count);
  }
}

/** Without its list of kids, however long that is. */
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

/** The bytes of deflated streams of objects, from where they begin: a zlib stream knows its own end. */
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

/** @throws RangeError when it inflates to more */
function inflated(stream: Buffer, maxOutputLength: number): Buffer {
  try {
    return inflateSync(stream, { maxOutputLength: Math.max(maxOutputLength, 1) });
  } catch (thrown) {
    if (thrown instanceof RangeError) throw thrown;
    // Corrupt, or under another filter.
    return Buffer.alloc(0);
  }
}
