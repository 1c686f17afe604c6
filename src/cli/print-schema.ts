import { readFile, writeFile } from 'node:fs/promises';
import { breakingChanges } from '../graphql/breaking-changes.js';
import { printSubgraphSdl } from '../graphql/build-schema.js';
import type { MessageIds } from '../graphql/resolvers/message-source.js';

const HEADER =
  '# Emitted from the code by `npm run schema` (`mediagraph schema`); changes by hand are overwritten.\n\n';

export interface PrintSchemaOptions {
  readonly messageIds: MessageIds;
  /** As federation.authDirectives of the configuration. */
  readonly authDirectives?: boolean;
  /** As federation.costDirectives of the configuration. */
  readonly costDirectives?: boolean;
  /** Writes this file instead of standard output. */
  readonly output?: string;
  /** Writes nothing, and compares this file with the SDL. */
  readonly check?: string;
  /** Writes nothing, and lists the changes that break clients of the SDL in this file. */
  readonly against?: string;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** `mediagraph schema`: prints the SDL for a composition or a schema registry. Resolves to the exit status, 0 or 1. */
export async function printSchema(options: PrintSchemaOptions): Promise<number> {
  const { messageIds, output, check, against, stdout, stderr } = options;
  const sdl = HEADER + printSubgraphSdl(options);
  if (against !== undefined) {
    const changes = breakingChanges(await readFile(against, 'utf8'), sdl);
    for (const change of changes) stderr.write(`${change}\n`);
    return changes.length === 0 ? 0 : 1;
  }
  if (check !== undefined) {
    // Git may convert line ends in a checkout on Windows.
    if ((await readFile(check, 'utf8')).replaceAll('\r\n', '\n') === sdl) return 0;
    stderr.write(
      `${check} differs from the code; update it with: mediagraph schema --message-ids ${messageIds} --output ${check}\n`,
    );
    return 1;
  }
  if (output === undefined) stdout.write(sdl);
  else await writeFile(output, sdl);
  return 0;
}
