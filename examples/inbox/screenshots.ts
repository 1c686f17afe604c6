/// <reference lib="dom" />
/**
 * Takes the pictures of docs/images, of the inbox as the demo serves it: `npm run screenshots`, after `npm run demo` has
 * built everything once. Needs Chromium.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import sharp from 'sharp';
import { findBrowser, startBrowser } from '../../test/support/browser.js';

const ROOT = new URL('../../', import.meta.url);
const IMAGES = new URL('docs/images/', ROOT);
/** The conversation took place in the evening, wherever that is now. */
const EVENING_HOUR = 20;

const WHEEL_MS = 2_000;

const DESKTOP = { viewport: { width: 1180, height: 800 }, deviceScaleFactor: 2 };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const executable = await findBrowser();
if (executable === null) throw new Error('expected Chromium to be installed');
const demo = spawn(process.execPath, [fileURLToPath(new URL('dist/main.js', ROOT)), 'demo'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const browser = await startBrowser(executable);
try {
  const url = await inboxUrl();
  await mkdir(IMAGES, { recursive: true });
  await take(browser, { ...DESKTOP, colorScheme: 'light' }, 'inbox-light.png', async (page) => {
    await page.goto(`${url}#/shop`);
    await showAtTop(page, 'Yesterday, or the first message of today', /Good evening/);
  });
  await take(browser, { ...DESKTOP, colorScheme: 'dark' }, 'inbox-dark.png', async (page) => {
    await page.goto(`${url}#/shop`);
    await showAtTop(page, 'the video', /Listen while/);
  });
  await take(browser, { ...PHONE, colorScheme: 'light' }, 'inbox-phone.png', async (page) => {
    await page.goto(`${url}#/shop`);
    await showAtTop(page, 'the photo', /first evening/);
  });
} finally {
  await browser.close();
  demo.kill('SIGTERM');
  await once(demo, 'close');
}

/** What the demo printed of it. */
async function inboxUrl(): Promise<string> {
  let output = '';
  for await (const text of demo.stdout.setEncoding('utf8')) {
    output += text;
    const [, url] = /^The inbox of .*:\n(http:.*)$/m.exec(output) ?? [];
    if (url !== undefined && output.includes('Ctrl-C')) {
      demo.stdout.resume();
      return url;
    }
  }
  throw new Error(`expected the demo to serve the inbox, got: ${output}`);
}

async function take(
  started: Browser,
  options: BrowserContextOptions,
  name: string,
  show: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await started.newContext({ ...options, timezoneId: eveningZone(), reducedMotion: 'reduce' });
  const page = await context.newPage();
  await show(page);
  const shot = await page.screenshot();
  // Few colours are enough for flat ones, and a README loads fast.
  await writeFile(new URL(name, IMAGES), await sharp(shot).png({ palette: true, quality: 92, effort: 10 }).toBuffer());
  await context.close();
}

/** Scrolls a message to the top, when all is there to be seen. */
async function showAtTop(page: Page, what: string, words: RegExp): Promise<void> {
  await page.getByText('Live', { exact: true }).waitFor();
  const message = page.getByRole('article').filter({ hasText: words });
  if ((await message.count()) !== 1) throw new Error(`expected ${what} once`);
  await message.evaluate((element) => {
    const list = element.closest('section');
    if (list) list.scrollTop += element.getBoundingClientRect().top - list.getBoundingClientRect().top - 20;
  });
  // The list's words for media come later than the list.
  await page.getByText('Attachment').first().waitFor({ state: 'detached' });
  await page.waitForFunction(() => {
    const [pictures, players] = [
      document.querySelectorAll('img'),
      document.querySelectorAll<HTMLMediaElement>('audio, video'),
    ];
    const show = Array.from(players).every((player) => player.readyState >= player.HAVE_CURRENT_DATA);
    return show && Array.from(pictures).every(({ complete }) => complete);
  });
  // Chromium's wheel over a video that loads makes its turn to the end, and nothing tells when.
  await page.waitForTimeout(WHEEL_MS);
}

/** Etc/GMT-5 is five hours east of Greenwich. */
function eveningZone(now = new Date()): string {
  const east = ((EVENING_HOUR - now.getUTCHours() + 36) % 24) - 12;
  return `Etc/GMT${east >= 0 ? '-' : '+'}${Math.abs(east)}`;
}
