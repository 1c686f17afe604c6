import { type Fault, formatPath, valueAt } from './faults.js';

/**
 * A rule over several values. It reads the document as it was written, not the parsed result, so that it finds its faults
 * even where another value is wrong. It ignores values that have a fault of their own.
 */
export type Rule = (document: unknown) => readonly Fault[];

/** The list at a path; empty where the document has none. */
export function listAt(document: unknown, path: readonly string[]): readonly unknown[] {
  const list = valueAt(document, path);
  return Array.isArray(list) ? list : [];
}

/** Reads a switch, which may be written as text. */
export function isOn(document: unknown, path: readonly string[]): boolean {
  return String(valueAt(document, path)) === 'true';
}

/** The items of a list must differ in one of their keys. @param normalise maps equal values to one spelling */
export function distinct(list: readonly string[], key: string, normalise = (value: string) => value): Rule {
  return (document) => {
    const firstPaths = new Map<string, string>();
    return listAt(document, list).flatMap((item, index) => {
      const value = valueAt(item, [key]);
      if (typeof value !== 'string' && typeof value !== 'number') return [];
      const path = formatPath([...list, index, key]);
      const normalised = normalise(String(value));
      const earlier = firstPaths.get(normalised);
      firstPaths.set(normalised, earlier ?? path);
      return earlier === undefined ? [] : [{ path, message: `the same as ${earlier}` }];
    });
  };
}
