import { type Document, type ErrorCode, LineCounter, parseDocument, visit } from 'yaml';
import { type Fault, FILE_PATH } from '../settings/faults.js';

/** More than any file needs. The library counts the aliases after expansion. */
const MAX_ALIASES = 100;

/** Messages by code. The library's own messages quote the file, which may hold secrets. */
const MESSAGES: Partial<Record<ErrorCode, string>> = {
  BAD_INDENT: 'wrong indentation',
  BLOCK_AS_IMPLICIT_KEY: 'a second key on the same line; a text that holds ": " needs quotes',
  BAD_DQ_ESCAPE: 'unknown escape sequence in a quoted text',
  DUPLICATE_KEY: 'this key occurs twice in the same mapping',
  MISSING_CHAR: 'something is not closed: a quote, a bracket, a brace, or the colon of a key is missing',
  MULTIPLE_DOCS: 'more than one document in the file',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab where spaces are expected',
  TAG_RESOLVE_FAILED: 'unknown tag',
};

export type ParsedFile =
  | { readonly document: unknown; readonly faults: null }
  | { readonly document: null; readonly faults: readonly Fault[] };

/** Parses YAML, which includes JSON. Faults name line and column and quote nothing. */
export function parseFile(source: string): ParsedFile {
  const lines = new LineCounter();
  const parsed = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const faultAt = (offset: number, problem: string): Fault => {
    const { line, col } = lines.linePos(offset);
    return { path: FILE_PATH, message: `line ${line}, column ${col}: ${problem}` };
  };
  const faults = [...parsed.errors, ...parsed.warnings].map(({ code, pos }) =>
    faultAt(pos[0], MESSAGES[code] ?? `not valid YAML (${code})`),
  );
  visit(parsed, {
    Alias: (_, alias) => {
      if (!alias.resolve(parsed)) {
        faults.push(
          faultAt(
            alias.range?.[0] ?? 0,
            'an alias without an anchor before it; a text that starts with * needs quotes',
          ),
        );
      }
    },
  });
  return faults.length > 0 ? { document: null, faults } : expanded(parsed);
}

/** Expands aliases. An alias may refer to a list of aliases, and so on, so their number is bounded. */
function expanded(parsed: Document): ParsedFile {
  keepNumbersAsWritten(parsed);
  try {
    return { document: parsed.toJS({ maxAliasCount: MAX_ALIASES }), faults: null };
  } catch (thrown) {
    if (thrown instanceof ReferenceError) {
      return { document: null, faults: [{ path: FILE_PATH, message: 'too many aliases' }] };
    }
    throw thrown;
  }
}

/** Keeps a number as text if it would print differently: `password: 0123` must not become `123`. */
function keepNumbersAsWritten(parsed: Document): void {
  visit(parsed, {
    Scalar: (_, scalar) => {
      if (typeof scalar.value === 'number' && scalar.source !== undefined && String(scalar.value) !== scalar.source) {
        scalar.value = scalar.source;
      }
    },
  });
}
