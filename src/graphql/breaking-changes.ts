import { type DocumentNode, findBreakingChanges, Kind, parse, print } from 'graphql';
import { subgraphSchema } from './federation.js';

/** The changes between two SDLs that break clients of the first, one line each. Additions break none. */
export function breakingChanges(released: string, current: string): string[] {
  const [before, after] = [parse(released), parse(current)];
  const changes = findBreakingChanges(subgraphSchema(before), subgraphSchema(after));
  return [
    ...changes.map(({ type, description }) => `${type}: ${description}`),
    ...lostKeys(before, after).map((key) => `KEY_REMOVED: ${key} is no key any more.`),
  ].sort();
}

/** Removed `@key`s, which break routers. graphql-js does not compare directives. */
function lostKeys(before: DocumentNode, after: DocumentNode): string[] {
  const remaining = new Set(keysOf(after));
  return keysOf(before).filter((key) => !remaining.has(key));
}

function keysOf(document: DocumentNode): string[] {
  return document.definitions.flatMap((definition) => {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION && definition.kind !== Kind.OBJECT_TYPE_EXTENSION) return [];
    const keys = definition.directives?.filter(({ name }) => name.value === 'key') ?? [];
    return keys.map((key) => `${definition.name.value} ${print(key)}`);
  });
}
