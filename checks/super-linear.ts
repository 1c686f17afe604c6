import { checkSync } from 'recheck';
import ts from 'typescript';

/** A pattern as it stands in a source. */
export interface FoundPattern {
  readonly file: string;
  readonly line: number;
  /** null: put together at run time. */
  readonly source: string | null;
  readonly flags: string;
}

/** A pattern that may take longer than linear time, or that could not be judged. */
export interface Verdict extends FoundPattern {
  /** Follows "is": `exponential`, `quadratic`, …, or why it could not be judged. */
  readonly fault: string;
}

export interface SourceText {
  readonly file: string;
  readonly text: string;
}

/** A pattern that takes longer, even on a busy machine, is too complicated to be trusted. */
const JUDGING_MS = 60_000;
const DEGREES: ReadonlyMap<number, string> = new Map([
  [2, 'quadratic'],
  [3, 'cubic'],
]);

/** Every pattern of these sources, in order: literals, and `new RegExp` of texts, which may hold constants of the sources. */
export function findPatterns(sources: readonly SourceText[]): FoundPattern[] {
  const parsed = sources.map(({ file, text }) => ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  const constants = constantsOf(parsed);
  return parsed.flatMap((source) => {
    const found: FoundPattern[] = [];
    const visit = (node: ts.Node) => {
      const pattern = patternOf(node, constants);
      const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
      if (pattern) found.push({ file: source.fileName, line, ...pattern });
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  });
}

/** Those patterns that an engine which backtracks may need more than linear time for, by some text. */
export function judgePatterns(patterns: readonly FoundPattern[]): Verdict[] {
  // Its other engines are programs of their own, in place of JavaScript.
  process.env.RECHECK_SYNC_BACKEND = 'pure';
  const faults = new Map<string, string | null>();
  return patterns.flatMap((pattern) => {
    const name = `/${pattern.source}/${pattern.flags}`;
    const fault = faults.get(name) ?? faultOf(pattern);
    faults.set(name, fault);
    return fault === null ? [] : [{ ...pattern, fault }];
  });
}

function faultOf({ source, flags }: FoundPattern): string | null {
  if (source === null) return 'put together at run time';
  // Large counts take the engine long, and what is linear without a bound is so within one.
  const unbounded = withoutLargeCounts(source);
  return unbounded === source || judge(unbounded, flags) !== null ? judge(source, flags) : null;
}

/** null: linear. */
function judge(source: string, flags: string): string | null {
  // What is known by now suffices for a verdict: how an attack is best written is of no interest.
  const diagnosis = checkSync(source, flags, { timeout: JUDGING_MS, recallLimit: -1 });
  if (diagnosis.status === 'safe') return null;
  if (diagnosis.status === 'unknown') return `not judged (${diagnosis.error.kind})`;
  const { complexity } = diagnosis;
  return complexity.type === 'exponential' ? 'exponential' : (DEGREES.get(complexity.degree) ?? 'polynomial');
}

const LARGE_COUNT = 4;
/** An escape, a class of characters, or a count behind what it counts. */
const UNITS = /\\[pPu]\{[^}]*\}|\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|\{(\d+)(?:,(\d*))?\}/g;

function withoutLargeCounts(source: string): string {
  return source.replace(UNITS, (unit, least: string | undefined, most: string | undefined) => {
    if (least === undefined || Number(most || least) <= LARGE_COUNT) return unit;
    return least === '0' ? '*' : '+';
  });
}

function patternOf(
  node: ts.Node,
  constants: ReadonlyMap<string, string>,
): Pick<FoundPattern, 'source' | 'flags'> | null {
  if (ts.isRegularExpressionLiteral(node)) {
    const end = node.text.lastIndexOf('/');
    return { source: node.text.slice(1, end), flags: node.text.slice(end + 1) };
  }
  const isRegExp = (ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === 'RegExp';
  if (!isRegExp) return null;
  const [source = null, flags = ''] = (node.arguments ?? []).map((argument) => textOf(argument, constants));
  return flags === null ? { source: null, flags: '' } : { source, flags };
}

/** The text that an expression is; null where that is known at run time alone. */
function textOf(node: ts.Expression, constants: ReadonlyMap<string, string>): string | null {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isNumericLiteral(node)) return String(Number(node.text));
  if (ts.isIdentifier(node)) return constants.get(node.text) ?? null;
  if (!ts.isTemplateExpression(node)) return null;
  return node.templateSpans.reduce<string | null>((text, { expression, literal }) => {
    const inserted = textOf(expression, constants);
    return text === null || inserted === null ? null : text + inserted + literal.text;
  }, node.head.text);
}

/** Numbers and texts that are constants of a module, by name. */
function constantsOf(sources: readonly ts.SourceFile[]): ReadonlyMap<string, string> {
  const none: ReadonlyMap<string, string> = new Map();
  const named = sources
    .flatMap(({ statements }) => [...statements])
    .filter(ts.isVariableStatement)
    .filter(({ declarationList }) => (declarationList.flags & ts.NodeFlags.Const) !== 0)
    .flatMap(({ declarationList }) => [...declarationList.declarations]);
  return new Map(
    named.flatMap(({ name, initializer }) => {
      const text = initializer ? textOf(initializer, none) : null;
      return text === null ? [] : [[name.getText(), text] as const];
    }),
  );
}
