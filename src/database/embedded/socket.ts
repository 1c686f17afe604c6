import { Duplex } from 'node:stream';
import { toError } from '../../model/errors.js';
import type { EmbeddedEngine } from './engine.js';

type Done = (error?: Error | null) => void;

/** `AuthenticationOk`, then `ReadyForQuery` with no transaction open: PostgreSQL docs, section 55.7 "Message Formats". */
const WELCOME = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);
const TERMINATE = 0x58;

/** Resets the only session of the embedded database, which an earlier client may have changed. */
const CLEAN_SESSION = [query('rollback'), query('discard all')];

/**
 * Replaces the socket of node-postgres: the bytes of the wire protocol go to the embedded database instead of a
 * network. So both databases have the same driver, type parsers and errors.
 */
export class EmbeddedSocket extends Duplex {
  #welcomed = false;

  constructor(private readonly engine: EmbeddedEngine) {
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

  // node-postgres writes complete messages and corks the messages of a query.
  override _writev(chunks: ReadonlyArray<{ readonly chunk: Buffer }>, done: Done): void {
    this.#exchange(Buffer.concat(chunks.map(({ chunk }) => chunk))).then(
      (answer) => {
        if (answer.length > 0) this.push(answer);
        done();
      },
      (thrown: unknown) => done(toError(thrown)),
    );
  }

  override _final(done: Done): void {
    this.push(null);
    done();
  }

  // The first bytes are the startup message with a user name. The embedded database has no users and does not read it.
  async #exchange(messages: Buffer): Promise<Uint8Array> {
    if (!this.#welcomed) {
      this.#welcomed = true;
      for (const message of CLEAN_SESSION) await this.engine.exchange(message);
      return WELCOME;
    }
    return messages[0] === TERMINATE ? Buffer.alloc(0) : this.engine.exchange(messages);
  }
}

function query(text: string): Buffer {
  const message = Buffer.alloc(text.length + 6);
  message.write('Q', 0);
  message.writeInt32BE(text.length + 5, 1);
  message.write(text, 5);
  return message;
}
