import { buildSubgraphSchema } from '@apollo/subgraph';
import { type DocumentNode, findBreakingChanges, Kind, parse, print } from 'graphql';

/** What a client of one SDL could no longer do with another, a line each; changes that add are none of these. */
export function breakingChanges(released: string, current: string): string[] {
  const [before, after] = [parse(released), parse(current)];
  const found = findBreakingChanges(buildSubgraphSchema(before), buildSubgraphSchema(after));
  return [
    ...found.map(({ type, description }) => `${type}: ${description}`),
    ...lostKeys(before, after).map((key) => `KEY_REMOVED: ${key} is no key any more.`),
  ].sort();
}

// Private: graphql-js knows nothing of what routers ask by.
function lostKeys(before: DocumentNode, after: DocumentNode): string[] {
  const kept = new Set(keysOf(after));
  return keysOf(before).filter((key) => !kept.has(key));
}

function keysOf(document: DocumentNode): string[] {
  return document.definitions.flatMap((definition) => {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION && definition.kind !== Kind.OBJECT_TYPE_EXTENSION) return [];
    const keys = definition.directives?.filter(({ name }) => name.value === 'key') ?? [];
    return keys.map((key) => `${definition.name.value} ${print(key)}`);
  });
}
