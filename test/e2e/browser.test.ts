/** What Chromium shows, plays and saves. */
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { findBrowser } from '../support/browser.js';
import { INBOX, useBrowser } from '../support/browser-bed.js';
import { describeWith } from '../support/daemon.js';
import { HOSTILE_NAMES } from '../support/hostile-names.js';
import { encodersOfFfmpeg } from '../support/installed-tools.js';
import { withIndexAtEnd } from '../support/late-index.js';
import { messageId, samples } from '../support/sample-messages.js';
import { headerOf, sole, type TestBed } from '../support/test-bed.js';

const TEST_MS = 60_000;
const ELSEWHERE = 'elsewhere.example';
/** More than a browser reads ahead. */
const GAP_BYTES = 4 * 1024 * 1024;

const makesSound = (await encodersOfFfmpeg()).has('aac');
const chromium = await findBrowser();
const browser = useBrowser(chromium);
const { own, nextNumber, open, linksOf, receiveFile, linkTo } = browser;
let bed: TestBed;
let page: Page;
beforeEach(() => {
  ({ bed, page } = browser);
});

/** What a page sees of its pictures: their widths, and how many colours a small copy of each has. */
function picturesOf(opened: Page): Promise<Array<{ width: number; colours: number }>> {
  return opened.evaluate(() =>
    Promise.all(
      [...document.images].map(async (image) => {
        await image.decode().catch(() => {});
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [24, 24];
        const drawing = canvas.getContext('2d');
        if (!drawing || image.naturalWidth === 0) return { width: 0, colours: 0 };
        drawing.drawImage(image, 0, 0, 24, 24);
        const pixels = new Uint32Array(drawing.getImageData(0, 0, 24, 24).data.buffer);
        return { width: image.naturalWidth, colours: new Set(pixels).size };
      }),
    ),
  );
}
describeWith('Chromium', chromium !== null, 'a browser on a page of another site', () => {
  it(
    'shows pictures and their stills, and lets the page read them',
    async () => {
      const photo = sharp(samples.photo.bytes).resize(200);
      const made = async (filename: string, mimeType: string, bytes: Promise<Buffer>) => ({
        filename,
        mimeType,
        bytes: await bytes,
      });
      const pictures = await Promise.all([
        samples.photo,
        samples.sticker,
        made('a.png', 'image/png', photo.clone().png().toBuffer()),
        made('a.gif', 'image/gif', photo.clone().gif().toBuffer()),
        made('a.webp', 'image/webp', photo.clone().webp().toBuffer()),
        made('a.avif', 'image/avif', photo.clone().avif().toBuffer()),
      ]);
      const links = await linksOf(pictures.map((picture) => receiveFile(picture)));
      const urls = links.flatMap(({ url, thumbnailUrl }) => [url, thumbnailUrl ?? '']);
      await open(urls.map((url) => `<img crossorigin="anonymous" src="${url}">`).join(''));
      const seen = await picturesOf(page);
      expect(seen.map(({ width }) => width)).toEqual([800, 320, 512, 320, 200, 200, 200, 200, 200, 200, 200, 200]);
      for (const { colours } of seen) expect(colours).toBeGreaterThan(10);
    },
    TEST_MS,
  );

  const film = { ...samples.video, bytes: withIndexAtEnd(samples.video.bytes, GAP_BYTES) };

  async function storedFilm(): Promise<string> {
    const { url } = await linkTo(film);
    expect((await bed.get(url)).status).toBe(200);
    await bed.app.settled();
    bed.clearRequests();
    return url;
  }

  it.each<[string, () => Promise<string>]>([
    ['whose bytes are here', storedFilm],
    ['that no request has asked for before', async () => (await linkTo(film)).url],
    [
      'that is kept nowhere',
      async () => {
        const off = await own({ config: { mirror: { mode: 'off' } } });
        return (await linkTo(film, off)).url;
      },
    ],
  ])(
    'plays a film %s, and jumps to its end and its middle',
    async (_where, link) => {
      const url = await link();
      const answers: Array<[status: number, range: string]> = [];
      page.on('response', (response) => {
        if (response.url() === url) answers.push([response.status(), response.headers()['content-range'] ?? '']);
      });
      await open(`<video muted crossorigin="anonymous" src="${url}"></video>`);
      const played = await page.evaluate(play, 'video');
      expect(played).toEqual({ ended: true, shown: [true, true, true] });
      // Its index is at its end, so that it was not read from its start to there.
      expect(answers.some(([status, range]) => status === 206 && Number(/\d+/.exec(range)?.[0]) >= GAP_BYTES)).toBe(
        true,
      );
    },
    TEST_MS,
  );

  it(
    'plays the film of the samples and a voice note, and jumps within them',
    async () => {
      const [{ url }, { url: note }] = [await linkTo(samples.video), await linkTo(samples.voiceNote)];
      await open(`<video crossorigin="anonymous" src="${url}"></video><audio src="${note}"></audio>`);
      expect(await page.evaluate(play, 'video')).toEqual({ ended: true, shown: [true, true, true] });
      expect(await page.evaluate(play, 'audio')).toEqual({ ended: true, shown: [] });
    },
    TEST_MS,
  );

  describeWith('ffmpeg', makesSound, 'with sound that is made for it', () => {
    it(
      'plays the rendition of a voice note',
      async () => {
        const message = receiveFile(samples.voiceNote);
        await bed.get(sole(await linksOf([message])).url);
        await bed.app.settled();
        const { url, playable } = sole(await linksOf([message]));
        expect(playable).not.toBe(url);
        await open(`<audio src="${playable}"></audio>`);
        expect(await page.evaluate(play, 'audio')).toEqual({ ended: true, shown: [] });
      },
      TEST_MS,
    );
  });

  it('can read the exposed headers of an answer, and can request a range', async () => {
    const { url } = await linkTo(samples.photo);
    const whole = await bed.get(url);
    await bed.app.settled();
    await open('');
    // The last bytes are no range that a page may ask for without being allowed to.
    expect(await page.evaluate(ask, { url, range: 'bytes=-4' })).toEqual({
      status: 206,
      bytes: 4,
      type: 'image/jpeg',
      disposition: whole.headers['content-disposition'],
      etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
      contentRange: `bytes ${whole.bytes.length - 4}-${whole.bytes.length - 1}/${whole.bytes.length}`,
      acceptRanges: 'bytes',
      lastModified: expect.stringMatching(/ GMT$/),
      requestId: expect.stringMatching(/./),
      cookies: '',
    });
    expect(bed.logLines.some((line) => line.includes('"method":"OPTIONS"'))).toBe(true);
  });
});

describeWith('Chromium', chromium !== null, 'a browser, with origins that are named,', () => {
  it('lets their pages read bytes, and every page show them', async () => {
    const server = await own({ config: { delivery: { allowedOrigins: [browser.pages.origin(INBOX)] } } });
    const { url } = await linkTo(samples.photo, server);
    for (const [host, isAllowed] of [
      [INBOX, true],
      [ELSEWHERE, false],
    ] as const) {
      await open(`<img src="${url}"><img crossorigin="anonymous" src="${url}">`, host);
      const shown = await page.evaluate(() => [...document.images].map(({ naturalWidth }) => naturalWidth > 0));
      expect([host, ...shown]).toEqual([host, true, isAllowed]);
      const fetched = await page.evaluate(ask, { url, range: 'bytes=-4' });
      expect([host, fetched.status]).toEqual([host, isAllowed ? 206 : 'TypeError']);
    }
  });

  it('shows what is bound to them on their pages alone', async () => {
    const delivery = { allowedOrigins: [browser.pages.origin(INBOX)], bindToOrigins: true };
    const server = await own({ config: { delivery } });
    const { url } = await linkTo(samples.photo, server);
    for (const [host, isAllowed] of [
      [INBOX, true],
      [ELSEWHERE, false],
    ] as const) {
      await open(`<img src="${url}"><img crossorigin="anonymous" src="${url}">`, host);
      const shown = await page.evaluate(() => [...document.images].map(({ naturalWidth }) => naturalWidth > 0));
      expect([host, ...shown]).toEqual([host, isAllowed, isAllowed]);
    }
  });
});

describeWith('Chromium', chromium !== null, 'a browser in a tab of its own', () => {
  it('shows text as text, in no origin', async () => {
    const { url } = await linkTo({
      filename: 'a.txt',
      mimeType: 'text/plain',
      bytes: Buffer.from('Gr\u00fc\u00dfe & <others>'),
    });
    const answer = await page.goto(url);
    expect(answer?.status()).toBe(200);
    const stolen = await page.evaluate(() =>
      [() => document.cookie, () => localStorage.length].map((steal) => {
        try {
          return steal();
        } catch (error) {
          return error instanceof Error ? error.name : error;
        }
      }),
    );
    expect(stolen).toEqual(['SecurityError', 'SecurityError']);
    expect(await page.evaluate(() => [document.contentType, document.body.textContent, self.origin])).toEqual([
      'text/plain',
      'Gr\u00fc\u00dfe & <others>',
      'null',
    ]);
  });

  it('shows pictures and films, in no origin', async () => {
    for (const [sample, element] of [
      [samples.photo, 'img'],
      [samples.video, 'video'],
    ] as const) {
      const { url } = await linkTo(sample);
      await page.goto(url);
      const shown = await page.waitForFunction((name) => {
        const found = document.querySelector(name);
        if (found instanceof HTMLImageElement) return found.naturalWidth;
        return found instanceof HTMLVideoElement && found.readyState >= 2 && found.videoWidth;
      }, element);
      expect(await shown.jsonValue()).toBeGreaterThan(100);
      expect(await page.evaluate(() => self.origin)).toBe('null');
    }
  });

  it('gives a document to the viewer', async () => {
    const { url } = await linkTo(samples.document);
    const answer = await page.goto(url);
    expect([answer?.status(), await page.evaluate(() => document.contentType)]).toEqual([200, 'application/pdf']);
    expect(headerOf(await bed.get(url), 'content-security-policy')).not.toContain('sandbox');
  });
});

describeWith('Chromium', chromium !== null, 'a browser', () => {
  it(
    'saves files under their given names',
    async () => {
      const names = HOSTILE_NAMES.filter(({ given }) => given.isWellFormed() && given !== '');
      const { bytes, mimeType } = samples.photo;
      const ids = names.map(({ given }) => {
        const number = nextNumber();
        const id = kirimMessageId(number);
        bed.kirim.addMessage({ id, media: { bytes, mimeType } });
        const contentDisposition = `inline; filename*=UTF-8''${encodeURIComponent(given)}`;
        bed.cdn.put(`kirim/${id}/file`, { bytes: bytes.subarray(0, 100), mimeType }, { contentDisposition });
        return messageId('kirim', number);
      });
      const saved: Array<[what: string, name: string]> = [];
      for (const [at, { saved: url }] of (await linksOf(ids)).entries()) {
        const download = page.waitForEvent('download');
        await page.goto(url).catch(() => {});
        saved.push([names[at]?.what ?? '', (await download).suggestedFilename()]);
      }
      expect(saved).toEqual(names.map(({ what, delivered }) => [what, inChromium(delivered ?? 'media.jpg')]));
    },
    TEST_MS,
  );
});

/** Chromium composes letters, and takes neither joiners nor what Windows has for a copy's sign at the start. */
function inChromium(name: string): string {
  return name.normalize('NFC').replace(/\p{Cf}|^~/gu, '_');
}

/** What a page's `fetch` of another origin tells it; `status` is the error's name where the browser does not let it. */
async function ask({ url, range }: { url: string; range: string }) {
  const answer = await fetch(url, { headers: { range } }).catch((error: Error) => error.name);
  if (typeof answer === 'string') return { status: answer };
  const { status, headers } = answer;
  return {
    status,
    bytes: (await answer.arrayBuffer()).byteLength,
    type: headers.get('content-type'),
    disposition: headers.get('content-disposition'),
    etag: headers.get('etag'),
    contentRange: headers.get('content-range'),
    acceptRanges: headers.get('accept-ranges'),
    lastModified: headers.get('last-modified'),
    requestId: headers.get('x-request-id'),
    cookies: document.cookie,
  };
}

/** Plays in the page from the start, then jumps to the middle, near the end and to the end; waits for events alone. */
async function play(name: string) {
  const element = document.querySelector<HTMLMediaElement>(name);
  if (!element) throw new Error(`expected a ${name} in the page`);
  const event = (type: string) =>
    new Promise<void>((resolve, reject) => {
      element.addEventListener(type, () => resolve(), { once: true });
      const fail = () => reject(new Error(`${element.error?.code} ${element.error?.message}`));
      if (element.error) fail();
      else element.addEventListener('error', fail, { once: true });
    });
  const showsPicture = () => {
    if (!(element instanceof HTMLVideoElement)) return [];
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [24, 24];
    const drawing = canvas.getContext('2d');
    drawing?.drawImage(element, 0, 0, 24, 24);
    const pixels = drawing?.getImageData(0, 0, 24, 24).data.buffer;
    return [element.readyState >= 2 && new Set(new Uint32Array(pixels ?? new ArrayBuffer(0))).size > 10];
  };
  await element.play();
  while (element.currentTime <= 0.1) await event('timeupdate');
  element.pause();
  const shown = showsPicture();
  for (const part of [0.9, 0.5]) {
    const seeked = event('seeked');
    element.currentTime = element.duration * part;
    await seeked;
    shown.push(...showsPicture());
  }
  const ended = event('ended');
  element.currentTime = element.duration;
  await element.play().catch(() => {});
  await ended;
  return { ended: element.ended, shown };
}
