import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { LamlEmulator, type LamlMedia } from '../../../demo/src/emulators/laml/laml-emulator.js';
import {
  signalwireMediaSid,
  signalwireMessageSid,
  signalwireProjectId,
  twilioAccountSid,
  twilioMediaSid,
  twilioMessageSid,
} from '../../../demo/src/emulators/sample-ids.js';
import { compiledProject } from '../../support/command.js';
import { closeLater, type Got, get, jsonOf, samples, startCdn } from './emulator-requests.js';

async function startLaml(flavour: 'signalwire' | 'twilio', now?: () => number) {
  const cdn = await startCdn(now);
  const accountSid = flavour === 'signalwire' ? signalwireProjectId(1) : twilioAccountSid(1);
  const account = { accountSid, username: accountSid, password: 'secret' };
  const laml = await new LamlEmulator({ flavour, ...account, cdn, ...(now ? { now } : {}) }).start();
  closeLater(laml);
  const authorization = `Basic ${Buffer.from(`${accountSid}:secret`).toString('base64')}`;
  const messageSid = flavour === 'signalwire' ? signalwireMessageSid(1) : twilioMessageSid(1);
  const listUrl = `${laml.baseUrl}/Accounts/${accountSid}/Messages/${messageSid}/Media`;
  return { cdn, laml, accountSid, messageSid, listUrl, basic: { authorization } };
}

function signalwireMedia(count: number): LamlMedia[] {
  return Array.from({ length: count }, (_, index) => ({ ...samples.photo, sid: signalwireMediaSid(index) }));
}

interface ListBody {
  next_page_uri: string | null;
  previous_page_uri: string | null;
  media_list: Array<{ sid: string }>;
}

function listOf(got: Got): ListBody {
  return jsonOf(got) as ListBody;
}

describe('SignalWire and Twilio', () => {
  it('list media as the documentation shows, with and without .json', async () => {
    const { laml, accountSid, messageSid, listUrl, basic } = await startLaml('signalwire');
    laml.addMessage({
      sid: messageSid,
      media: [
        { ...samples.photo, sid: 'b3877c40-da60-4998-90ad-b792e98472me', createdAt: new Date('2018-08-13T21:38:46Z') },
      ],
    });
    const got = await get(listUrl, basic);
    const path = `/api/laml/2010-04-01/Accounts/${accountSid}/Messages/${messageSid}/Media`;
    expect(jsonOf(got)).toEqual({
      uri: `${path}?Page=0&PageSize=50`,
      first_page_uri: `${path}?Page=0&PageSize=50`,
      next_page_uri: null,
      previous_page_uri: null,
      page: 0,
      page_size: 50,
      media_list: [
        {
          account_sid: accountSid,
          content_type: 'image/jpeg',
          date_created: 'Mon, 13 Aug 2018 21:38:46 +0000',
          date_updated: 'Mon, 13 Aug 2018 21:38:46 +0000',
          parent_sid: messageSid,
          sid: 'b3877c40-da60-4998-90ad-b792e98472me',
          uri: `${path}/b3877c40-da60-4998-90ad-b792e98472me.json`,
        },
      ],
    });
    expect((await get(`${listUrl}.json`, basic)).bytes.equals(got.bytes)).toBe(true);
  });

  it('adds start and end for Twilio', async () => {
    const { laml, messageSid, listUrl, basic } = await startLaml('twilio');
    laml.addMessage({
      sid: messageSid,
      media: [1, 2].map((index) => ({ ...samples.photo, sid: twilioMediaSid(index) })),
    });
    expect(new URL(laml.baseUrl).pathname).toBe('/2010-04-01');
    expect(jsonOf(await get(`${listUrl}.json`, basic))).toMatchObject({ start: 0, end: 1, page: 0 });
    expect([twilioMediaSid(1), messageSid]).toEqual([
      expect.stringMatching(/^ME[0-9a-f]{32}$/),
      expect.stringMatching(/^MM[0-9a-f]{32}$/),
    ]);
  });

  it('pages newest first by opaque tokens, forward and back, also past deletions', async () => {
    const { laml, messageSid, listUrl, basic } = await startLaml('signalwire');
    laml.addMessage({ sid: messageSid, media: signalwireMedia(5) });
    laml.maxPageSize = 2;
    const first = listOf(await get(`${listUrl}?PageSize=1000`, basic));
    expect(first.next_page_uri).toMatch(/\?Page=1&PageSize=2&PageToken=PA/);
    expect((await get(`${listUrl}/${signalwireMediaSid(3)}`, basic, 'DELETE')).status).toBe(204);
    const second = listOf(await get(laml.url + first.next_page_uri, basic));
    const third = listOf(await get(laml.url + second.next_page_uri, basic));
    const sids = [first, second, third].map((page) => page.media_list.map(({ sid }) => sid));
    const sid = signalwireMediaSid;
    expect(sids).toEqual([[sid(4), sid(3)], [sid(2), sid(1)], [sid(0)]]);
    expect(third.next_page_uri).toBeNull();
    const back = listOf(await get(laml.url + third.previous_page_uri, basic));
    expect(back.media_list.map((media) => media.sid)).toEqual([sid(2), sid(1)]);
    expect(listOf(await get(`${listUrl}?Page=1`, basic)).media_list.map((media) => media.sid)).toEqual([
      sid(1),
      sid(0),
    ]);
  });

  it.each([
    ['PageSize=0', 20001],
    ['PageSize=1001', 20001],
    ['PageSize=x', 20001],
    ['PageToken=PAnothing', 21481],
  ])('refuses ?%s with %i', async (query, code) => {
    const { laml, messageSid, listUrl, basic } = await startLaml('signalwire');
    laml.addMessage({ sid: messageSid, media: signalwireMedia(1) });
    const got = await get(`${listUrl}?${query}`, basic);
    expect(jsonOf(got)).toEqual({ code, message: expect.any(String), more_info: expect.any(String), status: 400 });
  });

  it('returns invalid next pages when configured', async () => {
    const { laml, accountSid, messageSid, listUrl, basic } = await startLaml('signalwire');
    laml.addMessage({ sid: messageSid, media: signalwireMedia(1) });
    const next = async () => listOf(await get(listUrl, basic)).next_page_uri;
    expect(await next()).toBeNull();
    laml.pageFault = { kind: 'other-origin', origin: 'http://127.0.0.1:1' };
    expect(await next()).toMatch(/^http:\/\/127\.0\.0\.1:1\/api\/laml/);
    laml.pageFault = { kind: 'other-account', accountSid: 'other' };
    expect(await next()).toContain('/Accounts/other/Messages/');
    laml.pageFault = { kind: 'endless' };
    expect(laml.url + (await next())).toBe(`${listUrl}?Page=0&PageSize=50`);
    expect(accountSid).not.toBe('other');
  });

  it('requires Basic credentials and the own account everywhere', async () => {
    const { laml, accountSid, messageSid, listUrl, basic } = await startLaml('twilio');
    laml.addMessage({ sid: messageSid, media: [{ ...samples.photo, sid: twilioMediaSid(1) }] });
    for (const url of [listUrl, laml.mediaUrl(messageSid, twilioMediaSid(1)), `${laml.url}/elsewhere`]) {
      const got = await get(url);
      expect(jsonOf(got)).toMatchObject({ code: 20003, status: 401 });
      expect(got.status).toBe(401);
    }
    const other = await get(listUrl.replace(accountSid, twilioAccountSid(2)), basic);
    expect(jsonOf(other)).toMatchObject({ code: 20404, status: 404 });
  });

  it('answers unknown messages and media with 20404, or an empty list when configured', async () => {
    const { laml, listUrl, basic } = await startLaml('signalwire');
    expect(jsonOf(await get(listUrl, basic))).toMatchObject({ code: 20404, status: 404 });
    expect((await get(`${listUrl}/${signalwireMediaSid(1)}`, basic)).status).toBe(404);
    laml.unknownMessage = 'empty';
    expect(listOf(await get(listUrl, basic)).media_list).toEqual([]);
  });
});

describe('the media of SignalWire and Twilio', () => {
  it('redirects the path without extension to a signed address that rejects credentials and expires', async () => {
    let now = 1_700_000_000_000;
    const { laml, messageSid, basic } = await startLaml('twilio', () => now);
    const sid = twilioMediaSid(1);
    laml.addMessage({ sid: messageSid, media: [{ ...samples.photo, sid }] });
    const redirect = await get(laml.mediaUrl(messageSid, sid), basic);
    expect(redirect.status).toBe(302);
    const location = String(redirect.headers.location);
    const file = await get(location);
    expect(file.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-disposition': 'inline; filename="photo.jpg"',
    });
    expect(file.bytes.equals(samples.photo.bytes)).toBe(true);
    expect((await get(location, basic)).status).toBe(400);
    now += 4 * 60 * 60 * 1000;
    expect((await get(location)).status).toBe(403);
    laml.redirectStatus = 307;
    expect((await get(laml.mediaUrl(messageSid, sid), basic)).status).toBe(307);
    expect(jsonOf(await get(`${laml.mediaUrl(messageSid, sid)}.json`, basic))).toMatchObject({ sid });
  });

  it('answers that path with metadata or the bytes when configured', async () => {
    const { laml, messageSid, basic } = await startLaml('signalwire');
    const sid = signalwireMediaSid(1);
    laml.addMessage({ sid: messageSid, media: [{ ...samples.voiceNote, sid }] });
    laml.bytesWithoutExtension = 'json';
    expect(jsonOf(await get(laml.mediaUrl(messageSid, sid), basic))).toMatchObject({ sid });
    laml.bytesWithoutExtension = 'inline';
    const got = await get(laml.mediaUrl(messageSid, sid), basic);
    expect(got.headers['content-type']).toBe('audio/ogg; codecs=opus');
    expect(got.bytes.equals(samples.voiceNote.bytes)).toBe(true);
  });

  it('answers 404 for a message, or one media, at first', async () => {
    let now = 1_700_000_000_000;
    const { laml, messageSid, listUrl, basic } = await startLaml('signalwire', () => now);
    const media = { ...samples.photo, sid: signalwireMediaSid(1) };
    const statuses = async (url: string, count: number) => {
      const all: number[] = [];
      for (let index = 0; index < count; index += 1) all.push((await get(url, basic)).status);
      return all;
    };
    laml.addMessage({ sid: messageSid, media: [media], notFoundFirst: 2 });
    expect(await statuses(listUrl, 3)).toEqual([404, 404, 200]);
    laml.addMessage({ sid: messageSid, media: [{ ...media, notFoundFirst: 1 }] });
    expect(await statuses(listUrl, 1)).toEqual([200]);
    expect(await statuses(laml.mediaUrl(messageSid, media.sid), 2)).toEqual([404, 302]);
    laml.addMessage({ sid: messageSid, media: [media], notFoundForMs: 3000 });
    expect(await statuses(listUrl, 1)).toEqual([404]);
    now += 3000;
    expect(await statuses(listUrl, 1)).toEqual([200]);
  });

  it('deletes once, not while the message is in progress, and the bytes too', async () => {
    const { laml, messageSid, listUrl, basic } = await startLaml('signalwire');
    const [media = { ...samples.photo, sid: 'none' }] = signalwireMedia(1);
    laml.addMessage({ sid: messageSid, media: [media], inProgress: true });
    const url = `${listUrl}/${media.sid}.json`;
    const location = String((await get(laml.mediaUrl(messageSid, media.sid), basic)).headers.location);
    const early = await get(url, basic, 'DELETE');
    expect(jsonOf(early)).toMatchObject({ code: 20009, status: 400 });
    laml.setInProgress(messageSid, false);
    expect(await get(url, basic, 'DELETE')).toMatchObject({ status: 204, bytes: Buffer.alloc(0) });
    expect((await get(url, basic, 'DELETE')).status).toBe(404);
    expect((await get(url, basic)).status).toBe(404);
    expect((await get(location)).status).toBe(404);
    expect(listOf(await get(listUrl, basic)).media_list).toEqual([]);
  });
});

describe('the webhooks of SignalWire and Twilio', () => {
  it('have a form with the media in the order of the message, signed over URL and sorted fields', async () => {
    const { laml, accountSid, messageSid } = await startLaml('twilio');
    laml.addMessage({
      sid: messageSid,
      media: [
        { ...samples.document, sid: twilioMediaSid(1) },
        { ...samples.photo, sid: twilioMediaSid(2) },
      ],
    });
    const url = 'https://media.example.com/webhooks/mms?tenant=1';
    const { body, headers } = laml.webhookOf(messageSid, url);
    const form = new Map(new URLSearchParams(body.toString()));
    expect(Object.fromEntries(form)).toMatchObject({
      AccountSid: accountSid,
      MessageSid: messageSid,
      NumMedia: '2',
      MediaUrl0: laml.mediaUrl(messageSid, twilioMediaSid(1)),
      MediaContentType0: 'application/pdf',
      MediaUrl1: laml.mediaUrl(messageSid, twilioMediaSid(2)),
      MediaContentType1: 'image/jpeg',
    });
    const signed = [...form.keys()].sort().reduce((text, name) => text + name + form.get(name), url);
    expect(headers['x-twilio-signature']).toBe(createHmac('sha1', 'secret').update(signed).digest('base64'));
    expect(headers['x-signalwire-signature']).toBeUndefined();
    expect(() => laml.webhookOf('unknown', url)).toThrow('unknown');
  });

  it('omit deleted media, and are signed with the own key of SignalWire', async () => {
    const cdn = await startCdn();
    const accountSid = signalwireProjectId(1);
    const account = { accountSid, username: accountSid, password: 'secret', signingKey: 'PSK_1' };
    const laml = await new LamlEmulator({ flavour: 'signalwire', ...account, cdn }).start();
    closeLater(laml);
    const sid = signalwireMessageSid(1);
    laml.addMessage({ sid, media: signalwireMedia(2) });
    const basic = { authorization: `Basic ${Buffer.from(`${accountSid}:secret`).toString('base64')}` };
    await get(laml.mediaUrl(sid, signalwireMediaSid(0)), basic, 'DELETE');
    const url = 'http://127.0.0.1:4000/webhooks/sms';
    const { body, headers } = laml.webhookOf(sid, url);
    const form = new URLSearchParams(body.toString());
    expect([form.get('NumMedia'), form.get('MediaUrl0')]).toEqual(['1', laml.mediaUrl(sid, signalwireMediaSid(1))]);
    form.sort();
    const signed = [...form].reduce((text, [name, value]) => text + name + value, url);
    expect(headers['x-signalwire-signature']).toBe(createHmac('sha1', 'PSK_1').update(signed).digest('base64'));
  });
});

describe('the rate limit of Twilio', () => {
  it('limits the rate by a fault, with 20429 and Retry-After', async () => {
    const { laml, listUrl, basic } = await startLaml('twilio');
    laml.faults.push({
      match: /\/Media/,
      times: 1,
      fault: { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
    });
    const got = await get(listUrl, basic);
    expect([got.status, got.headers['retry-after']]).toEqual([429, '1']);
    expect(jsonOf(got)).toMatchObject({ code: 20429, status: 429 });
  });
});

describe('the standalone emulator', () => {
  it('serves messages whose sids follow from their index, counts requests and ends with its parent', async () => {
    const child = spawn(process.execPath, ['demo/dist/emulators/standalone.js', '{"messages":3}'], {
      cwd: compiledProject(),
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH },
    });
    try {
      const [line] = await once(createInterface(child.stdout), 'line');
      const { url, baseUrl, accountSid, username, password, messageSidPrefix, messages } = JSON.parse(String(line));
      expect(messages).toBe(3);
      const sid = `${messageSidPrefix}${'2'.padStart(12, '0')}`;
      const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
      const list = await get(`${baseUrl}/Accounts/${accountSid}/Messages/${sid}/Media`, { authorization });
      expect(listOf(list).media_list).toHaveLength(1);
      expect(jsonOf(await get(`${url}/__count`))).toBe(1);
      await get(`${url}/__reset`);
      expect(jsonOf(await get(`${url}/__count`))).toBe(0);
      child.stdin.end();
      expect(await once(child, 'exit')).toEqual([0, null]);
    } finally {
      child.kill();
    }
  }, 30_000);
});
