/** examples/inbox, as `npm run demo` serves it: in Chromium, over a supergraph. */
import { execFile } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { findBrowser, startBrowser } from '../support/browser.js';
import { RunningCommand } from '../support/command.js';
import { describeWith } from '../support/daemon.js';
import { until } from '../support/eventually.js';
import { MAIN_VARIABLE } from '../support/made-once.js';
import { coloursOf, faintTexts, hrefOf, play, watchShifts } from '../support/page-checks.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const START_MS = 90_000;
const TEST_MS = 60_000;
const PATIENCE = { timeout: 30_000 };
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

const chromium = await findBrowser();

let command: RunningCommand;
let browser: Browser;
let inbox: string;
let pictureUrl: string;
let context: BrowserContext;
let page: Page;
/** Errors and warnings of pages, which no test expects. */
const complaints: string[] = [];
let common: { readonly context: BrowserContext; readonly page: Page };

beforeAll(async () => {
  if (chromium === null) return;
  [browser] = await Promise.all([startBrowser(chromium), buildInbox()]);
  command = new RunningCommand(['demo'], { PATH: process.env.PATH ?? '' });
  await command.printed(/Press Ctrl-C to stop\.\n/);
  const { stdout: output } = command;
  inbox = /^The inbox of .*:\n(http:.*)$/m.exec(output)?.[1] ?? `none: ${output}`;
  pictureUrl = /Use this URL to try an upload:\n(http:.*)$/m.exec(output)?.[1] ?? 'none';
  await alone();
  common = { context, page };
  await open('shop');
}, START_MS);

afterAll(async () => {
  if (chromium === null) return;
  command.kill('SIGKILL');
  await browser.close();
});

afterEach(async () => {
  if (chromium === null) return;
  if (context !== common.context) await context.close();
  ({ context, page } = common);
  expect(complaints.splice(0)).toEqual([]);
});

/** Leaves the page that most tests have in common. */
async function alone(options: BrowserContextOptions = { viewport: { width: 1280, height: 860 } }): Promise<void> {
  context = await browser.newContext(options);
  page = await openPage();
}

async function openPage(): Promise<Page> {
  const opened = await context.newPage();
  opened.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  opened.on('pageerror', (error) => complaints.push(String(error)));
  opened.on('response', (answer) => {
    if (answer.status() >= 400) complaints.push(`${answer.status()} ${answer.url()}`);
  });
  opened.on('requestfailed', (request) => {
    // Players and subscriptions end what they do not need any more.
    const reason = request.failure()?.errorText;
    if (reason !== 'net::ERR_ABORTED') complaints.push(`${reason} ${request.url()}`);
  });
  await opened.addInitScript(watchShifts);
  return opened;
}

/** Opens a conversation, and waits until all of it is there. */
async function open(conversation: string): Promise<void> {
  await page.goto(`${inbox}#/${conversation}`);
  await page.getByText('Live', { exact: true }).waitFor(PATIENCE);
  await page.waitForFunction(() => [...document.images].every(({ complete }) => complete), null, PATIENCE);
}

const shifts = () => page.evaluate((): unknown => Reflect.get(self, '__shifts'));
const pageSize = () =>
  page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]);
const message = (name: RegExp | string) => page.getByRole('article').filter({ hasText: name });

describeWith('Chromium', chromium !== null, 'the inbox', () => {
  it(
    'shows pictures that have pixels, and moves nothing while it loads',
    async () => {
      const widths = await page.evaluate(() => [...document.images].map(({ naturalWidth }) => naturalWidth));
      expect(widths.length).toBeGreaterThanOrEqual(3);
      expect(Math.min(...widths)).toBeGreaterThan(0);
      for (const shown of [
        page.getByRole('img', { name: /first evening/ }),
        page.getByRole('img', { name: 'Sticker' }),
      ])
        expect(await coloursOf(shown)).toBeGreaterThan(20);
      expect(await shifts()).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'shows a blurred picture until the photo is loaded',
    async () => {
      await alone();
      await page.route(/[?&]r=still-/, () => {});
      await page.goto(`${inbox}#/shop`);
      const picture = page.getByRole('button', { name: /first evening/ });
      await picture.waitFor(PATIENCE);
      const isBlurred = await picture.evaluate((button) => {
        const [placeholder, still] = button.querySelectorAll('img');
        return [(placeholder?.naturalWidth ?? 0) > 0, still?.naturalWidth === 0];
      });
      expect(isBlurred).toEqual([true, true]);
      const box = await picture.boundingBox();
      expect((box?.width ?? 0) / (box?.height ?? 1)).toBeCloseTo(4 / 3, 1);
      await page.unrouteAll({ behavior: 'ignoreErrors' });
    },
    TEST_MS,
  );

  it.each(['audio', 'video'])(
    'plays and seeks: %s',
    async (name) => {
      const played = await page.locator(name).first().evaluate(play);
      expect(played).toEqual({ advanced: true, seekedTo: [0.9, 0.5] });
    },
    TEST_MS,
  );

  it(
    'opens and saves a document',
    async () => {
      const opened = await context.request.get(await hrefOf(page.getByRole('link', { name: /^Delivery note/ })));
      expect([opened.status(), opened.headers()['content-type']]).toEqual([200, 'application/pdf']);
      expect((await opened.body()).subarray(0, 5).toString()).toBe('%PDF-');
      const saved = await context.request.get(await hrefOf(page.getByRole('link', { name: /^Save Delivery note/ })));
      expect(saved.headers()['content-disposition']).toMatch(/^attachment; .*Delivery note 2026-0042\.pdf/);
    },
    TEST_MS,
  );

  it(
    'explains what is gone and what failed, and what the reader can do',
    async () => {
      await message(/Order list\.pdf.*No longer available: it was there until/).waitFor(PATIENCE);
      await message(/would not hand over what Zoë Müller sent/).waitFor(PATIENCE);
      await page.getByRole('button', { name: 'Ask for it again' }).first().click();
      await message('Could you send us the document once more, please?').waitFor(PATIENCE);
    },
    TEST_MS,
  );

  it(
    'marks the messages whose media a failing provider keeps back',
    async () => {
      await alone();
      await open('sales');
      const failed = message('My measures');
      await failed.getByText('The provider cannot be reached at the moment.').waitFor(PATIENCE);
      await failed.getByRole('button', { name: 'Try again' }).click();
      await failed.getByText('The provider cannot be reached at the moment.').waitFor(PATIENCE);
    },
    TEST_MS,
  );
});

describeWith('Chromium', chromium !== null, 'the inbox, when it is used,', () => {
  it(
    'shows an awaited photo without a reload and without a layout shift',
    async () => {
      await page.evaluate(() => Reflect.set(self, '__same', true));
      await page.getByRole('button', { name: 'Ask for a photo' }).click();
      await page.getByText('Photo on its way').waitFor(PATIENCE);
      const place = await message('Photo on its way').boundingBox();
      const photo = message('Here you are, from the other side').last();
      await photo.getByRole('img').last().waitFor(PATIENCE);
      await page
        .getByRole('status')
        .getByText('Photo has arrived.')
        .waitFor({ ...PATIENCE, state: 'attached' });
      expect(await photo.boundingBox()).toEqual(place);
      expect(await coloursOf(photo.getByRole('img').last())).toBeGreaterThan(20);
      expect(await shifts()).toEqual([]);
      expect(await page.evaluate((): unknown => Reflect.get(self, '__same'))).toBe(true);
    },
    TEST_MS,
  );

  it(
    'explains a refused address, and uploads from another in the same dialog',
    async () => {
      await page.getByRole('button', { name: 'Attach by link' }).click();
      const dialog = page.getByRole('dialog', { name: 'Attach a file by its link' });
      const link = dialog.getByRole('textbox', { name: 'Link' });
      await link.fill('http://10.0.0.1/secret.png');
      await dialog.getByRole('button', { name: 'Attach' }).click();
      await dialog.getByRole('alert').getByText('not on the public Internet').waitFor(PATIENCE);
      await link.fill(`${pictureUrl}-that-is-not-there`);
      await dialog.getByRole('button', { name: 'Attach' }).click();
      await dialog.getByRole('alert').getByText('Nothing came from that address').waitFor(PATIENCE);
      await link.fill(pictureUrl);
      await dialog.getByRole('textbox', { name: 'File name' }).fill('team.jpg');
      await dialog.getByRole('button', { name: 'Attach' }).click();
      await dialog.waitFor({ ...PATIENCE, state: 'detached' });
      const sent = page.getByRole('article', { name: /^You/ }).last();
      expect(await coloursOf(sent.getByRole('img', { name: 'team.jpg' }))).toBeGreaterThan(20);

      await sent.getByRole('button', { name: 'Delete team.jpg' }).click();
      const question = page.getByRole('dialog', { name: 'Delete this photo?' });
      const url = await hrefOf(sent.getByRole('link', { name: 'Save team.jpg' }));
      await question.getByRole('button', { name: 'Delete' }).click();
      await sent.getByText('Deleted at the provider and here.').waitFor(PATIENCE);
      expect((await context.request.get(url)).status()).toBe(410);
    },
    TEST_MS,
  );
});

describeWith('Chromium', chromium !== null, 'the inbox, for every reader,', () => {
  it(
    'works by keyboard alone',
    async () => {
      await alone();
      await open('support');
      await tabTo(/^Zoë Müller/);
      await page.keyboard.press('Enter');
      // After a link, the focus moves to the heading of the new view.
      await until('the heading to have the focus', async () => (await focused()) === 'H2 Zoë Müller');
      const photo = page.getByRole('button', { name: /first evening/ });
      await photo.waitFor(PATIENCE);
      await tabTo(/first evening/);
      await page.keyboard.press('Enter');
      const lightbox = page.getByRole('dialog', { name: /first evening/ });
      await lightbox.waitFor(PATIENCE);
      // As often as there are controls, and once more: the focus comes round, and never to what is behind.
      for (const _ of Array.from({ length: 4 })) {
        await page.keyboard.press('Tab');
        expect(await page.evaluate(() => document.activeElement?.closest('dialog, main, nav, body')?.tagName)).toMatch(
          /^(?:DIALOG|BODY)$/,
        );
      }
      await page.keyboard.press('Escape');
      await lightbox.waitFor({ ...PATIENCE, state: 'detached' });
      expect(await focused()).toMatch(/^BUTTON.*first evening/);
      await tabTo(/^Message to/);
      await page.keyboard.type('Written by keyboard');
      await page.keyboard.press('Enter');
      await message('Written by keyboard').waitFor(PATIENCE);
    },
    TEST_MS,
  );
});

describeWith('Chromium', chromium !== null, 'the links of the inbox', () => {
  it(
    'are renewed before they expire',
    async () => {
      await alone();
      await page.clock.install();
      await open('shop');
      const renewal = page.waitForRequest(
        (request) => (request.postData() ?? '').includes('query Conversation('),
        PATIENCE,
      );
      await page.clock.fastForward('01:30:00');
      await renewal;
    },
    TEST_MS,
  );
});

describeWith('Chromium', chromium !== null, 'the screen of the inbox', () => {
  it.each(['light', 'dark'] as const)(
    'has enough contrast and a name for every control: %s',
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      expect(await page.evaluate(() => [...document.images].filter((image) => !image.hasAttribute('alt')).length)).toBe(
        0,
      );
      expect(await namelessControls()).toEqual([]);
      expect(await page.evaluate(faintTexts)).toEqual([]);
      await page.getByRole('button', { name: 'Attach by link' }).click();
      expect(await namelessControls()).toEqual([]);
      expect(await page.evaluate(faintTexts)).toEqual([]);
      await page.keyboard.press('Escape');
    },
    TEST_MS,
  );

  it(
    'shows one view at a time on a phone, and fits its width',
    async () => {
      await alone(PHONE);
      await page.goto(inbox);
      const list = page.getByRole('navigation', { name: 'Conversations' });
      await list.getByRole('link', { name: /Zoë Müller/ }).tap();
      await page.getByText('Live', { exact: true }).waitFor(PATIENCE);
      expect(await list.isVisible()).toBe(false);
      const last = page.getByRole('article').last();
      await until('the last message to be in view', () =>
        last.evaluate((message) => message.getBoundingClientRect().bottom < innerHeight),
      );
      expect(await pageSize()).toEqual([360, 740]);
      await page.getByRole('link', { name: 'All conversations' }).tap();
      await list.waitFor(PATIENCE);
      expect(await pageSize()).toEqual([360, 740]);
    },
    TEST_MS,
  );
});

describeWith('Chromium', chromium !== null, 'the demo', () => {
  it(
    'ends at SIGTERM with status 0 and nothing on standard error',
    async () => {
      await common.context.close();
      complaints.length = 0;
      command.kill('SIGTERM');
      expect(await command.ended).toBe(0);
      const lines = command.stderr.split('\n').filter((line) => line !== '');
      // The address that nothing came from.
      expect(lines.filter((line) => !line.includes('"msg":"an upload failed"'))).toEqual([]);
    },
    TEST_MS,
  );
});

/** Element and words of what has the focus. */
function focused(): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement;
    const label = element?.getAttribute('aria-label') ?? '';
    const words = element instanceof HTMLInputElement ? element.labels?.[0]?.textContent : element?.textContent;
    const pictures = [...(element?.querySelectorAll('img') ?? [])].map(({ alt }) => alt).join(' ');
    return `${element?.tagName} ${label}${pictures}${words}`.trim();
  });
}

async function tabTo(name: RegExp): Promise<void> {
  const seen: string[] = [];
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press('Tab');
    const now = await focused();
    seen.push(now);
    if (name.test(now.replace(/^[A-Z0-9]+ (?:[A-Z]{2}(?=[A-Z]))?/, ''))) return;
  }
  throw new Error(`expected ${name} to be reached by keyboard, got ${seen.join(', ')}`);
}

/** By the browser's own tree for screen readers. */
async function namelessControls(): Promise<string[]> {
  const session = await context.newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const controls = ['button', 'link', 'textbox', 'dialog', 'navigation', 'region', 'progressbar', 'Audio', 'Video'];
  return nodes
    .filter(({ ignored, role, name }) => !ignored && controls.includes(String(role?.value)) && !name?.value)
    .map(({ role }) => String(role?.value));
}

/** With Vite, where the demo of this run looks for it. */
async function buildInbox(): Promise<void> {
  const main = process.env[MAIN_VARIABLE];
  if (main === undefined) throw new Error('expected the global setup to have compiled the program');
  const folder = join(dirname(main), '../examples/inbox');
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js');
  const args = [vite, 'build', join(ROOT, 'examples/inbox'), '--outDir', `${folder}/building`, '--logLevel', 'error'];
  await promisify(execFile)(process.execPath, args, { env: { PATH: process.env.PATH } });
  // Whole or not at all, for a demo of another test.
  await rename(`${folder}/building`, `${folder}/dist`);
}
