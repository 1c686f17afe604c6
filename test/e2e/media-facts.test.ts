import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { ChakraEmulator } from '../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { until } from '../support/eventually.js';
import { messageId, samples } from '../support/sample-messages.js';
import { type MediaData, sole, type TestBed, useBeds } from '../support/test-bed.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const FACTS = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media {
  status kind filename caption expiresAt url urlExpiresAt } } }`;
const LINKS = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { url } } }';

interface Facts extends MediaData {
  readonly expiresAt: string | null;
}

const beds = useBeds();
let bed: TestBed;

async function ask(id: string, query = FACTS): Promise<Facts> {
  const { data, errors } = await bed.query<{ messagesWithMedia: Array<{ media: Facts[] }> }>(query, { ids: [id] });
  expect(errors).toEqual([]);
  return sole(sole(data?.messagesWithMedia).media);
}

/** Opens the link and waits until the bytes are stored. */
async function open(url: string): Promise<void> {
  expect((await bed.get(url)).status).toBe(200);
  await bed.app.settled();
}

describe('details that only the provider has', () => {
  const id = messageId('kirim');
  const known = { kind: 'STICKER', filename: 'wave.webp', caption: 'Grüße' };

  beforeEach(async () => {
    bed = await beds.shared();
    bed.kirim.addMessage({
      id: kirimMessageId(1),
      media: { ...samples.sticker, filename: 'wave.webp', caption: 'Grüße' },
    });
  });

  it('stay known when the bytes are stored and the provider deletes them, and are requested once', async () => {
    const { url } = await ask(id);
    await open(url);
    bed.kirim.expire(kirimMessageId(1));
    bed.clearRequests();
    expect(await ask(id)).toMatchObject({ status: 'READY', ...known });
    expect(bed.providerCalls).toBe(0);
  });

  it('can be requested after the bytes were stored', async () => {
    const { url } = await ask(id, LINKS);
    await open(url);
    expect(await ask(id)).toMatchObject({ status: 'READY', ...known });
  });

  it('are null without an error when the provider deleted the media before the first request', async () => {
    const { url } = await ask(id, LINKS);
    await open(url);
    bed.kirim.fault = { kind: 'status', status: 404 };
    expect(await ask(id)).toMatchObject({ status: 'READY', kind: 'IMAGE', filename: null, caption: null });
  });
});

describe('the expiry of the bytes', () => {
  const chakra = new ChakraEmulator({ token: 'chakra-token' });
  const WAMID = 'wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ';
  beforeAll(() => chakra.start());
  afterAll(() => chakra.close());

  async function announce(retention: string | null): Promise<void> {
    const channel = {
      id: 'chakra',
      provider: 'chakra',
      baseUrl: chakra.baseUrl,
      credentials: { token: 'chakra-token' },
      webhook: { secret: 'chakra-url-token' },
    };
    bed = await beds.own({
      config: { mirror: { mode: 'lazy' }, retention: { default: retention }, channels: [channel] },
    });
    chakra.addMedia({ id: '2852559851913765', bytes: samples.photo.bytes, mimeType: 'image/jpeg' });
    const { body, headers } = chakra.webhookOf('2852559851913765', { id: WAMID });
    const target = '/webhooks/chakra?token=chakra-url-token';
    expect((await bed.get(target, { method: 'POST', headers, body: body.toString() })).status).toBe(200);
    await until('the announcement to be processed', async () => {
      const { data } = await bed.query(LINKS, { ids: [`chakra:${WAMID}`] });
      return sole(data?.messagesWithMedia)?.media?.length === 1;
    });
  }

  const daysLeft = (time: string | null): number => Math.round((Date.parse(time ?? '') - Date.now()) / DAY_MS);

  it("is the provider's while it alone has them, and unknown once they are stored", async () => {
    await announce(null);
    const { expiresAt, url } = await ask(`chakra:${WAMID}`);
    expect(daysLeft(expiresAt)).toBe(7);
    await open(url);
    expect(await ask(`chakra:${WAMID}`)).toMatchObject({ status: 'READY', expiresAt: null });
  });

  it('is that of retention when it is earlier; later it is that of retention alone', async () => {
    await announce('3d');
    const { url, expiresAt } = await ask(`chakra:${WAMID}`);
    expect(daysLeft(expiresAt)).toBe(3);
    await open(url);
    expect((await ask(`chakra:${WAMID}`)).expiresAt).toBe(expiresAt);
  });

  it('is the expiry of the links', async () => {
    await announce('30m');
    const { urlExpiresAt, expiresAt, url } = await ask(`chakra:${WAMID}`);
    expect(Date.parse(urlExpiresAt)).toBe(Math.floor(Date.parse(expiresAt ?? '') / 1000) * 1000);
    expect(Number(new URL(url).searchParams.get('exp')) * 1000).toBe(Date.parse(urlExpiresAt));
  });

  it('makes the media EXPIRED from that moment on, before any sweep', async () => {
    await announce('2s');
    await until('the end to come', async () => (await ask(`chakra:${WAMID}`)).status === 'EXPIRED');
    expect(await ask(`chakra:${WAMID}`)).toMatchObject({ url: null, urlExpiresAt: null });
  });
});
