/** The explorer of a server, in Chromium. */
import type { BrowserContext, Page } from 'playwright-core';
import { findBrowser } from '../support/browser.js';
import { useBrowser } from '../support/browser-bed.js';
import { describeWith } from '../support/daemon.js';

const TEST_MS = 60_000;

const chromium = await findBrowser();
const browser = useBrowser(chromium);
const { own } = browser;
let context: BrowserContext;
let page: Page;
beforeEach(() => {
  ({ context, page } = browser);
});

describeWith('Chromium', chromium !== null, 'the explorer', () => {
  it(
    'runs without any network, with its examples ready',
    async () => {
      const server = await own({ config: { server: { port: 0, explorer: 'graphiql' } } });
      const foreign: string[] = [];
      page.on('request', (request) => {
        if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(server.app.url))
          foreign.push(request.url());
      });
      await page.goto(`${server.app.url}/graphql`);
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
    'opens %s with an operation that runs',
    async (_when, remembered) => {
      const server = await own({ config: { server: { port: 0, explorer: 'graphiql' } } });
      await context.addInitScript((items) => {
        for (const [key, value] of Object.entries(items)) localStorage.setItem(key, value);
      }, remembered);
      await page.goto(`${server.app.url}/graphql`);
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
});
