import { readFileSync } from 'node:fs';

/** The package's own: two levels above this file in `src/` as well as in `dist/`. */
const OPERATIONS = new URL('../../../schema/operations/', import.meta.url);

/** In the order in which somebody who has just come would try them. */
const NAMES = [
  'messages-with-media',
  'media-by-id',
  'channels',
  'media-updated',
  'upload-media-from-url',
  'delete-media',
  'entities',
] as const;

/** Operations to begin with, a document each, with comments for whoever reads them. */
export function exampleOperations(): string[] {
  return NAMES.map((name) => readFileSync(new URL(`${name}.graphql`, OPERATIONS), 'utf8'));
}
