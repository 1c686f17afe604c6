import { Command, InvalidArgumentError, Option } from 'commander';
import { readEnvironment } from '../config/config.js';
import { MESSAGE_IDS } from '../graphql/resolvers/message-source.js';
import { parseDuration } from '../settings/units.js';
import { checkConfig } from './check-config.js';
import type { PrintSchemaOptions } from './print-schema.js';

/**
 * `mediagraph [command]`. Resolves with the exit status: 0 well, 2 a faulty configuration, 1 anything else. Commands are
 * loaded when they are called: the server's libraries take a second.
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  let status = 0;
  const configOption = ['--config <file>', 'YAML or JSON configuration; default: the variable MEDIA_CONFIG'] as const;
  const io = { env: readEnvironment(), stdout: process.stdout, stderr: process.stderr };
  const program = new Command('mediagraph').description(
    'One federated GraphQL subgraph over the media of messaging providers.',
  );
  program
    .command('serve', { isDefault: true })
    .description('start the server; ready when /readyz answers 200')
    .option(...configOption)
    .action(async ({ config }: { config?: string }) => {
      const { serve } = await import('./serve.js');
      status = await serve({ ...io, file: config });
    });
  program
    .command('demo')
    .description('start stand-ins for the providers and a server over them, and show what it answers')
    .action(async () => {
      const { demo } = await import('./demo.js');
      status = await demo(io);
    });
  program
    .command('check-config')
    .description('check a configuration without starting anything; every fault is told with its path')
    .option(...configOption)
    .action(async ({ config }: { config?: string }) => {
      status = await checkConfig({ ...io, file: config });
    });
  program
    .command('migrate')
    .description("bring the database's schema up to date; serve does the same at its start")
    .option(...configOption)
    .action(async ({ config }: { config?: string }) => {
      const { migrateCommand } = await import('./migrate.js');
      status = await migrateCommand({ ...io, file: config });
    });
  program
    .command('sweep')
    .description('expire media, remove blobs that nothing owns; prints what it did as one JSON line')
    .option(...configOption)
    .option('--dry-run', 'count what there is to do, and do nothing', false)
    .option('--grace <duration>', 'leave blobs without a row alone for so long', parseGrace, parseGrace('1h'))
    .action(async ({ config, dryRun, grace }: { config?: string; dryRun: boolean; grace: number }) => {
      const { sweepCommand } = await import('./sweep.js');
      status = await sweepCommand({ ...io, file: config, dryRun, graceMs: grace });
    });
  program.addCommand(
    schemaCommand(async (options) => {
      const { printSchema } = await import('./print-schema.js');
      status = await printSchema({ ...io, ...options });
    }),
  );
  await program.parseAsync([...argv]);
  return status;
}

function parseGrace(given: string): number {
  const grace = parseDuration(given);
  if (grace === undefined) throw new InvalidArgumentError('expected a duration with its unit, such as 1h or 0s');
  return grace;
}

type SchemaOptions = Pick<PrintSchemaOptions, 'messageIds' | 'authDirectives' | 'output' | 'check' | 'against'>;

function schemaCommand(run: (options: SchemaOptions) => Promise<void>): Command {
  const messageIds = new Option('--message-ids <mode>', 'as federation.messageIds of the configuration');
  return new Command('schema')
    .description("print the subgraph's SDL, as a composition or a schema registry takes it")
    .addOption(messageIds.choices(MESSAGE_IDS).default('transparent'))
    .option('--auth-directives', 'as federation.authDirectives of the configuration', false)
    .option('--output <file>', 'write a file instead of standard output')
    .option('--check <file>', 'write nothing; exit with 1 unless the file holds what would be written')
    .option(
      '--against <file>',
      'write nothing; list what would break clients of the SDL in the file, and exit with 1 if anything',
    )
    .action(run);
}
