import type { CataloguedMedia, FoundDetails } from '../../src/catalogue/media/media-catalogue.js';
import { MessageMemory } from '../../src/catalogue/media/message-memory.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { formatMessageId } from '../../src/model/ids.js';
import type { JobKind } from '../../src/model/job-kind.js';
import type { MessageKey, MessageMedia } from '../../src/model/media.js';
import { type EngineBed, listing, reportedMedia, storedBytes } from '../support/databases.js';
import { claimCopies, jobStoreOf } from '../support/jobs.js';

export const TENANT = 'default';
export const M1: MessageKey = { channelId: 'support', providerMessageId: 'm1' };
export const M2: MessageKey = { channelId: 'support', providerMessageId: 'm2' };
export const NOW = new Date('2026-11-21T10:00:00.000Z');
export const BECAUSE = { code: 'PROVIDER_UNAVAILABLE', message: 'because', retryable: true, at: NOW } as const;

export const plus = (ms: number) => new Date(NOW.getTime() + ms);

/** A media of a message that can have several. */
export const picture = (providerMediaId: string, keys: Partial<MessageMedia> = {}) =>
  reportedMedia({ providerMediaId, ...keys });

/** The catalogue of a test's database, with short forms of what its tests ask of it. */
export function catalogueBed(engine: Pick<EngineBed, 'shared'>) {
  let memory: MessageMemory | null = null;
  beforeEach(() => {
    memory = null;
  });
  const catalogue = () => {
    memory ??= new MessageMemory(engine.shared());
    return new SqlMediaCatalogue(engine.shared(), memory);
  };
  const keep = (id: string, details: FoundDetails = {}) =>
    catalogue().markStored(TENANT, id, { stored: storedBytes(), details, replacing: null }, NOW);
  const copyJobs = (now = NOW, owner = 'a') => claimCopies(engine.shared(), { owner, now });
  /** Jobs that wait or are under way. */
  const openJobs = async (kind: JobKind) =>
    (await jobStoreOf(engine.shared(), { owner: 'counts', now: NOW }).counts())[kind].open;
  const found = async (id: string): Promise<CataloguedMedia> => {
    const media = (await catalogue().findByIds(TENANT, [id])).get(id);
    if (!media) throw new Error('expected a row');
    return media;
  };
  const record = async (key: MessageKey) => (await catalogue().findByMessages(TENANT, [key])).get(formatMessageId(key));
  const list = (media: readonly MessageMedia[], now = NOW, key = M1, retainedUntil: Date | null = null) =>
    catalogue().recordListings(TENANT, [listing(key, media, { now, retainedUntil })], now);
  const listUntil = (retainedUntil: Date, media: readonly MessageMedia[]) => list(media, NOW, M1, retainedUntil);
  const announce = async (media: readonly MessageMedia[], mirror = false, now = NOW): Promise<CataloguedMedia[]> => {
    await catalogue().recordAnnouncement(TENANT, media, { mirror, now, retainedUntil: null });
    const ids = media.map(({ id }) => id);
    const rows = await catalogue().findByIds(TENANT, ids);
    return ids.flatMap((id) => rows.get(id) ?? []);
  };
  return { catalogue, keep, copyJobs, openJobs, found, record, list, listUntil, announce };
}
