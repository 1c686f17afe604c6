import { Command, InvalidArgumentError, Option } from 'commander';
import { readEnvironment } from '../config/config.js';
import { MESSAGE_IDS } from '../graphql/resolvers/message-source.js';
import { parseDuration } from '../settings/units.js';
import { checkConfig, EXIT_BAD_CONFIG } from './check-config.js';
import type { PrintSchemaOptions } from './print-schema.js';

const CONFIG_OPTION = ['--config <file>', 'YAML or JSON configuration; default: the variable MEDIA_CONFIG'] as const;

/** How long `doctor` waits for connections to close after its output. */
const LINGER_MS = 1_000;

interface ConfigFlags {
  readonly config?: string;
}

interface CheckFlags extends ConfigFlags {
  readonly print: boolean;
}

interface SweepFlags extends ConfigFlags {
  readonly dryRun: boolean;
  /** Milliseconds. */
  readonly grace: number;
}

interface HealthFlags extends ConfigFlags {
  readonly ready: boolean;
}

/** Flags of `jobs` and `doctor`. */
interface JsonFlags extends ConfigFlags {
  readonly json: boolean;
}

interface VerifyFlags extends JsonFlags {
  readonly repair: boolean;
  readonly digests: boolean;
  readonly storeLost: boolean;
  readonly channel?: string;
  /** Milliseconds. */
  readonly grace: number;
}

type SchemaFlags = Pick<
  PrintSchemaOptions,
  'messageIds' | 'authDirectives' | 'costDirectives' | 'output' | 'check' | 'against'
>;

/**
 * `mediagraph [command]`. Resolves to the exit status: 0 for success, 2 for a faulty configuration, 1 for any other
 * failure; `jobs` and `verify` also end with 2 for faulty arguments. Each command imports its modules when it runs,
 * since those of the server take a second to load.
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  let status = 0;
  const exitWith = (result: number) => {
    status = result;
  };
  const program = new Command('mediagraph').description(
    'One federated GraphQL subgraph over the media of messaging providers.',
  );
  addServerCommands(program, exitWith);
  addDoctorCommand(program, exitWith);
  addHealthCommand(program, exitWith);
  addStoreCommands(program, exitWith);
  addVerifyCommand(program, exitWith);
  addJobsCommand(program, exitWith);
  addSchemaCommand(program, exitWith);
  await program.parseAsync([...argv]);
  return status;
}

type ExitWith = (status: number) => void;

function processIo() {
  return { env: readEnvironment(), stdout: process.stdout, stderr: process.stderr };
}

function addServerCommands(program: Command, exitWith: ExitWith): void {
  program
    .command('serve', { isDefault: true })
    .description('start the server; ready when /readyz answers 200')
    .option(...CONFIG_OPTION)
    .action(async ({ config }: ConfigFlags) => {
      const { serve } = await import('./serve.js');
      exitWith(await serve({ ...processIo(), file: config }));
    });
  program
    .command('demo')
    .description('start emulated providers and a server, and show its responses')
    .action(async () => {
      const { demo } = await import('./demo.js');
      exitWith(await demo(processIo()));
    });
  program
    .command('check-config')
    .description('check a configuration without starting anything; reports every fault with its path')
    .option(...CONFIG_OPTION)
    .option('--print', 'print the configuration as YAML, with all defaults and with its secrets masked', false)
    .action(async ({ config, print }: CheckFlags) =>
      exitWith(await checkConfig({ ...processIo(), file: config, print })),
    );
}

function addStoreCommands(program: Command, exitWith: ExitWith): void {
  program
    .command('migrate')
    .description("migrate the database's schema; serve does the same when it starts")
    .option(...CONFIG_OPTION)
    .action(async ({ config }: ConfigFlags) => {
      const { migrateCommand } = await import('./migrate.js');
      exitWith(await migrateCommand({ ...processIo(), file: config }));
    });
  program
    .command('sweep')
    .description('expire media and delete unreferenced blobs; prints a report as one JSON line')
    .option(...CONFIG_OPTION)
    .option('--dry-run', 'count only, and change nothing', false)
    .option('--grace <duration>', 'the minimum age of unreferenced blobs to delete', parseGrace, parseGrace('1h'))
    .action(async ({ config, dryRun, grace }: SweepFlags) => {
      const { sweepCommand } = await import('./sweep.js');
      exitWith(await sweepCommand({ ...processIo(), file: config, dryRun, graceMs: grace }));
    });
}

function addDoctorCommand(program: Command, exitWith: ExitWith): void {
  program
    .command('doctor')
    .description(
      'check what a server depends on: database, storage, programs, credentials, webhooks, keys; changes nothing, and exits with 1 if a check failed',
    )
    .option(...CONFIG_OPTION)
    .option('--json', 'print a JSON array with one object for each check', false)
    .action(async ({ config, json }: JsonFlags) => {
      const { doctor } = await import('./doctor.js');
      const status = await doctor({ ...processIo(), file: config, json });
      exitWith(status);
      // What a check could not finish in its time must not keep the process alive.
      setTimeout(() => process.exit(status), LINGER_MS).unref();
    });
}

function addHealthCommand(program: Command, exitWith: ExitWith): void {
  program
    .command('health')
    .description('ask the running server of a configuration whether it is alive; exits with 1 if it is not')
    .option(...CONFIG_OPTION)
    .option('--ready', 'ask whether it is ready: /readyz in place of /livez', false)
    .action(async ({ config, ready }: HealthFlags) => {
      const { health } = await import('./health.js');
      exitWith(await health({ ...processIo(), file: config, ready }));
    });
}

function addJobsCommand(program: Command, exitWith: ExitWith): void {
  program
    .command('jobs')
    .description('list the kinds of background jobs; pause or resume some of them, on all servers of the database')
    .argument('[action]', 'list, pause or resume', 'list')
    .argument('[kinds...]', 'kinds of jobs; list shows all of them by default')
    .option(...CONFIG_OPTION)
    .option('--json', 'print a JSON array with one object for each kind', false)
    .exitOverride(exitForArguments)
    .action(async (action: string, kinds: string[], { config, json }: JsonFlags) => {
      const { jobsCommand } = await import('./jobs.js');
      exitWith(await jobsCommand({ ...processIo(), file: config, action, kinds, json }));
    });
}

function addVerifyCommand(program: Command, exitWith: ExitWith): void {
  program
    .command('verify')
    .description(
      'compare the rows of media with the stored blobs; prints one line for each finding, and exits with 1 if findings remain',
    )
    .option(...CONFIG_OPTION)
    .option('--repair', 'copy lost media from its provider again, and delete what no row references', false)
    .option('--digests', 'read all stored bytes and compare their SHA-256 digests', false)
    .option('--channel <id>', 'compare only the media of this channel')
    .option('--grace <duration>', 'the minimum age of unreferenced blobs', parseGrace, parseGrace('1h'))
    .option('--store-lost', 'with --repair: give up media that no provider has, although the store is empty', false)
    .option('--json', 'print one JSON object for each finding, one a line', false)
    .exitOverride(exitForArguments)
    .action(async ({ config, grace, ...flags }: VerifyFlags) => {
      const { verifyCommand } = await import('./verify.js');
      exitWith(await verifyCommand({ ...processIo(), file: config, graceMs: grace, ...flags }));
    });
}

/** Faulty arguments end every run of a command with the same status, whether commander or the command finds them. */
function exitForArguments({ exitCode }: { readonly exitCode: number }): never {
  process.exit(exitCode === 0 ? 0 : EXIT_BAD_CONFIG);
}

function parseGrace(text: string): number {
  const grace = parseDuration(text);
  if (grace === undefined) throw new InvalidArgumentError('expected a duration with its unit, such as 1h or 0s');
  return grace;
}

function addSchemaCommand(program: Command, exitWith: ExitWith): void {
  const messageIds = new Option('--message-ids <mode>', 'the form of message ids, as federation.messageIds');
  program
    .command('schema')
    .description("print the subgraph's SDL for a composition or a schema registry")
    .addOption(messageIds.choices(MESSAGE_IDS).default('transparent'))
    .option('--auth-directives', 'add auth directives, as federation.authDirectives', false)
    .option('--cost-directives', 'add the directives of demand control, as federation.costDirectives', false)
    .option('--output <file>', 'write a file instead of standard output')
    .option('--check <file>', 'write nothing; exit with 1 if the file is outdated')
    .option(
      '--against <file>',
      'write nothing; list breaking changes against the SDL in the file, and exit with 1 if there are any',
    )
    .action(async (flags: SchemaFlags) => {
      const { printSchema } = await import('./print-schema.js');
      exitWith(await printSchema({ ...processIo(), ...flags }));
    });
}
