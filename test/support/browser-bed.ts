import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { MediaSample } from '../../demo/src/emulators/media-samples.js';
import { Pages, startBrowser } from './browser.js';
import { receive } from './sample-messages.js';
import { sole, type TestBed, useBeds } from './test-bed.js';

const START_MS = 60_000;
/** The host of the pages that tests open. */
export const INBOX = 'inbox.example';

export interface Links {
  readonly url: string;
  readonly playable: string;
  readonly saved: string;
  readonly thumbnailUrl: string | null;
}

/** Chromium with a fresh context for each test, the server that all tests of a file share, and pages of other sites. */
export interface BrowserBed {
  readonly bed: TestBed;
  readonly context: BrowserContext;
  readonly page: Page;
  readonly pages: Pages;
  /** Another server, for the test alone. */
  own: ReturnType<typeof useBeds>['own'];
  /** A number that no other call returned. */
  nextNumber(): number;
  /** Opens a page of another site. */
  open(html: string, host?: string): Promise<void>;
  linksOf(messageIds: readonly string[], from?: TestBed): Promise<readonly Links[]>;
  /** The id of a message with this media, at a provider that does not report a type of its own. */
  receiveFile(sample: MediaSample, from?: TestBed): string;
  linkTo(sample: MediaSample, from?: TestBed): Promise<Links>;
}

/** Registers the hooks for all tests of a file. The parts of the returned object are there while a test runs. */
export function useBrowser(chromium: string | null): BrowserBed {
  const beds = useBeds({ env: { PATH: process.env.PATH } });
  let browser: Browser;
  let pages: Pages;
  let bed: TestBed;
  let context: BrowserContext;
  let page: Page;
  let serial = 0;

  beforeAll(async () => {
    if (chromium === null) return;
    [browser, pages] = await Promise.all([startBrowser(chromium), Pages.start()]);
  }, START_MS);
  afterAll(async () => {
    await browser?.close();
    await pages?.close();
  });
  beforeEach(async () => {
    if (chromium === null) return;
    bed = await beds.shared();
    context = await browser.newContext({ acceptDownloads: false });
    page = await context.newPage();
  }, START_MS);
  afterEach(() => context?.close());

  const nextNumber = () => {
    serial += 1;
    return serial;
  };

  async function linksOf(messageIds: readonly string[], from = bed): Promise<readonly Links[]> {
    const { data, text } = await from.query<{ messagesWithMedia: ReadonlyArray<{ media: readonly Links[] | null }> }>(
      `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media {
        url playable: url(prefer: PLAYABLE) saved: url(disposition: ATTACHMENT) thumbnailUrl } } }`,
      { ids: messageIds },
    );
    if (!data) throw new Error(`expected media, got ${text}`);
    return data.messagesWithMedia.map(({ media }) => sole(media));
  }

  const receiveFile = (sample: MediaSample, from = bed) => receive(from, 'twilio', nextNumber(), sample);

  return {
    get bed() {
      return bed;
    },
    get context() {
      return context;
    },
    get page() {
      return page;
    },
    get pages() {
      return pages;
    },
    own: beds.own,
    nextNumber,
    open: async (html, host = INBOX) => {
      await page.goto(pages.put(host, `/page-${nextNumber()}`, html), { waitUntil: 'load' });
    },
    linksOf,
    receiveFile,
    linkTo: async (sample, from = bed) => sole(await linksOf([receiveFile(sample, from)], from)),
  };
}
