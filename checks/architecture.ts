/** `npm run check:architecture`: prints the house as the code has it, and ends with 1 where it breaks its own rules. */
import {
  circles,
  DEMO,
  filesOfFolders,
  type Import,
  importsOf,
  LEVELS,
  LIMITS,
  linesOfFiles,
  linesOfFunctions,
  mayImport,
  roomOf,
  type Sized,
  SRC,
  sourceFiles,
} from './house.js';

const LARGEST = 5;

const imports = sourceFiles().flatMap((file) => importsOf(file));
printRooms(imports);
const faults = [
  ...listed(
    'arrows that point up or aside',
    imports.filter(({ from, to }) => !mayImport(roomOf(from), roomOf(to))).map(({ from, to }) => `${from} -> ${to}`),
  ),
  ...listed(
    'circles',
    circles(imports).map((files) => files.join(' -> ')),
  ),
  ...[SRC, DEMO].flatMap((folder) => [
    ...sized('lines of a file', linesOfFiles(folder), LIMITS.linesOfFile),
    ...sized('lines of a function', linesOfFunctions(folder), LIMITS.linesOfFunction),
    ...sized('files of a folder', filesOfFolders(folder), LIMITS.filesOfFolder),
  ]),
];
process.exitCode = faults.length > 0 ? 1 : 0;

function printRooms(all: readonly Import[]): void {
  const files = sourceFiles();
  for (const room of LEVELS.flat().filter((name) => name !== 'main')) {
    const own = files.filter((file) => roomOf(file) === room);
    const others = new Set(
      all.filter(({ from, to }) => roomOf(from) === room && roomOf(to) !== room).map(({ to }) => roomOf(to)),
    );
    console.log(`${room.padEnd(12)}${String(own.length).padStart(4)} files, imports ${[...others].sort().join(' ')}`);
  }
}

function listed(what: string, faults: readonly string[]): readonly string[] {
  console.log(`\n${what}: ${faults.length}`);
  for (const fault of faults) console.log(`  ${fault}`);
  return faults;
}

/** @returns the names of what is larger than the limit */
function sized(what: string, all: readonly Sized[], limit: number): string[] {
  const over = all.filter(({ size }) => size > limit);
  console.log(`\n${what}: at most ${limit}, ${over.length} above it; the largest are`);
  for (const { name, size } of all.slice(0, Math.max(LARGEST, over.length)))
    console.log(`  ${String(size).padStart(4)}  ${name}`);
  return over.map(({ name }) => name);
}
