/**
 * Files that are valid under several types, in Chromium, which must run none of them. `TEST_LONG=1` uses every file in
 * every way; else every file is in a frame, a script and a style, and one of each kind is a plug-in, a tab and a worker too.
 */
import type { BrowserContext, Page } from 'playwright-core';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { isMarkupName } from '../../src/links/media-name.js';
import { findBrowser } from '../support/browser.js';
import { INBOX, type Links, useBrowser } from '../support/browser-bed.js';
import { describeWith } from '../support/daemon.js';
import { until } from '../support/eventually.js';
import { type Polyglot, pdfWith, polyglots } from '../support/polyglots.js';
import { RawServer } from '../support/raw-server.js';
import { messageId, samples } from '../support/sample-messages.js';
import type { Got, TestBed } from '../support/test-bed.js';
import { attempt } from '../support/upload-attempts.js';

const IS_LONG = process.env.TEST_LONG === '1';
const TEST_MS = 60_000;

const chromium = await findBrowser();
const browser = useBrowser(chromium);
const { open, linksOf, linkTo } = browser;
let bed: TestBed;
let context: BrowserContext;
let page: Page;
beforeEach(() => {
  ({ bed, context, page } = browser);
});

describeWith('Chromium', chromium !== null, 'a file that a browser could run under another type', () => {
  let witness: RawServer;
  let files: Polyglot[];
  /** The texts of dialogs, and messages of a file to the page that used it. */
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
      const messages = await opened.evaluate(() => [Reflect.get(self, '__ran'), Reflect.get(self, '__told')]);
      said.push(...messages.flat().filter((text) => typeof text === 'string'));
    }
    const requested = witness.requests.map((request) => request.replace(/^.*\/ran\//, ''));
    const names = [...said.map((text) => text.replace(/^ran:/, '')), ...requested];
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
    await opener.goto(browser.pages.put(INBOX, '/opener', LISTENER));
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
      const number = browser.nextNumber();
      const media = { filename, mimeType: claim ?? 'application/octet-stream', bytes };
      bed.kirim.addMessage({ id: kirimMessageId(number), media, contentType: claim });
      return messageId('kirim', number);
    });
    return linksOf(ids);
  }

  it(
    'never runs',
    async () => {
      const urls = (await linksTo(files)).map(({ url }) => url);
      const answers = await Promise.all(urls.map((url) => bed.get(url)));
      for (const answer of answers) expectHarmless(answer);
      // What is slow in a browser is done with one of each kind of answer by default, since it depends on these alone.
      const kinds = answers.map(({ headers }) => `${headers['content-type']} ${headers['content-disposition']}`);
      const chosen = urls.filter((_, at) => IS_LONG || kinds.indexOf(kinds[at] ?? '') === at);
      await useInPage(urls, chosen);
      expect(await ran()).toEqual([]);
      await useInTab(chosen);
      expect(await ran()).toEqual([]);
      // Only a page of Mediagraph's own origin may start these. There is no such page in production.
      await page.goto(`${bed.app.url}/livez`);
      await page.evaluate(useAsWorkers, chosen);
      expect(await ran()).toEqual([]);
    },
    TEST_MS,
  );

  // Viewers have an interpreter of their own for these, and do not start in a sandbox that would forbid it.
  it('shows a dialog at most, when it is the program of a PDF', async () => {
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
    'does run when a server sends it with the hostile type, which proves that the test would notice',
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
    'has the same headers when it was uploaded',
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
        // A text whose file name has an extension of markup is not shown. Messages have no file names here.
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

/** Collects the messages of files to the page that uses them. */
const LISTENER = "<script>var __told=[];addEventListener('message',function(e){__told.push(String(e.data))})</script>";

/** Types that browsers show without running anything in them; they are sandboxed nevertheless. */
const SHOWN = /^(image\/(jpeg|png|gif|webp|bmp)|(audio|video)\/[a-z0-9]+(; codecs=opus)?|text\/plain; charset=utf-8)$/;

/** The headers give no browser a reason to run the content. */
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

/** The parts of an answer that a browser's behaviour depends on. */
function behaviourOf({ status, headers, bytes }: Got): unknown[] {
  const names = ['content-type', 'x-content-type-options', 'content-security-policy', 'set-cookie'];
  const disposition = String(headers['content-disposition']).split(';', 1)[0];
  return [status, disposition, ...names.map((name) => headers[name]), bytes.toString('latin1')];
}

/** Has one worker of the page import every file. */
async function useInWorker(urls: readonly string[]): Promise<void> {
  const code = `for(const u of ${JSON.stringify(urls)})try{importScripts(u)}catch{};postMessage('ended')`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  await new Promise<void>((resolve) => {
    worker.onmessage = ({ data }) => (data === 'ended' ? resolve() : postMessage(data));
  });
}

/** Starts every file in all ways that a page of its own origin may; each ends with an error, or a message of the file. */
async function useAsWorkers(urls: readonly string[]): Promise<void> {
  const messages: string[] = [];
  Reflect.set(self, '__told', messages);
  const started = (url: string) =>
    new Promise<void>((resolve) => {
      const worker = new Worker(url);
      worker.onerror = () => resolve();
      worker.onmessage = ({ data }) => resolve(void messages.push(String(data)));
    });
  await Promise.all(
    urls.map(async (url) => {
      await started(url);
      await import(url).catch(() => {});
      const registered = await navigator.serviceWorker.register(url).catch(() => null);
      if (registered) messages.push(`a service worker of ${url}`);
    }),
  );
}
