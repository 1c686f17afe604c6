import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import ipaddr from 'ipaddr.js';
import type { OpenAnswers } from './open-answers.js';

/** A connection whose reader takes nothing for this long is closed. */
const PATIENCE_MS = 60_000;
/** The kernel's TCP connections with their queues. They exist on Linux only. */
const KERNEL_TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];

/** The bytes that wait on a connection for its reader, and since when their number is unchanged. */
interface Backlog {
  readonly bytes: number;
  /** All bytes written so far. When it has changed, the reader has taken bytes, although as many wait as before. */
  readonly written: number;
  /** Bytes in the kernel's queue; null: not known. */
  readonly queued: number | null;
  readonly since: number;
}

/**
 * Closes connections whose reader takes nothing while an answer waits in memory. A reader that takes any bytes at all is
 * never cut. The kernel buffers megabytes, so a slow reader may look stalled to Node; the kernel's own queue is read
 * before a connection is closed.
 */
export class StalledReaders {
  readonly #backlogs = new WeakMap<Socket, Backlog>();

  constructor(
    private readonly answers: Pick<OpenAnswers, 'sockets'>,
    private readonly patienceMs: number = PATIENCE_MS,
  ) {}

  watch(http: FastifyInstance): void {
    const timer = setInterval(() => void this.#closeStalled(), this.patienceMs / 4);
    timer.unref();
    http.addHook('onClose', (_http, done) => {
      clearInterval(timer);
      done();
    });
  }

  async #closeStalled(): Promise<void> {
    const now = performance.now();
    const stalled: Socket[] = [];
    for (const socket of this.answers.sockets) {
      const backlog = this.#backlogs.get(socket);
      const bytes = unsentBytes(socket);
      if (bytes === 0) this.#backlogs.delete(socket);
      else if (backlog?.bytes !== bytes || backlog.written !== socket.bytesWritten)
        this.#backlogs.set(socket, { bytes, written: socket.bytesWritten, queued: null, since: now });
      else stalled.push(socket);
    }
    if (stalled.length === 0) return;
    const queues = await kernelQueues();
    for (const socket of stalled) {
      const backlog = this.#backlogs.get(socket);
      if (!backlog) continue;
      const queued = queues.get(nameOf(socket)) ?? null;
      if (queued !== backlog.queued)
        this.#backlogs.set(socket, { ...backlog, queued, since: backlog.queued === null ? backlog.since : now });
      else if (now - backlog.since >= this.patienceMs) socket.destroy();
    }
  }
}

/** Bytes that Node holds: those in the stream's buffer, and those of a write that the kernel has not taken yet. */
function unsentBytes(socket: Socket): number {
  if (socket.destroyed) return 0;
  const handle: unknown = Reflect.get(socket, '_handle');
  const inWriting: unknown = typeof handle === 'object' && handle !== null && Reflect.get(handle, 'writeQueueSize');
  return socket.writableLength + (typeof inWriting === 'number' ? inWriting : 0);
}

/** Bytes that are not sent, or not acknowledged, by connection: proc(5), "/proc/net/tcp", tx_queue. */
async function kernelQueues(): Promise<ReadonlyMap<string, number>> {
  const queues = new Map<string, number>();
  for (const table of KERNEL_TABLES) {
    const text = await readFile(table, 'latin1').catch(() => '');
    for (const line of text.split('\n')) {
      const [, local = '', remote = '', , lengths = ''] = line.trim().split(/ +/, 6);
      queues.set(`${portOf(local)} ${remote.replace(MAPPED, '')}`, Number.parseInt(lengths, 16));
    }
  }
  return queues;
}

/** The prefix of an IPv4 address that is mapped into IPv6. */
const MAPPED = /^0000000000000000FFFF0000/;

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}

/** The name of a connection in the kernel's tables, which print addresses as words in the machine's byte order. */
function nameOf({ localPort = 0, remoteAddress = '', remotePort = 0 }: Socket): string {
  if (!ipaddr.isValid(remoteAddress)) return '';
  const bytes = ipaddr.process(remoteAddress).toByteArray();
  let words = '';
  for (let at = 0; at < bytes.length; at += 4) words += hex(Buffer.from(bytes).readUInt32LE(at), 8);
  return `${hex(localPort, 4)} ${words}:${hex(remotePort, 4)}`;
}

function hex(number: number, digits: number): string {
  return number.toString(16).toUpperCase().padStart(digits, '0');
}
