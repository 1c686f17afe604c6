/** The shortest of the retention times of a channel, its tenant and the default. */
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { describeEngines } from '../support/databases.js';
import { META, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { sole } from '../support/test-bed.js';

const DAY_MS = 86_400_000;
const QUERY = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { expiresAt } } }';

describeEngines('the retention of media', (bed) => {
  const start = useOwnServers();
  let meta: WhatsAppEmulator;
  let photos = 0;
  beforeEach(async () => {
    meta = await metaEmulator().start();
  });
  afterEach(() => meta.close());

  /** The days after which a photo that is announced now expires; null: it does not. */
  async function daysOf({ client }: OwnServer): Promise<number | null> {
    photos += 1;
    const photo = receivePhoto(meta, photos);
    expect((await client.deliver(META, photo.delivery)).status).toBe(200);
    await client.becomes('READY', photo.id);
    const { data } = await client.query<{
      messagesWithMedia: Array<{ media: Array<{ expiresAt: string | null }> }>;
    }>(QUERY, { ids: [photo.id] });
    const { expiresAt } = sole(sole(data?.messagesWithMedia).media);
    return expiresAt === null ? null : Math.round((Date.parse(expiresAt) - Date.now()) / DAY_MS);
  }

  const sectionsOf = (channel: string | null, tenant: string | null, fallback: string | null) => ({
    channels: [{ ...metaChannel(meta), retention: channel }],
    tenants: { default: { retention: tenant } },
    retention: { default: fallback },
  });

  it.each([
    ['the channel', '10d', '20d', '30d', 10],
    ['the tenant', '30d', '10d', '20d', 10],
    ['the default', '30d', '20d', '10d', 10],
    ['the tenant alone', null, '20d', null, 20],
    ['the channel alone', '10d', null, null, 10],
    ['none', null, null, null, null],
  ])('is that of %s', async (_which, channel, tenant, fallback, days) => {
    const server = await start({ config: sectionsOf(channel, tenant, fallback), database: bed.shared() });
    expect(await daysOf(server)).toBe(days);
  });

  it('of a tenant follows a reload', async () => {
    const server = await start({ config: sectionsOf(null, null, null), database: bed.shared() });
    await server.reload({ tenants: { default: { retention: '5d' } } });
    expect(await daysOf(server)).toBe(5);
    await server.reload({ tenants: { other: { retention: '5d' } } });
    expect(await daysOf(server)).toBeNull();
  });
});
