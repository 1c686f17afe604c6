import { SqlMediaCatalogue } from '../../src/catalogue/sql-media-catalogue.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { WorkHistory } from '../../src/jobs/work-queue.js';
import { describeEngines, type EngineBed, reportedMedia } from '../support/databases.js';
import { reservation } from '../support/uploads.js';

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const LEASE_MS = 1_000;
const plus = (ms: number) => new Date(NOW.getTime() + ms);

/** One piece of work, whatever it is. */
interface Work {
  add(): Promise<void>;
  /** null: it is not due. */
  claim(owner: string, now?: Date): Promise<(WorkHistory & { readonly attempts: number }) | null>;
  setAlone(owner: string, isAlone: boolean): Promise<boolean>;
  /** Whether the lease is the owner's still. */
  renew(owner: string, now: Date): Promise<boolean>;
  release(owner: string): Promise<void>;
  abandon(): Promise<number>;
}

const KINDS: Readonly<Record<string, (bed: EngineBed) => Work>> = {
  'a copy': (bed) => {
    const catalogue = new SqlMediaCatalogue(bed.shared());
    const media = reportedMedia();
    return {
      add: () => catalogue.recordAnnouncement(TENANT, [media], { mirror: true, now: NOW, retainedUntil: null }),
      claim: async (owner, now = NOW) =>
        (await catalogue.claimMirrors({ owner, now, limit: 1, leaseMs: LEASE_MS }))[0] ?? null,
      setAlone: (owner, isAlone) => catalogue.setAlone(owner, media, isAlone),
      renew: async (owner, now) => (await catalogue.renewLeases(owner, [media], now, LEASE_MS)).has(media),
      release: (owner) => catalogue.releaseMirrors(owner),
      abandon: () => catalogue.abandonLeases(),
    };
  },
  'an event': (bed) => {
    const inbox = new SqlWebhookInbox(bed.shared());
    let event = { id: 0 };
    return {
      add: async () => {
        const told = {
          tenant: TENANT,
          channelId: 'support',
          dedupeKey: 'k',
          contentType: '',
          rawBody: Buffer.alloc(0),
        };
        await inbox.receive({ ...told, now: NOW });
      },
      claim: async (owner, now = NOW) => {
        const [claimed] = await inbox.claim({ owner, now, limit: 1, leaseMs: LEASE_MS });
        if (claimed) event = claimed;
        return claimed ?? null;
      },
      setAlone: (owner, isAlone) => inbox.setAlone(owner, event, isAlone),
      renew: async (owner, now) => (await inbox.renewLeases(owner, [event], now, LEASE_MS)).has(event),
      release: (owner) => inbox.release(owner),
      abandon: () => inbox.abandonLeases(),
    };
  },
  'an upload': (bed) => {
    const uploads = new SqlUploads(bed.shared());
    const upload = reservation({ now: NOW });
    return {
      add: async () => void (await uploads.reserve(upload)),
      claim: (owner, now = NOW) => uploads.claim({ owner, now, leaseMs: LEASE_MS }, []),
      setAlone: (owner, isAlone) => uploads.setAlone(owner, upload, isAlone),
      renew: async (owner, now) => (await uploads.renewLeases(owner, [upload], now, LEASE_MS)).has(upload),
      release: (owner) => uploads.release(owner),
      abandon: () => uploads.abandonLeases(),
    };
  },
};

describeEngines('work that is leased', (bed) => {
  describe.each(Object.entries(KINDS))('%s', (_, kindOf) => {
    let work: Work;
    beforeEach(async () => {
      work = kindOf(bed);
      await work.add();
    });

    test('is no suspect at first, and is one once a lease of another’s has run out', async () => {
      expect(await work.claim('first')).toMatchObject({ attempts: 1, suspect: false, interruptions: 0, deaths: 0 });
      expect(await work.claim('second', plus(LEASE_MS - 1))).toBeNull();
      const suspect = { suspect: true, deaths: 0 };
      expect(await work.claim('second', plus(LEASE_MS))).toMatchObject({ ...suspect, attempts: 2, interruptions: 1 });
      expect(await work.claim('third', plus(2 * LEASE_MS))).toMatchObject({ ...suspect, interruptions: 2 });
    });

    test('has caused a death only where its owner had noted that it was alone, and still was', async () => {
      await work.claim('among others');
      await work.claim('alone', plus(LEASE_MS));
      expect(await work.setAlone('alone', true)).toBe(true);
      expect(await work.claim('no longer alone', plus(2 * LEASE_MS))).toMatchObject({ deaths: 1, interruptions: 2 });
      expect(await work.setAlone('no longer alone', true)).toBe(true);
      expect(await work.setAlone('no longer alone', false)).toBe(true);
      // A claim begins anew: what the last owner noted does not count for the next.
      expect(await work.claim('before it could note it', plus(3 * LEASE_MS))).toMatchObject({ deaths: 1 });
      expect(await work.claim('last', plus(4 * LEASE_MS))).toMatchObject({ deaths: 1, interruptions: 4 });
    });

    test('is its owner’s alone: another notes, renews and hands back nothing', async () => {
      await work.claim('slow');
      await work.claim('fast', plus(LEASE_MS));
      expect(await work.setAlone('slow', true)).toBe(false);
      expect(await work.renew('slow', plus(LEASE_MS))).toBe(false);
      await work.release('slow');
      expect(await work.claim('third', plus(LEASE_MS))).toBeNull();
      expect(await work.renew('fast', plus(LEASE_MS))).toBe(true);
      expect(await work.claim('third', plus(2 * LEASE_MS))).toMatchObject({ deaths: 0 });
    });

    test('that is handed back by a server that is told to stop counts nothing, however often', async () => {
      for (let round = 1; round <= 5; round++) {
        expect(await work.claim(`round ${round}`)).toMatchObject({ attempts: 1, suspect: false, interruptions: 0 });
        await work.setAlone(`round ${round}`, true);
        await work.release(`round ${round}`);
      }
      expect(await work.claim('last')).toMatchObject({ attempts: 1, suspect: false, interruptions: 0, deaths: 0 });
    });

    test('stays a suspect when it is handed back, and keeps its deaths', async () => {
      await work.claim('first');
      await work.setAlone('first', true);
      await work.claim('second', plus(LEASE_MS));
      await work.release('second');
      expect(await work.claim('third', plus(LEASE_MS))).toMatchObject({ suspect: true, deaths: 1, interruptions: 1 });
    });

    test('that its own living owner finds again has caused no death', async () => {
      await work.claim('lives');
      await work.setAlone('lives', true);
      expect(await work.claim('lives', plus(LEASE_MS))).toMatchObject({ suspect: false, deaths: 0, interruptions: 0 });
    });

    test('is renewed also after its time, while no other has it', async () => {
      await work.claim('slow');
      expect(await work.renew('slow', plus(5 * LEASE_MS))).toBe(true);
      expect(await work.claim('other', plus(6 * LEASE_MS - 1))).toBeNull();
    });

    test('was interrupted where the next process knows that it is alone', async () => {
      await work.claim('dead');
      await work.setAlone('dead', true);
      expect(await work.abandon()).toBe(1);
      expect(await work.claim('alive')).toMatchObject({ attempts: 2, suspect: true, interruptions: 1, deaths: 1 });
      expect(await work.abandon()).toBe(1);
      expect(await work.claim('next')).toMatchObject({ attempts: 3, interruptions: 2, deaths: 1 });
      await work.release('next');
      expect(await work.abandon()).toBe(0);
    });
  });

  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  const announce = (now: Date) =>
    catalogue().recordAnnouncement(TENANT, [reportedMedia()], { mirror: true, now, retainedUntil: null });
  const claim = async (owner: string, now: Date) =>
    (await catalogue().claimMirrors({ owner, now, limit: 1, leaseMs: LEASE_MS }))[0] ?? null;
  const { id } = reportedMedia();
  const failure = { code: 'INTERNAL_SERVER_ERROR', message: 'three deaths', retryable: true, at: NOW } as const;

  /** Three processes have died of it, and it was ended. */
  async function condemn(): Promise<void> {
    await announce(NOW);
    for (let life = 0; life <= 3; life++) {
      expect(await claim(`life ${life}`, plus(life * LEASE_MS))).toMatchObject({ deaths: life });
      await catalogue().setAlone(`life ${life}`, { tenant: TENANT, id }, true);
    }
    await catalogue().failMirror(TENANT, id, 'life 3', { status: 'FAILED', failure });
    expect(await claim('nobody', plus(99 * LEASE_MS))).toBeNull();
  }
  const fresh = { attempts: 1, suspect: false, interruptions: 0, deaths: 0 };

  test('a copy that was ended begins anew when its media is announced again', async () => {
    await condemn();
    await announce(plus(5 * LEASE_MS));
    expect(await claim('next', plus(5 * LEASE_MS))).toMatchObject({ ...fresh, since: plus(5 * LEASE_MS) });
  });

  test('a copy that was ended begins anew when it is asked for', async () => {
    await condemn();
    const now = plus(5 * LEASE_MS);
    expect(await catalogue().retryFailed(TENANT, id, { copy: true, now })).toMatchObject({ status: 'PENDING' });
    expect(await claim('next', now)).toMatchObject({ ...fresh, since: now });
  });

  test('an announcement takes nothing from a copy that is under way', async () => {
    await announce(NOW);
    await claim('first', NOW);
    await catalogue().setAlone('first', { tenant: TENANT, id }, true);
    await announce(plus(1));
    expect(await claim('second', plus(LEASE_MS - 1))).toBeNull();
    expect(await claim('second', plus(LEASE_MS))).toMatchObject({ attempts: 2, deaths: 1 });
  });

  test('an upload that was ended begins anew when it is asked for', async () => {
    const uploads = new SqlUploads(bed.shared());
    const upload = reservation({ now: NOW, filename: 'beach.jpg', mimeType: 'image/jpeg' });
    await uploads.reserve(upload);
    for (let life = 0; life <= 3; life++) {
      const now = plus(life * LEASE_MS);
      expect(await uploads.claim({ owner: `${life}`, now, leaseMs: LEASE_MS }, [])).toMatchObject({ deaths: life });
      await uploads.setAlone(`${life}`, upload, true);
    }
    expect(await uploads.fail(TENANT, upload.id, '3', failure)).toMatchObject({
      media: { status: 'FAILED' },
      key: null,
    });
    expect(await uploads.retryFailed(TENANT, upload.id, plus(9_000))).toMatchObject({
      status: 'PENDING',
      failure: null,
    });
    const job = await uploads.claim({ owner: 'next', now: plus(9_000), leaseMs: LEASE_MS }, []);
    const { sourceUrl, filename, mimeType } = upload;
    expect(job).toMatchObject({ ...fresh, sourceUrl, filename, mimeType });
    // What it was to fetch is remembered for a day, and given out once.
    expect(await uploads.retryFailed(TENANT, upload.id, plus(9_000))).toBeNull();
    await uploads.fail(TENANT, upload.id, 'next', failure);
    expect(await uploads.retryFailed(TENANT, upload.id, plus(24 * 60 * 60 * 1_000))).toBeNull();
    expect(await uploads.retryFailed(TENANT, upload.id, plus(24 * 60 * 60 * 1_000 - 1))).not.toBeNull();
  });

  test('claims pass over tenants that have enough under way', async () => {
    const uploads = new SqlUploads(bed.shared());
    await uploads.reserve(reservation({ now: NOW, tenant: 'busy' }));
    await uploads.reserve(reservation({ now: plus(1), tenant: 'idle' }));
    const tenantOf = async (notOf: readonly string[]) =>
      (await uploads.claim({ owner: 'a', now: plus(1), leaseMs: LEASE_MS }, notOf))?.media.tenant ?? null;
    expect(await tenantOf(['busy'])).toBe('idle');
    expect(await tenantOf(['busy'])).toBeNull();
    expect(await tenantOf([])).toBe('busy');
  });
});
