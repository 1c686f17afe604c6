/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { Duplex } from 'node:stream';
import pg from 'pg';

const WELCOME = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);
const TERMINATE = 0x58;
/** ParseComplete, BindComplete, NoData, CommandComplete, ReadyForQuery. */
const ANSWER = Buffer.concat([
  Buffer.from('1\0\0\0\x04' + '2\0\0\0\x04' + 'n\0\0\0\x04', 'latin1'),
  Buffer.from('C\0\0\0\x0dSELECT 0\0', 'latin1'),
  Buffer.from('Z\0\0\0\x05I', 'latin1'),
]);

/** Where node-postgres expects a socket. */
class FakeSocket extends Duplex {
  readonly written: Buffer[] = [];

  constructor(private readonly answers: boolean) {
    super();
  }

  connect(): this {
    process.nextTick(() => this.emit('connect'));
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  override _read(): void {}

  override _writev(chunks: ReadonlyArray<{ readonly chunk: Buffer }>, done: () => void): void {
    const bytes = Buffer.concat(chunks.map(({ chunk }) => chunk));
    this.written.push(bytes);
    if (this.written.length === 1) this.push(WELCOME);
    else if (this.answers && bytes[0] !== TERMINATE) this.push(ANSWER);
    done();
  }

  override _final(done: () => void): void {
    this.push(null);
    done();
  }
}

function configOver(socket: FakeSocket): pg.ClientConfig {
  return { stream: () => socket, ssl: false, user: 'postgres', database: 'postgres' };
}

it('pg takes a stream in place of a socket, and writes all messages of a statement at once', async () => {
  const socket = new FakeSocket(true);
  const client = new pg.Client(configOver(socket));
  await client.connect();
  await client.query({ name: 'a name', text: 'select $1', values: ['x'] });
  await client.query({ name: 'a name', text: 'select $1', values: ['y'] });
  await client.end();
  const [startup, ...messages] = socket.written;
  expect(startup?.toString('latin1')).toContain('user\0postgres\0');
  // Parse, Bind, Describe, Execute, Sync; the second time without Parse; Terminate.
  expect(messages.map(kindsOf)).toEqual(['PBDES', 'BDES', 'X']);
  expect(messages[1]?.toString('latin1')).toContain('a name\0');
});

/** The kinds of the messages in one write. */
function kindsOf(bytes: Buffer): string {
  let kinds = '';
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1))
    kinds += bytes.toString('latin1', at, at + 1);
  return kinds;
}

it('pg cuts the connection when a client ends during a statement, and its pool forgets the client', async () => {
  const socket = new FakeSocket(false);
  const pool = new pg.Pool({ ...configOver(socket), max: 1 });
  pool.on('error', () => {});
  const client = await pool.connect();
  client.on('error', () => {});
  const statement = client.query('select 1').catch((fault: Error) => fault);
  void client.end();
  expect(await statement).toBeInstanceOf(Error);
  expect(socket.destroyed).toBe(true);
  client.release();
  expect(pool.totalCount).toBe(0);
  await pool.end();
});
