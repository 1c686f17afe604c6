/**
 * What Chromium shows, plays, saves and refuses to run. `TEST_LONG=1` uses every file in every way; else every file is in
 * a frame, a script and a style, and one of each kind is a plug-in, a tab and a worker too.
 */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import sharp from 'sharp';
import type { MediaSample } from '../../demo/src/emulators/media-samples.js';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { isMarkupName } from '../../src/links/media-name.js';
import { findBrowser, Pages, startBrowser } from '../support/browser.js';
import { describeWith } from '../support/daemon.js';
import { until } from '../support/eventually.js';
import { HOSTILE_NAMES } from '../support/hostile-names.js';
import { encodersOfFfmpeg } from '../support/installed-tools.js';
import { withIndexAtEnd } from '../support/late-index.js';
import { type Polyglot, pdfWith, polyglots } from '../support/polyglots.js';
import { RawServer } from '../support/raw-server.js';
import { messageId, receive, samples } from '../support/sample-messages.js';
import { type Got, headerOf, sole, type TestBed, useBeds } from '../support/test-bed.js';
import { attempt } from '../support/upload-attempts.js';

const IS_LONG = process.env.TEST_LONG === '1';
const START_MS = 60_000;
const TEST_MS = 60_000;
const INBOX = 'inbox.example';
const ELSEWHERE = 'elsewhere.example';
/** More than a browser reads ahead. */
const GAP_BYTES = 4 * 1024 * 1024;

const chromium = await findBrowser();
const makesSound = (await encodersOfFfmpeg()).has('aac');

const beds = useBeds({ env: { PATH: process.env.PATH } });
let bed: TestBed;
let browser: Browser;
let context: BrowserContext;
let pages: Pages;
let page: Page;
let serial = 0;

interface Links {
  readonly url: string;
  readonly playable: string;
  readonly saved: string;
  readonly thumbnailUrl: string | null;
}

async function linksOf(messageIds: readonly string[], from = bed): Promise<readonly Links[]> {
  const { data, text } = await from.query<{ messagesWithMedia: ReadonlyArray<{ media: readonly Links[] | null }> }>(
    `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media {
      url playable: url(prefer: PLAYABLE) saved: url(disposition: ATTACHMENT) thumbnailUrl } } }`,
    { ids: messageIds },
  );
  if (!data) throw new Error(`expected media, got ${text}`);
  return data.messagesWithMedia.map(({ media }) => sole(media));
}

/** A message with this media, at a provider that tells no type of its own accord. */
function receiveFile(sample: MediaSample, from = bed): string {
  serial += 1;
  return receive(from, 'twilio', serial, sample);
}

async function linkTo(sample: MediaSample, from = bed): Promise<Links> {
  return sole(await linksOf([receiveFile(sample, from)], from));
}

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

/** Opens a page of another site. */
async function open(html: string, host = INBOX): Promise<void> {
  serial += 1;
  await page.goto(pages.put(host, `/page-${serial}`, html), { waitUntil: 'load' });
}

describeWith('Chromium', chromium !== null, 'a browser', () => {
  beforeAll(async () => {
    if (chromium === null) throw new Error('expected a browser');
    [browser, pages] = await Promise.all([startBrowser(chromium), Pages.start()]);
  }, START_MS);
  afterAll(async () => {
    await browser.close();
    await pages.close();
  });
  beforeEach(async () => {
    bed = await beds.shared();
    context = await browser.newContext({ acceptDownloads: false });
    page = await context.newPage();
  }, START_MS);
  afterEach(() => context.close());

  describe('on a page of another site', () => {
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
      ['that nobody has asked for before', async () => (await linkTo(film)).url],
      [
        'that is kept nowhere',
        async () => {
          const off = await beds.own({ config: { mirror: { mode: 'off' } } });
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

    it('is told what it may know of an answer, and may ask for a part', async () => {
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

  describe('with origins that are named', () => {
    it('lets their pages read bytes, and every page show them', async () => {
      const own = await beds.own({ config: { delivery: { allowedOrigins: [pages.origin(INBOX)] } } });
      const { url } = await linkTo(samples.photo, own);
      for (const [host, isAllowed] of [
        [INBOX, true],
        [ELSEWHERE, false],
      ] as const) {
        await open(`<img src="${url}"><img crossorigin="anonymous" src="${url}">`, host);
        const shown = await page.evaluate(() => [...document.images].map(({ naturalWidth }) => naturalWidth > 0));
        expect([host, ...shown]).toEqual([host, true, isAllowed]);
        const asked = await page.evaluate(ask, { url, range: 'bytes=-4' });
        expect([host, asked.status]).toEqual([host, isAllowed ? 206 : 'TypeError']);
      }
    });

    it('shows what is bound to them on their pages alone', async () => {
      const delivery = { allowedOrigins: [pages.origin(INBOX)], bindToOrigins: true };
      const own = await beds.own({ config: { delivery } });
      const { url } = await linkTo(samples.photo, own);
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

  it(
    'runs the explorer without any network, with its examples ready',
    async () => {
      const own = await beds.own({ config: { server: { port: 0, explorer: 'graphiql' } } });
      const foreign: string[] = [];
      page.on('request', (request) => {
        if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(own.app.url)) foreign.push(request.url());
      });
      await page.goto(`${own.app.url}/graphql`);
      const run = page.getByRole('button', { name: /execute query/i });
      await page.getByRole('tab', { name: 'Channels' }).click();
      await run.click();
      await page.getByText('"KIRIM"').waitFor();
      await page.getByRole('tab', { name: 'MediaUpdated' }).click();
      await page.getByText('mediaUpdated(messageIds').first().waitFor();
      await run.click();
      // Over server-sent events: the examples are for the demo's channels, which are not here.
      await page.getByText('CHANNEL_NOT_FOUND').first().waitFor();
      expect(foreign).toEqual([]);
    },
    TEST_MS,
  );

  it.each<[string, Readonly<Record<string, string>>]>([
    ['for the first time', {}],
    [
      'with what an older version left in the browser',
      {
        'graphiql:query': '# Welcome to GraphiQL',
        'graphiql:tabState': JSON.stringify({
          tabs: [{ id: 'a', hash: '', title: '<untitled>', query: '# Welcome to GraphiQL', operationName: null }],
          activeTabIndex: 0,
        }),
      },
    ],
  ])(
    'opens the explorer %s with an operation that runs',
    async (_when, remembered) => {
      const own = await beds.own({ config: { server: { port: 0, explorer: 'graphiql' } } });
      await context.addInitScript((items) => {
        for (const [key, value] of Object.entries(items)) localStorage.setItem(key, value);
      }, remembered);
      await page.goto(`${own.app.url}/graphql`);
      await page.getByText('messagesWithMedia').first().waitFor();
      const answered = page.waitForResponse(
        (response) =>
          response.request().method() === 'POST' && !/IntrospectionQuery/.test(response.request().postData() ?? ''),
      );
      await page.getByRole('button', { name: /execute query/i }).click();
      const body: { data?: unknown; errors?: ReadonlyArray<{ extensions: { code: string } }> } = await (
        await answered
      ).json();
      expect(body.data).toHaveProperty('messagesWithMedia');
      for (const { extensions } of body.errors ?? []) expect(extensions.code).toBe('CHANNEL_NOT_FOUND');
      await page.getByText('"messagesWithMedia"').first().waitFor();
    },
    TEST_MS,
  );

  describe('in a tab of its own', () => {
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

  describe('a file that is something else to whoever believes it', () => {
    let witness: RawServer;
    let files: Polyglot[];
    /** What was said in boxes, or by a file to the page that used it. */
    let said: string[];

    beforeAll(async () => {
      witness = await RawServer.start((_request, response) =>
        response.setHeader('access-control-allow-origin', '*').end(),
      );
      files = polyglots({ url: witness.url });
    });
    afterAll(() => witness.close());
    beforeEach(() => {
      witness.requests.length = 0;
      said = [];
      context.on('dialog', (dialog) => {
        said.push(dialog.message());
        void dialog.dismiss().catch(() => {});
      });
    });

    /** Everything that ran so far, by the file's name. */
    async function ran(): Promise<string[]> {
      for (const opened of context.pages()) {
        const told = await opened.evaluate(() => [Reflect.get(self, '__ran'), Reflect.get(self, '__told')]);
        said.push(...told.flat().filter((text) => typeof text === 'string'));
      }
      const asked = witness.requests.map((request) => request.replace(/^.*\/ran\//, ''));
      const names = [...said.map((text) => text.replace(/^ran:/, '')), ...asked];
      return [...new Set(names)].sort();
    }

    /**
     * A page that uses every link in every way that markup can, loaded when the browser is done with all of them.
     * @param plugged also those that are used as plug-ins, which browsers treat as frames
     */
    async function useInPage(urls: readonly string[], plugged: readonly string[]): Promise<void> {
      const uses = urls.map((url) => {
        const href = url.replaceAll('&', '&amp;');
        const plugIns = [`<object data="${href}"></object>`, `<embed src="${href}">`];
        const at = plugged.indexOf(url);
        return `<iframe src="${href}"></iframe>
          ${at < 0 ? '' : IS_LONG ? plugIns.join('') : plugIns[at % 2]}
          <link rel="stylesheet" href="${href}"><script charset="iso-8859-1" src="${href}"></script>
          <script type="module" src="${href}"></script>`;
      });
      const small = '<style>iframe, object, embed { width: 9px; height: 9px }</style>';
      await open(`${LISTENER}${small}<body>${uses.join('')}`);
      await page.evaluate(useInWorker, urls);
    }

    /** Opens every link in a tab, by a page that can be reached from it. */
    async function useInTab(urls: readonly string[]): Promise<void> {
      const opener = await context.newPage();
      await opener.goto(pages.put(INBOX, '/opener', LISTENER));
      const popup = opener.waitForEvent('popup');
      await opener.evaluate(() => void window.open('', 'tab'));
      const tab = await popup;
      for (const url of urls) {
        const shown = tab.waitForEvent('load').then(() => tab.url());
        const saved = tab.waitForEvent('download').then((download) => download.url());
        await opener.evaluate((to) => void window.open(to, 'tab'), url);
        expect(await Promise.race([shown, saved])).toBe(url);
      }
    }

    function linksTo(sent: readonly Polyglot[]): Promise<readonly Links[]> {
      const ids = sent.map(({ claim, filename, bytes }) => {
        serial += 1;
        const media = { filename, mimeType: claim ?? 'application/octet-stream', bytes };
        bed.kirim.addMessage({ id: kirimMessageId(serial), media, contentType: claim });
        return messageId('kirim', serial);
      });
      return linksOf(ids);
    }

    it(
      'never runs',
      async () => {
        const urls = (await linksTo(files)).map(({ url }) => url);
        const answers = await Promise.all(urls.map((url) => bed.get(url)));
        for (const answer of answers) expectHarmless(answer);
        // What is dear to a browser is done with one of each kind of answer by default, since it goes by these alone.
        const kinds = answers.map(({ headers }) => `${headers['content-type']} ${headers['content-disposition']}`);
        const chosen = urls.filter((_, at) => IS_LONG || kinds.indexOf(kinds[at] ?? '') === at);
        await useInPage(urls, chosen);
        expect(await ran()).toEqual([]);
        await useInTab(chosen);
        expect(await ran()).toEqual([]);
        // A page of Mediagraph's own origin, which there is none of: only such a page may start these.
        await page.goto(`${bed.app.url}/livez`);
        await page.evaluate(useAsWorkers, chosen);
        expect(await ran()).toEqual([]);
      },
      TEST_MS,
    );

    // Viewers have an interpreter of their own for these, and do not start in a sandbox that would forbid it.
    it('shows a box at most where it is the program of a document', async () => {
      const away = `${witness.url}/ran/document`;
      const program = `try{app.launchURL('${away}')}catch(e){}try{this.submitForm('${away}')}catch(e){}app.alert('end')`;
      const { url } = await linkTo({ ...samples.document, bytes: pdfWith(program) });
      await page.goto(url);
      await until('the end of the program', () => said.includes('end'));
      const other = await context.newPage();
      await other.goto(`${witness.url}/end`);
      expect(witness.requests.filter((request) => !request.endsWith('/favicon.ico'))).toEqual(['GET /end']);
      expect(context.pages().map((tab) => tab.url())).toEqual([url, `${witness.url}/end`]);
    });

    it(
      'is alive, and would be seen where it is believed',
      async () => {
        const naive = await RawServer.start((request, response) => {
          const file = files.find(({ name }) => request.url === `/${name}`);
          response.setHeader('access-control-allow-origin', '*');
          response.setHeader('content-type', file?.hope ?? 'text/plain').end(file?.bytes);
        });
        try {
          const uses = files.map(({ name, hope }) => {
            const url = `${naive.url}/${name}`;
            if (name === 'module') return `<script type="module" src="${url}"></script>`;
            if (hope === 'text/javascript') return `<script charset="iso-8859-1" src="${url}"></script>`;
            return hope === 'text/css' ? `<link rel="stylesheet" href="${url}">` : `<iframe src="${url}"></iframe>`;
          });
          await open(`${LISTENER}<body>${uses.join('')}`);
          const dead = ['page-utf-7', 'page-utf-7-marked'];
          expect(await ran()).toEqual(
            files
              .map(({ name }) => name)
              .filter((name) => !dead.includes(name))
              .sort(),
          );
        } finally {
          await naive.close();
        }
      },
      TEST_MS,
    );

    it(
      'is the same to a browser where it was uploaded',
      async () => {
        const inbound = await Promise.all((await linksTo(files)).map(({ url }) => bed.get(url)));
        const source = await RawServer.start((request, response) => {
          const file = files.find(({ name }) => request.url === `/${name}`);
          if (file?.claim) response.setHeader('content-type', file.claim);
          response.end(file?.bytes);
        });
        try {
          const uploads = await Promise.all(
            files.map(async ({ name, filename }) => {
              const { media, code } = await attempt(bed, { url: `${source.url}/${name}`, filename });
              return media ? behaviourOf(await bed.get(media.url)) : code;
            }),
          );
          // A name that says markup, which messages have not told, keeps a text from being shown.
          const asNamed = (
            filename: string | undefined,
            [status, disposition, ...rest]: ReturnType<typeof behaviourOf>,
          ) => (isMarkupName(filename ?? '') ? [status, 'attachment', ...rest] : [status, disposition, ...rest]);
          const expected = inbound.map((got, index) =>
            got.status === 200 ? asNamed(files[index]?.filename, behaviourOf(got)) : 'CONTENT_TYPE_NOT_ALLOWED',
          );
          expect(uploads).toEqual(expected);
        } finally {
          await source.close();
        }
      },
      TEST_MS,
    );
  });

  it(
    'saves files under the names that they are given',
    async () => {
      const names = HOSTILE_NAMES.filter(({ given }) => given.isWellFormed() && given !== '');
      const { bytes, mimeType } = samples.photo;
      const ids = names.map(({ given }) => {
        serial += 1;
        const id = kirimMessageId(serial);
        bed.kirim.addMessage({ id, media: { bytes, mimeType } });
        const contentDisposition = `inline; filename*=UTF-8''${encodeURIComponent(given)}`;
        bed.cdn.put(`kirim/${id}/file`, { bytes: bytes.subarray(0, 100), mimeType }, { contentDisposition });
        return messageId('kirim', serial);
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

/** Collects what files say to the page that uses them. */
const LISTENER = "<script>var __told=[];addEventListener('message',function(e){__told.push(String(e.data))})</script>";

/** Shown by browsers without running anything in it, and to be sandboxed all the same. */
const SHOWN = /^(image\/(jpeg|png|gif|webp|bmp)|(audio|video)\/[a-z0-9]+(; codecs=opus)?|text\/plain; charset=utf-8)$/;

/** Whatever it holds, no browser has a reason to run it. */
function expectHarmless({ status, headers }: Got): void {
  expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff' });
  expect(headers['set-cookie']).toBeUndefined();
  if (status !== 200) {
    expect([status, headers['content-type']]).toEqual([502, 'application/json; charset=utf-8']);
    return;
  }
  const { 'content-type': type, 'content-disposition': disposition, 'content-security-policy': policy } = headers;
  expect(policy).toMatch(type === 'application/pdf' ? /^default-src 'none';/ : /^sandbox; default-src 'none';/);
  expect(policy).not.toMatch(/allow-|script-src|unsafe-eval/);
  if (String(disposition).startsWith('inline') && type !== 'application/pdf') expect(type).toMatch(SHOWN);
}

/** Chromium composes letters, and takes neither joiners nor what Windows has for a copy's sign at the start. */
function inChromium(name: string): string {
  return name.normalize('NFC').replace(/\p{Cf}|^~/gu, '_');
}

/** All of an answer that a browser goes by. */
function behaviourOf({ status, headers, bytes }: Got): unknown[] {
  const names = ['content-type', 'x-content-type-options', 'content-security-policy', 'set-cookie'];
  const disposition = String(headers['content-disposition']).split(';', 1)[0];
  return [status, disposition, ...names.map((name) => headers[name]), bytes.toString('latin1')];
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

/** Has one worker of the page import every file. */
async function useInWorker(urls: readonly string[]): Promise<void> {
  const code = `for(const u of ${JSON.stringify(urls)})try{importScripts(u)}catch{};postMessage('ended')`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  await new Promise<void>((resolve) => {
    worker.onmessage = ({ data }) => (data === 'ended' ? resolve() : postMessage(data));
  });
}

/** Starts every file as all that a page of its own origin may start; each ends with an error, or with the file's word. */
async function useAsWorkers(urls: readonly string[]): Promise<void> {
  const told: string[] = [];
  Reflect.set(self, '__told', told);
  const started = (url: string) =>
    new Promise<void>((resolve) => {
      const worker = new Worker(url);
      worker.onerror = () => resolve();
      worker.onmessage = ({ data }) => resolve(void told.push(String(data)));
    });
  await Promise.all(
    urls.map(async (url) => {
      await started(url);
      await import(url).catch(() => {});
      const registered = await navigator.serviceWorker.register(url).catch(() => null);
      if (registered) told.push(`a service worker of ${url}`);
    }),
  );
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
