import { createHash, createHmac } from 'node:crypto';
import { Agent, request } from 'undici';
import { APP_SECRET, BEARER, MEDIA_ID, samples, startChakra, startMeta } from './setup.js';

describe('the emulators', () => {
  const agent = new Agent();
  afterAll(() => agent.destroy());

  async function get(url: string, authorization?: string) {
    const headers = authorization === undefined ? {} : { authorization };
    const { statusCode, headers: answered, body } = await request(url, { dispatcher: agent, headers });
    return { statusCode, headers: answered, text: await body.text() };
  }

  it('answer as Meta was recorded', async () => {
    const { meta } = await startMeta({}, () => 1_728_904_686_000);
    const { text, headers } = await get(`${meta.url}/${MEDIA_ID}`, BEARER);
    expect(text).toMatch(
      /^\{"url":"http:\\\/\\\/127\.0\.0\.1:\d+\\\/whatsapp_business\\\/attachments\\\/\?mid=1761991787669262&ext=1728904986&hash=AT[\w-]{44}","mime_type":"image\\\/jpeg","sha256":"[0-9a-f]{64}","file_size":\d+,"id":"1761991787669262","messaging_product":"whatsapp"\}$/,
    );
    expect(headers['content-type']).toBe('application/json; charset=UTF-8');
    const unknown = await get(`${meta.url}/v20.0/123_123`, BEARER);
    expect(unknown.statusCode).toBe(400);
    expect(JSON.parse(unknown.text)).toMatchObject({
      error: {
        type: 'GraphMethodException',
        code: 100,
        error_subcode: 33,
        fbtrace_id: unknown.headers['x-fb-request-id'],
      },
    });
  });

  it('require the token for metadata and for bytes, and answer a page for bytes without it', async () => {
    const { meta } = await startMeta();
    expect(await get(`${meta.url}/v23.0/${MEDIA_ID}`)).toMatchObject({ statusCode: 401 });
    const { url }: { url: string } = JSON.parse((await get(`${meta.url}/v23.0/${MEDIA_ID}`, BEARER)).text);
    const page = await get(url);
    expect(page).toMatchObject({ statusCode: 401, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(await get(url, BEARER)).toMatchObject({
      statusCode: 200,
      headers: { 'content-disposition': 'inline;filename=whatsapp.jpg' },
    });
    expect(await get(url.replace('&ext=', '&ext=9'), BEARER)).toMatchObject({ statusCode: 404 });
    const { chakra } = await startChakra();
    for (const path of ['', '/show']) {
      expect(await get(`${chakra.url}/v1/whatsapp/v19.0/media/${MEDIA_ID}${path}`)).toMatchObject({ statusCode: 401 });
    }
  });

  it('expire an address after 300 seconds', async () => {
    let now = 1_728_904_686_000;
    const { chakra } = await startChakra({}, () => now);
    const metadata = await get(`${chakra.url}/v1/whatsapp/v19.0/media/${MEDIA_ID}`, BEARER);
    const { url }: { url: string } = JSON.parse(metadata.text);
    now += 299_999;
    expect((await get(url, BEARER)).statusCode).toBe(200);
    now += 1;
    expect((await get(url, BEARER)).statusCode).toBe(404);
  });

  it('announce media as Meta does: signed, escaped, the hash in Base64', async () => {
    const { meta } = await startMeta();
    const { body, headers } = meta.webhookOf(MEDIA_ID, { id: 'wamid.HBgL', caption: 'Grüße' });
    expect(headers['x-hub-signature-256']).toBe(
      `sha256=${createHmac('sha256', APP_SECRET).update(body).digest('hex')}`,
    );
    expect(body.toString()).toContain('Gr\\u00fc\\u00dfe');
    expect(body.toString()).toContain('image\\/jpeg');
    expect(messageIn(body)).toEqual({
      from: '16505551234',
      id: 'wamid.HBgL',
      timestamp: expect.stringMatching(/^\d{10}$/),
      type: 'image',
      image: {
        caption: 'Grüße',
        mime_type: 'image/jpeg',
        sha256: createHash('sha256').update(samples.photo.bytes).digest('base64'),
        id: MEDIA_ID,
        url: expect.stringContaining(`${meta.lookaside.url}/whatsapp_business/attachments/?mid=${MEDIA_ID}&ext=`),
      },
    });
  });

  it('announce media as Chakra passes them on: unsigned, at an address that its key does not open', async () => {
    const { chakra } = await startChakra();
    chakra.addMedia({ ...samples.document, id: '6' });
    const { body, headers } = chakra.webhookOf('6', { id: 'wamid.HBgM', filename: 'Angebot.pdf' });
    expect(Object.keys(headers).filter((name) => name.includes('signature'))).toEqual([]);
    expect(messageIn(body)).toMatchObject({
      type: 'document',
      document: { filename: 'Angebot.pdf', url: expect.stringMatching(/^https:\/\/lookaside\.fbsbx\.com\//) },
    });
    expect(() => chakra.webhookOf('nothing', { id: 'wamid.HBgN' })).toThrow('expected a media that was added');
  });

  it('name the kinds of messages as WhatsApp does', async () => {
    const { meta } = await startMeta();
    const kinds = { sticker: 'sticker', voiceNote: 'audio', video: 'video', document: 'document' } as const;
    for (const [sample, type] of Object.entries(kinds)) {
      meta.addMedia({ ...samples[sample as keyof typeof kinds], id: '3' });
      expect(messageIn(meta.webhookOf('3', { id: 'wamid.1' }).body)).toMatchObject({ type, [type]: { id: '3' } });
    }
    const asDocument = meta.webhookOf(MEDIA_ID, { id: 'wamid.2', type: 'document' });
    expect(messageIn(asDocument.body)).toMatchObject({ document: { mime_type: 'image/jpeg', filename: 'document' } });
  });
});

interface MetaBody {
  readonly entry: ReadonlyArray<{
    readonly changes: ReadonlyArray<{ readonly value: { readonly messages: unknown[] } }>;
  }>;
}

function messageIn(body: Buffer): unknown {
  const { entry }: MetaBody = JSON.parse(body.toString());
  return entry[0]?.changes[0]?.value.messages[0];
}
