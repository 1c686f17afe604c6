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
  /** Writes this file instead of standard output. */
  readonly output?: string;
  /** Writes nothing and compares: does this file hold what would be written? */
  readonly check?: string;
  /** Writes nothing and compares: would it break whoever uses this file's SDL? */
  readonly against?: string;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** `mediagraph schema`: the SDL, as a composition or a schema registry takes it. Resolves to the exit status, 0 or 1. */
export async function printSchema(options: PrintSchemaOptions): Promise<number> {
  const { messageIds, output, check, against, stdout, stderr } = options;
  const sdl = HEADER + printSubgraphSdl(options);
  if (against !== undefined) {
    const changes = breakingChanges(await readFile(against, 'utf8'), sdl);
    for (const change of changes) stderr.write(`${change}\n`);
    return changes.length === 0 ? 0 : 1;
  }
  if (check !== undefined) {
    // A checkout on Windows may have changed the line ends.
    if ((await readFile(check, 'utf8')).replaceAll('\r\n', '\n') === sdl) return 0;
    stderr.write(
      `${check} differs from the code; write it anew: mediagraph schema --message-ids ${messageIds} --output ${check}\n`,
    );
    return 1;
  }
  if (output === undefined) stdout.write(sdl);
  else await writeFile(output, sdl);
  return 0;
}
