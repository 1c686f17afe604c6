import type { Answer } from './faults.js';

/**
 * Applies a `Range` header to an answer with the whole file. A header that is to be ignored leaves the answer
 * unchanged. Null: the range is not satisfiable.
 */
export function partOf(answer: Answer, header: string): Answer | null {
  const bytes = Buffer.from(answer.body ?? '');
  const range = parseRange(header, bytes.length);
  if (range === null) return answer;
  if (range === 'unsatisfiable') return null;
  const { start, end } = range;
  return {
    ...answer,
    status: 206,
    headers: { ...answer.headers, 'content-range': `bytes ${start}-${end}/${bytes.length}` },
    body: bytes.subarray(start, end + 1),
  };
}

/**
 * One range (RFC 9110 section 14.1.2), both ends inclusive. Null: to be ignored, because it is malformed or several
 * ranges.
 */
function parseRange(header: string, size: number): { start: number; end: number } | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (!match) return null;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return null;
  if (first === '') return suffixRange(Number(last), size);
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return null;
  return start >= size ? 'unsatisfiable' : { start, end };
}

function suffixRange(length: number, size: number): { start: number; end: number } | 'unsatisfiable' {
  if (length === 0 || size === 0) return 'unsatisfiable';
  return { start: Math.max(0, size - length), end: size - 1 };
}
