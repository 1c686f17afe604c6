import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import ipaddr from 'ipaddr.js';

/** A reader that takes nothing for so long is cut. */
const PATIENCE_MS = 60_000;
/** The kernel's queues of TCP connections; elsewhere than on Linux they are not to be seen. */
const KERNEL_TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];

/** What a connection still holds for its reader, and since when it holds exactly this. */
interface Held {
  readonly bytes: number;
  /** In the kernel; null: not known. */
  readonly queued: number | null;
  readonly since: number;
}

/**
 * Cuts connections whose reader takes nothing while an answer waits for it: links to media, and answers to queries, which
 * hold memory. One that takes anything at all is never cut. The kernel takes megabytes before it lets go of the first, so
 * what it has sent is asked of it before a reader is given up.
 */
export class StalledReaders {
  readonly #answering = new Map<Socket, Held | null>();

  constructor(private readonly patienceMs: number = PATIENCE_MS) {}

  watch(http: FastifyInstance): void {
    const timer = setInterval(() => void this.#look(), this.patienceMs / 4);
    timer.unref();
    http.server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#begin(request, response));
    http.addHook('onClose', (_http, done) => {
      clearInterval(timer);
      done();
    });
  }

  #begin({ url = '', socket }: IncomingMessage, response: ServerResponse): void {
    if (!url.startsWith('/media/') && !url.startsWith('/graphql')) return;
    this.#answering.set(socket, null);
    response.once('close', () => this.#answering.delete(socket));
  }

  async #look(): Promise<void> {
    const now = performance.now();
    const stalled: Socket[] = [];
    for (const [socket, held] of this.#answering) {
      const bytes = heldBytes(socket);
      if (bytes === 0) this.#answering.set(socket, null);
      else if (held?.bytes !== bytes) this.#answering.set(socket, { bytes, queued: null, since: now });
      else stalled.push(socket);
    }
    if (stalled.length === 0) return;
    const queues = await kernelQueues();
    for (const socket of stalled) {
      const held = this.#answering.get(socket);
      if (!held) continue;
      const queued = queues.get(nameOf(socket)) ?? null;
      if (queued !== held.queued)
        this.#answering.set(socket, { ...held, queued, since: held.queued === null ? held.since : now });
      else if (now - held.since >= this.patienceMs) socket.destroy();
    }
  }
}

/** What a reader has not taken of what was given to its connection: by Node, and of that by the operating system. */
function heldBytes(socket: Socket): number {
  if (socket.destroyed) return 0;
  const handle: unknown = Reflect.get(socket, '_handle');
  const inWriting: unknown = typeof handle === 'object' && handle !== null && Reflect.get(handle, 'writeQueueSize');
  return socket.writableLength + (typeof inWriting === 'number' ? inWriting : 0);
}

/** Bytes that are to be sent, or were and are not acknowledged: proc(5), "/proc/net/tcp", tx_queue. */
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

/** Where an IPv4 address stands among those of version 6. */
const MAPPED = /^0000000000000000FFFF0000/;

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}

/** As the kernel's tables name a connection: addresses in words of the machine's byte order. */
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
