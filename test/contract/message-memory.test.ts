/** The records of messages that a process remembers, while it and other processes change them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { MessageMemory } from '../../src/catalogue/media/message-memory.js';
import { selectMessageRecords } from '../../src/catalogue/media/message-records.js';
import { RecordedMessages } from '../../src/catalogue/media/recorded-messages.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import type { Database } from '../../src/database/database.js';
import { formatMessageId, tenantMessageId } from '../../src/model/ids.js';
import type { MessageKey } from '../../src/model/media.js';
import { describeEngines, listing, reportedMedia, storedBytes } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { insertMedia } from '../support/recorded-changes.js';

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const M1: MessageKey = { channelId: 'support', providerMessageId: 'm1' };
const key = (providerMessageId: string): MessageKey => ({ channelId: 'support', providerMessageId });

function signal(): { readonly given: Promise<void>; readonly give: () => void } {
  let give = () => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give: () => give() };
}

/** A memory over a database, and which messages it selects from it. */
class Bed {
  readonly selected: string[] = [];
  readonly #memory: MessageMemory;

  constructor(private readonly database: Database) {
    this.#memory = new MessageMemory(database);
  }

  async find(...keys: MessageKey[]) {
    const records = await this.#memory.find(TENANT, keys, (unknown) => {
      this.selected.push(...unknown.map(({ providerMessageId }) => providerMessageId));
      return selectMessageRecords(this.database.reads, TENANT, unknown);
    });
    return keys.map((one) => records.get(formatMessageId(one)) ?? null);
  }

  /** Which messages a look-up selects. */
  async selectedBy(...keys: MessageKey[]): Promise<string[]> {
    this.selected.length = 0;
    await this.find(...keys);
    return [...this.selected];
  }
}

describeEngines('remembered messages', (engine) => {
  const media = reportedMedia({ providerMediaId: 'p1' });
  const catalogue = () => new SqlMediaCatalogue(engine.replica());
  let bed: Bed;
  beforeEach(async () => {
    await catalogue().recordAnnouncement(TENANT, [media], { mirror: true, now: NOW, retainedUntil: null });
    bed = new Bed(engine.shared());
  });
  /** Another process announces nothing to this one; its changes are seen a quarter of a second later at most. */
  const seen = () => sleep(engine.engine === 'embedded' ? 0 : 260);

  it('are selected once', async () => {
    expect(await bed.selectedBy(M1)).toEqual(['m1']);
    expect(await bed.selectedBy(M1)).toEqual([]);
    expect((await bed.find(M1))[0]?.media[0]?.id).toBe(media.id);
    await seen();
    expect(await bed.selectedBy(M1)).toEqual([]);
  });

  const changes: ReadonlyArray<readonly [string, () => Promise<unknown>, (record: unknown) => unknown]> = [
    [
      'the status',
      () => catalogue().transition(TENANT, media.id, ['PENDING'], 'FAILED', {}, NOW),
      () => expect.objectContaining({ media: [expect.objectContaining({ status: 'FAILED' })] }),
    ],
    [
      'the bytes and their measures',
      async () => {
        const stored = storedBytes({ measures: null });
        await catalogue().markStored(TENANT, media.id, { stored, details: {}, replacing: null }, NOW);
        await bed.find(M1);
        const measures = { width: 3, height: 2, durationSeconds: null, thumbHash: null, pageCount: null, still: true };
        const found = { key: stored.key, measures, mimeType: 'image/png', kind: 'IMAGE' } as const;
        await catalogue().recordMeasures(TENANT, media.id, found, NOW);
      },
      () => expect.objectContaining({ media: [expect.objectContaining({ mimeType: 'image/png' })] }),
    ],
    [
      'the caption',
      () => catalogue().applyMessageChanges(TENANT, [{ type: 'captionEdited', key: M1, caption: 'new' }], NOW),
      () => expect.objectContaining({ media: [expect.objectContaining({ caption: 'new' })] }),
    ],
    [
      'the listing',
      () => catalogue().recordListings(TENANT, [listing(M1, [], { now: NOW })], NOW),
      () => expect.objectContaining({ listedAt: NOW }),
    ],
    [
      'another media of the message',
      () =>
        catalogue().recordAnnouncement(TENANT, [reportedMedia({ providerMediaId: 'p2' })], {
          mirror: true,
          now: NOW,
          retainedUntil: null,
        }),
      () => expect.objectContaining({ media: [expect.anything(), expect.anything()] }),
    ],
    ['its deletion', () => sql`delete from media`.execute(engine.replica().kysely), () => null],
    ['all tables at once', () => sql`truncate media`.execute(engine.replica().kysely), () => null],
    [
      'a statement of an operator',
      () => sql`update media set filename = 'by-hand'`.execute(engine.replica().kysely),
      () => expect.objectContaining({ media: [expect.objectContaining({ filename: 'by-hand' })] }),
    ],
  ];

  it.each(changes)('are selected again after a change of %s', async (_what, change, expected) => {
    await bed.find(M1);
    await change();
    await seen();
    const [record] = await bed.find(M1);
    expect(record).toEqual(expected(record));
  });

  it('are selected again after changes that were deleted from the log before they were read', async () => {
    await bed.find(M1);
    await sql`update media set filename = 'by-hand'`.execute(engine.replica().kysely);
    await sql`delete from media_changes`.execute(engine.replica().kysely);
    await sql`update media_changes_pruned set xid = pg_current_xact_id()`.execute(engine.replica().kysely);
    await seen();
    expect((await bed.find(M1))[0]?.media[0]?.filename).toBe('by-hand');
  });

  it('without rows are remembered too, until they get one', async () => {
    expect(await bed.find(key('none'))).toEqual([null]);
    await until('the messages are known', async () => (await bed.selectedBy(key('none'))).length === 0);
    await insertMedia(engine.replica().kysely, ['none']);
    await seen();
    expect((await bed.find(key('none')))[0]?.media).toHaveLength(1);
  });

  it('are answered from one state while others change them', async () => {
    const writer = (async () => {
      for (let at = 0; at < 60; at += 1)
        await sql`update media set caption = ${String(at)}`.execute(engine.replica().kysely);
    })();
    let last = -1;
    for (let reads = 0; reads < 200; reads += 1) {
      const caption = Number((await bed.find(M1))[0]?.media[0]?.caption ?? -1);
      expect(caption).toBeGreaterThanOrEqual(last);
      last = caption;
    }
    await writer;
    await seen();
    expect((await bed.find(M1))[0]?.media[0]?.caption).toBe('59');
  });

  it('are not remembered from before a failure of the database', async () => {
    const { kysely } = engine.replica();
    const memory = new MessageMemory(engine.shared());
    const ofRows = (keys: readonly MessageKey[]) => selectMessageRecords(engine.shared().reads, TENANT, keys);
    await memory.find(TENANT, [key('other')], ofRows);
    const [selected, changed] = [signal(), signal()];
    const early = memory.find(TENANT, [M1], async (keys) => {
      const records = await ofRows(keys);
      selected.give();
      await changed.given;
      return records;
    });
    await selected.given;
    await sql`update media set filename = 'new'`.execute(kysely);
    await sql`alter table media_changes_pruned rename to media_changes_elsewhere`.execute(kysely);
    await seen();
    await expect(memory.find(TENANT, [key('other')], ofRows)).rejects.toThrow();
    await sql`alter table media_changes_elsewhere rename to media_changes_pruned`.execute(kysely);
    changed.give();
    expect((await early).get(formatMessageId(M1))?.media[0]?.filename).not.toBe('new');
    await seen();
    expect((await memory.find(TENANT, [M1], ofRows)).get(formatMessageId(M1))?.media[0]?.filename).toBe('new');
  });

  // A server's tables may be too large for a list of their messages.
  const itEmbedded = engine.engine === 'embedded' ? it : it.skip;
  itEmbedded('are selected only if they have rows, of a catalogue with several pages of messages', async () => {
    const ids = Array.from({ length: 5_000 }, (_, index) => `old-${index}`);
    await insertMedia(engine.shared().kysely, ids);
    let next = 0;
    const isKnown = async () => (await bed.selectedBy(key(`unknown-${next++}`))).length === 0;
    await until('a message without rows needs no statement', isKnown);
    expect(await bed.selectedBy(key('old-4999'), key('old-0'), key('new'))).toEqual(['old-4999', 'old-0']);
    await insertMedia(engine.shared().kysely, ['new']);
    expect(await bed.selectedBy(key('new'), key('newer'))).toEqual(['new']);
  });

  itEmbedded('that are forgotten while they are read are read anew, from the first', async () => {
    const { kysely } = engine.shared();
    await insertMedia(
      kysely,
      Array.from({ length: 5_000 }, (_, index) => `old-${index}`),
    );
    const statements = async (count: number) => {
      for (let at = 0; at < count; at += 1) await sql`select 1`.execute(kysely);
    };
    // One of these is forgotten while it reads the last page.
    for (let pages = 0; pages < 8; pages += 1) {
      const recorded = new RecordedMessages(kysely);
      const lacks = (id: string) => recorded.lacks(tenantMessageId(TENANT, key(id)));
      recorded.load();
      await statements(pages);
      recorded.forget();
      recorded.load();
      await until('the messages are known', async () => {
        await statements(1);
        return lacks('unknown');
      });
      await statements(4);
      expect([lacks('old-0'), lacks('old-4999')]).toEqual([false, false]);
    }
  });
});
