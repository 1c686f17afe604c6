import type { Config } from '../../config/config.js';
import { type DatabaseInspection, inspectDatabase } from '../../database/inspection.js';
import { canCreate } from './can-create.js';
import { type Check, CheckFault, type CheckResult, kindOf } from './check.js';

/** The embedded database takes seconds to open. A server that does not answer is cut off after ten. */
const LIMIT_MS = { embedded: 30_000, postgres: 10_000 } as const;
/** The version that the migrations are written for. */
const OLDEST_MAJOR = 15;
const NOTICEABLE_OFFSET_MS = 1_000;
/** Leases last fifteen seconds, and the tolerance of tokens is a minute. */
const WRONG_OFFSET_MS = 30_000;

export function databaseCheck({ database: { url } }: Config): Check {
  const limitMs = url.startsWith('pglite:') ? LIMIT_MS.embedded : LIMIT_MS.postgres;
  return { name: 'database', limitMs, run: () => checkDatabase(url) };
}

async function checkDatabase(url: string): Promise<readonly CheckResult[]> {
  const found = await inspectDatabase(url).catch((thrown: unknown) => {
    throw new CheckFault(faultOf(thrown));
  });
  if (found.kind !== 'open') return [await unopened(found)];
  return [reachable(found), migrations(found), clock(found)];
}

type Unopened = Exclude<DatabaseInspection, { kind: 'open' }>;
type Opened = Extract<DatabaseInspection, { kind: 'open' }>;

async function unopened({ kind, folder }: Unopened): Promise<CheckResult> {
  if (kind === 'memory')
    return database('warn', 'database.url is pglite:memory: the server loses all data when it stops');
  if (kind === 'held')
    return database('warn', 'another process has the embedded database open; stop it to check version and migrations');
  const isWritable = folder !== null && (await canCreate(folder));
  return isWritable
    ? database('warn', 'the embedded database does not exist yet; the first start creates it')
    : database('fail', 'the folder of database.url cannot be created; give this user write permission, or change it');
}

function reachable({ engine, version }: Opened): CheckResult {
  const name = engine === 'embedded' ? 'embedded PostgreSQL' : 'PostgreSQL';
  if (version === null) return database('warn', `${name} answers and reports no known version`);
  if (Number.parseInt(version, 10) >= OLDEST_MAJOR) return database('ok', `${name} ${version} answers`);
  return database('warn', `${name} ${version} answers; use version ${OLDEST_MAJOR} or later, which is tested`);
}

function migrations({ schema, mayMigrate }: Opened): CheckResult {
  const { applied, pending, unknown, isUsable } = schema;
  const check = 'database.migrations';
  if (unknown.length > 0 && isUsable) {
    const message = `the schema is of a newer version of Mediagraph (${unknown.length} unknown migrations), and this version can use it`;
    return { check, status: 'warn', message };
  }
  if (unknown.length > 0) {
    const message = `the schema is of a newer version of Mediagraph (${unknown.length} unknown migrations); install that version`;
    return { check, status: 'fail', message };
  }
  if (pending.length === 0) return { check, status: 'ok', message: `all ${applied.length} migrations are applied` };
  if (!mayMigrate) {
    const message = `${pending.length} migrations are pending, and the user of database.url may not create tables; grant it CREATE on the schema`;
    return { check, status: 'fail', message };
  }
  const advice = 'serve applies them when it starts, and mediagraph migrate before that';
  return {
    check,
    status: 'warn',
    message: `${pending.length} of ${applied.length + pending.length} migrations are pending; ${advice}`,
  };
}

function clock({ engine, clockOffsetMs }: Opened): CheckResult {
  const check = 'database.clock';
  if (engine === 'embedded') return { check, status: 'ok', message: "the embedded database uses this machine's clock" };
  const difference = Math.abs(clockOffsetMs);
  const seconds = (difference / 1000).toFixed(1);
  const direction = clockOffsetMs > 0 ? 'ahead of' : 'behind';
  const message = `the database's clock is ${seconds} s ${direction} this machine's`;
  if (difference <= NOTICEABLE_OFFSET_MS) return { check, status: 'ok', message };
  const status = difference > WRONG_OFFSET_MS ? 'fail' : 'warn';
  return { check, status, message: `${message}; synchronise both clocks with NTP` };
}

function database(status: CheckResult['status'], message: string): CheckResult {
  return { check: 'database', status, message };
}

/** Messages by the system's code or by SQLSTATE (PostgreSQL docs, appendix A). The driver's own name hosts and users. */
const FAULTS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'the server refuses the connection; start it, or check host and port of database.url'],
  ['ENOTFOUND', 'the host of database.url is unknown; check its spelling and the DNS'],
  ['EAI_AGAIN', 'the host of database.url cannot be looked up; check the DNS'],
  ['28P01', 'the server refuses the password; check user and password of database.url'],
  ['28000', 'the server refuses the user; check database.url and pg_hba.conf'],
  ['3D000', 'the database does not exist; create it, or check the name in database.url'],
  ['42501', 'the user has no permission; check its grants'],
  ['53300', 'the server has no connection left; raise max_connections or stop other clients'],
  ['57P03', 'the server is starting or stopping; try again'],
  // The driver's own errors have no code: the connection timed out or ended.
  ['Error', 'the server does not answer in time, or ends the connection; check host and port of database.url'],
]);

function faultOf(thrown: unknown): string {
  const kind = kindOf(thrown);
  return FAULTS.get(kind) ?? `the database cannot be used (${kind}); check database.url and that the server runs`;
}
