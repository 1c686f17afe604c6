import { randomUUID } from 'node:crypto';
import { ChangeLog } from '../../src/catalogue/changes/change-log.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { Database } from '../../src/database/database.js';
import { SqlJobStore } from '../../src/jobs/job-store.js';
import { encodeMediaId } from '../../src/model/ids.js';
import { type MessageMedia, UNKNOWN_DETAILS } from '../../src/model/media.js';
import type { Engine } from '../support/scratch-database.js';
import { median, quantile } from '../support/statistics.js';
import { CHANNEL_ID, randomIds, TENANT } from './rows.js';

/** How often a statement is timed, after as many executions that warm up. */
const REPETITIONS = 200;
/** How often a statement is timed that reads a whole table or index. */
const SCANS = 3;
const IDS = 50;
const CLAIMED = 8;

/** The times of one statement; milliseconds. */
export interface StatementFigures {
  readonly engine: Engine;
  readonly rows: number;
  readonly statement: string;
  readonly median: number;
  readonly p99: number;
  /** Why it has no times, for example because it exceeded the time limit of statements. */
  readonly fault: string | null;
}

type Statement = readonly [name: string, repetitions: number, run: () => Promise<unknown>];

/** Times the statements that requests, workers and scrapes wait for, each with its round trip. */
export async function measureStatements(
  database: Database,
  rows: number,
  report: (figures: Omit<StatementFigures, 'engine'>) => void,
): Promise<void> {
  for (const [statement, repetitions, run] of statementsOf(database, rows)) {
    const times: number[] = [];
    let fault: string | null = null;
    try {
      const warmUp = repetitions > SCANS ? repetitions : 0;
      for (let turn = -warmUp; turn < repetitions; turn += 1) {
        const startedAt = performance.now();
        await run();
        if (turn >= 0) times.push(performance.now() - startedAt);
      }
    } catch (thrown) {
      fault = thrown instanceof Error ? thrown.message : String(thrown);
    }
    report({ rows, statement, median: median(times), p99: quantile(times, 0.99), fault });
  }
}

function statementsOf(database: Database, rows: number): Statement[] {
  const catalogue = new SqlMediaCatalogue(database);
  const inbox = new SqlWebhookInbox(database);
  const jobs = new SqlJobStore(database, { owner: randomUUID(), clock: database.clock });
  const log = new ChangeLog(database);
  let snapshot: string | null = null;
  return [
    ['50 media by id', REPETITIONS, () => catalogue.findByIds(TENANT, randomIds(rows, IDS))],
    ['1 media by id', REPETITIONS, () => catalogue.findByIds(TENANT, randomIds(rows, 1))],
    ['receive a webhook', REPETITIONS, () => inbox.receive(event())],
    ['announce a media', REPETITIONS, () => catalogue.recordAnnouncement(TENANT, [newMedia()], ANNOUNCED)],
    [
      `claim and hand back ${CLAIMED} copies`,
      REPETITIONS,
      async () => {
        await jobs.claim([{ kind: 'copy', limit: CLAIMED }]);
        await jobs.release(['copy']);
      },
    ],
    [
      'read the change log',
      REPETITIONS,
      async () => {
        ({ snapshot } = await log.read(snapshot));
      },
    ],
    ['count media by status (metrics)', SCANS, () => catalogue.counts()],
    ['sum of stored bytes (metrics)', SCANS, () => catalogue.storedBytes()],
    ['count jobs (metrics)', SCANS, () => jobs.counts()],
    ['count events (metrics)', SCANS, () => inbox.counts()],
    ['media whose time is over (sweep)', SCANS, () => catalogue.countExpirable(new Date())],
  ];
}

const ANNOUNCED = { mirror: true, now: new Date(), retainedUntil: null };

function event() {
  const rawBody = Buffer.alloc(1_000, 'a');
  const dedupeKey = randomUUID();
  return {
    tenant: TENANT,
    channelId: CHANNEL_ID,
    dedupeKey,
    contentType: 'application/json',
    rawBody,
    now: new Date(),
  };
}

function newMedia(): MessageMedia {
  const message = { channelId: CHANNEL_ID, providerMessageId: `wamid.${randomUUID()}`, providerMediaId: randomUUID() };
  return {
    ...message,
    ...UNKNOWN_DETAILS,
    id: encodeMediaId(message),
    tenant: TENANT,
    provider: 'kirim',
    downloadUrl: null,
    status: 'READY',
    createdAt: null,
    availableUntil: null,
    expiresAt: null,
    measures: null,
    voice: null,
    contact: null,
    direction: null,
  };
}
