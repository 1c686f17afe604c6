import { type Document, type ErrorCode, LineCounter, parseDocument, visit } from 'yaml';
import { type Fault, FILE_PATH } from '../settings/faults.js';

/** More than any file has a use for; the library counts what the aliases unfold to. */
const MAX_ALIASES = 100;

/** The library's own messages quote the file, which may hold secrets. */
const WORDS: Partial<Record<ErrorCode, string>> = {
  BAD_INDENT: 'wrong indentation',
  BLOCK_AS_IMPLICIT_KEY: 'a second key on the same line; a text that holds ": " needs quotes',
  BAD_DQ_ESCAPE: 'unknown escape sequence in a quoted text',
  DUPLICATE_KEY: 'this key stands twice in the same mapping',
  MISSING_CHAR: 'something is not closed: a quote, a bracket, a brace, or the colon of a key is missing',
  MULTIPLE_DOCS: 'more than one document in the file',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab where spaces are expected',
  TAG_RESOLVE_FAILED: 'unknown tag',
};

export type ParsedFile =
  | { readonly given: unknown; readonly faults: null }
  | { readonly given: null; readonly faults: readonly Fault[] };

/** Reads YAML, of which JSON is a part. Faults name line and column and quote nothing. */
export function parseFile(source: string): ParsedFile {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const faultAt = (offset: number, problem: string): Fault => {
    const { line, col } = lines.linePos(offset);
    return { path: FILE_PATH, message: `line ${line}, column ${col}: ${problem}` };
  };
  const faults = [...document.errors, ...document.warnings].map(({ code, pos }) =>
    faultAt(pos[0], WORDS[code] ?? `not valid YAML (${code})`),
  );
  visit(document, {
    Alias: (_, alias) => {
      if (!alias.resolve(document)) {
        faults.push(
          faultAt(
            alias.range?.[0] ?? 0,
            'an alias without an anchor before it; a text that starts with * needs quotes',
          ),
        );
      }
    },
  });
  return faults.length > 0 ? { given: null, faults } : unfold(document);
}

function unfold(document: Document): ParsedFile {
  keepNumbersAsWritten(document);
  try {
    return { given: document.toJS({ maxAliasCount: MAX_ALIASES }), faults: null };
  } catch (thrown) {
    if (thrown instanceof ReferenceError) {
      return { given: null, faults: [{ path: FILE_PATH, message: 'too many aliases' }] };
    }
    throw thrown;
  }
}

/** `password: 0123` must not become `123`: a number that would print differently stays the text it was. */
function keepNumbersAsWritten(document: Document): void {
  visit(document, {
    Scalar: (_, scalar) => {
      if (typeof scalar.value === 'number' && scalar.source !== undefined && String(scalar.value) !== scalar.source) {
        scalar.value = scalar.source;
      }
    },
  });
}
