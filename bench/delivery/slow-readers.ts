import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuTimeMs } from '../support/cpu-time.js';
import { residentMegabytes } from '../support/memory.js';
import { drive } from './wrk.js';

export interface SlowReaderFigures {
  readonly readers: number;
  /** Resident memory of the server, megabytes: before, and at most with them. */
  readonly before: number;
  readonly atMost: number;
  /** Requests per second of fast readers with the slow ones there, as a share of those without. */
  readonly fastShare: number;
}

export interface SlowReaderPlan {
  /** A large media. */
  readonly url: string;
  readonly pid: number;
  readonly readers: number;
  readonly seconds: number;
}

const SAMPLE_MS = 50;
const IDLE_WINDOW_MS = 500;
const IDLE_TIMEOUT_MS = 60_000;
/** What each slow reader takes at a time, once a second: a bad mobile connection. */
const SIP_BYTES = 16 * 1024;

/** Readers that take a few kilobytes a second, while others read as fast as they can. */
export async function measureSlowReaders({ url, pid, readers, seconds }: SlowReaderPlan): Promise<SlowReaderFigures> {
  const load = { url, connections: 4, seconds };
  await drive({ ...load, seconds: 2 });
  const alone = await drive(load);
  const before = residentMegabytes(pid);
  let atMost = before;
  const sampling = setInterval(() => {
    atMost = Math.max(atMost, residentMegabytes(pid));
  }, SAMPLE_MS);
  const sockets: Socket[] = [];
  try {
    for (let reader = 0; reader < readers; reader++) sockets.push(await startSlow(url));
    // What the sockets' buffers of 1,000 connections take, two gigabytes on Linux, has gone out by then.
    await untilIdle(pid);
    const sipping = setInterval(() => sockets.forEach(sip), 1_000);
    const beside = await drive(load);
    await sleep(2_000);
    clearInterval(sipping);
    const gone = sockets.filter((socket) => socket.destroyed).length;
    if (gone > 0) throw new Error(`expected ${readers} slow readers to be served still, and ${gone} are not`);
    return { readers, before, atMost, fastShare: beside.perSecond / alone.perSecond };
  } finally {
    clearInterval(sampling);
    for (const socket of sockets) socket.destroy();
  }
}

async function untilIdle(pid: number): Promise<void> {
  const deadline = performance.now() + IDLE_TIMEOUT_MS;
  for (let before = cpuTimeMs(pid); performance.now() < deadline; ) {
    await sleep(IDLE_WINDOW_MS);
    const now = cpuTimeMs(pid);
    if (now - before < IDLE_WINDOW_MS / 20) return;
    before = now;
  }
  throw new Error('expected the server to have sent what nobody takes');
}

async function startSlow(url: string): Promise<Socket> {
  const { hostname, port, host, pathname, search } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.pause();
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
  return socket;
}

function sip(socket: Socket): void {
  socket.read(Math.min(SIP_BYTES, socket.readableLength) || undefined);
}
