/** What `npm run check:architecture` prints and test/architecture.test.ts holds: rooms, arrows and sizes of the sources. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const SRC = fileURLToPath(new URL('../src/', import.meta.url));
export const DEMO = fileURLToPath(new URL('../demo/src/', import.meta.url));

/**
 * The rooms from the lowest to the highest: ARCHITECTURE.md, "Rooms". A room imports from itself and from rooms of the lines
 * above its own; rooms of one line never import one another. `main` is main.ts.
 */
export const LEVELS: readonly (readonly string[])[] = [
  ['model'],
  ['settings'],
  ['streams', 'telemetry'],
  ['net'],
  ['http'],
  ['database'],
  ['jobs', 'storage', 'rendering', 'providers'],
  ['catalogue'],
  ['renditions'],
  ['inspection', 'links'],
  ['media'],
  ['delivery'],
  ['graphql', 'server'],
  ['config'],
  ['app'],
  ['cli'],
  ['main'],
];

/** Rooms that know less than their level would allow. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  database: ['telemetry', 'settings', 'model'],
  jobs: ['database', 'telemetry', 'model'],
  catalogue: ['jobs', 'database', 'telemetry', 'model'],
  providers: ['net', 'streams', 'telemetry', 'settings', 'model'],
  storage: ['streams', 'telemetry', 'settings', 'model'],
  rendering: ['streams', 'telemetry', 'settings', 'model'],
  links: ['settings', 'model'],
};

/** The largest sizes that a reader still has in one view. */
export const LIMITS = { linesOfFile: 350, linesOfFunction: 60, filesOfFolder: 14 } as const;

export interface Import {
  readonly from: string;
  readonly to: string;
}

export interface Sized {
  readonly name: string;
  readonly size: number;
}

export function sourceFiles(folder = SRC): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.ts') && !file.endsWith('.generated.ts')).sort();
}

export function roomOf(file: string): string {
  return file.includes(sep) ? (file.split(sep)[0] ?? '') : 'main';
}

export function levelOf(room: string): number {
  return LEVELS.findIndex((rooms) => rooms.includes(room));
}

export function mayImport(room: string, other: string): boolean {
  return room === other || (levelOf(other) < levelOf(room) && (ONLY[room]?.includes(other) ?? true));
}

/** All imports of a file that are relative, type imports included: a room that names another's types knows it. */
export function importsOf(file: string, folder = SRC): Import[] {
  const source = parsed(file, folder);
  const specifiers: string[] = [];
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier)
      specifiers.push(node.moduleSpecifier.getText(source).slice(1, -1));
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments;
      if (specifier && ts.isStringLiteral(specifier)) specifiers.push(specifier.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return specifiers
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => ({
      from: file,
      to: relative(folder, resolve(dirname(join(folder, file)), specifier)).replace(/\.js$/, '.ts'),
    }));
}

export function circles(imports: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const found: string[][] = [];
  const walk = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) found.push([...trail.slice(trail.indexOf(file)), file]);
    if (trail.includes(file) || done.has(file)) return;
    for (const to of next.get(file) ?? []) walk(to, [...trail, file]);
    done.add(file);
  };
  for (const file of next.keys()) walk(file, []);
  return found;
}

export function linesOfFiles(folder = SRC): Sized[] {
  return largest(
    sourceFiles(folder).map((file) => ({ name: file, size: textOf(file, folder).trimEnd().split('\n').length })),
  );
}

/** Functions, methods and accessors with a body, from their first line to their last. */
export function linesOfFunctions(folder = SRC): Sized[] {
  const found: Sized[] = [];
  for (const file of sourceFiles(folder)) {
    const source = parsed(file, folder);
    const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line;
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body) {
        const size = lineAt(node.getEnd()) - lineAt(node.getStart(source)) + 1;
        found.push({ name: `${file}:${lineAt(node.getStart(source)) + 1} ${nameOf(node, source)}`, size });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return largest(found);
}

export function filesOfFolders(folder = SRC): Sized[] {
  const counts = new Map<string, number>();
  for (const file of sourceFiles(folder)) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  return largest([...counts].map(([name, size]) => ({ name, size })));
}

function nameOf(node: ts.SignatureDeclaration, source: ts.SourceFile): string {
  if (node.name) return node.name.getText(source);
  const { parent } = node;
  return parent && (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent))
    ? parent.name.getText(source)
    : '(anonymous)';
}

function textOf(file: string, folder: string): string {
  return readFileSync(join(folder, file), 'utf8');
}

function parsed(file: string, folder: string): ts.SourceFile {
  return ts.createSourceFile(file, textOf(file, folder), ts.ScriptTarget.Latest, true);
}

function largest(all: readonly Sized[]): Sized[] {
  return [...all].sort((a, b) => b.size - a.size);
}
