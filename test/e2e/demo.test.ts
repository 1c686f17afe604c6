import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { RunningCommand } from '../support/command.js';

const OPERATIONS = new URL('../../schema/operations/', import.meta.url);
/** Has no end; its own test has. */
const SUBSCRIPTION = 'media-updated.graphql';
const START_MS = 60_000;

interface GraphQLAnswer<Data> {
  readonly data: Data;
  readonly errors?: ReadonlyArray<{
    readonly path: readonly unknown[];
    readonly extensions: { readonly code: string };
  }>;
}

interface MessagesData {
  readonly messagesWithMedia: ReadonlyArray<{ readonly media: ReadonlyArray<{ readonly id: string }> | null }>;
}

interface UploadData {
  readonly uploadMediaFromUrl: { readonly media: { readonly id: string } };
}

describe('mediagraph demo', () => {
  const agent = new Agent({ keepAliveTimeout: 10 });
  let command: RunningCommand;
  let output: string;
  let endpoint: string;

  beforeAll(async () => {
    command = new RunningCommand(['demo']);
    await command.printed(/Press Ctrl-C to stop\.\n/);
    output = command.stdout;
    endpoint = /^http:\/\/127\.0\.0\.1:\d+\/graphql$/m.exec(output)?.[0] ?? 'no explorer was named';
  }, START_MS);

  afterAll(async () => {
    command.kill('SIGKILL');
    await agent.close();
  });

  async function ask<Data = Readonly<Record<string, unknown>>>(body: string): Promise<GraphQLAnswer<Data>> {
    const headers = { 'content-type': 'application/json' };
    const response = await request(endpoint, { method: 'POST', headers, body, dispatcher: agent });
    return JSON.parse(await response.body.text());
  }

  /** What the demo offers for uploads of one's own. */
  const pictureUrl = (): string => /Use this URL to try an upload:\n(http:.*)$/m.exec(output)?.[1] ?? 'none';

  /** Values for the variables of the example operations. */
  async function variablesFor(file: string): Promise<Readonly<Record<string, unknown>>> {
    const upload = { url: pictureUrl() };
    if (file.startsWith('upload')) return upload;
    if (!file.startsWith('delete')) return {};
    const query = readFileSync(new URL('upload-media-from-url.graphql', OPERATIONS), 'utf8');
    const { data } = await ask<UploadData>(JSON.stringify({ query, variables: upload }));
    return { id: data.uploadMediaFromUrl.media.id };
  }

  /** The rows between a table's titles and the next empty line, as cells. */
  function tableUnder(lastTitle: string): string[][] {
    const [, rows = ''] = new RegExp(`^CHANNEL .*  ${lastTitle}\\n((?:.+\\n)*)`, 'm').exec(output) ?? [];
    return rows
      .trimEnd()
      .split('\n')
      .map((row) => row.split(/ {2,}/));
  }

  it('lets every provider send a webhook, which is answered 200', () => {
    const answered = expect.stringMatching(/^200 in \d+ ms$/);
    expect(tableUnder('RESPONSE')).toEqual([
      ['support', 'KIRIM', 'a photo with a caption', 'X-Kirim-Signature', answered],
      ['sms', 'SIGNALWIRE', 'a photo and a video', 'X-SignalWire-Signature', answered],
      ['mms', 'TWILIO', 'a document and a photo', 'X-Twilio-Signature', answered],
      ['chakra', 'CHAKRA', 'a voice note', '?token= of the URL', answered],
      ['cloud', 'WHATSAPP_CLOUD', 'a document with a caption', 'X-Hub-Signature-256', answered],
      ['gateway', 'WA_GATEWAY', 'a sticker', 'X-WA-Signature', answered],
      ['gupshup', 'GUPSHUP', 'a video with a caption', 'X-Webhook-Token', answered],
    ]);
  });

  it('shows one row for each media of every channel, in plain text without a terminal', () => {
    const rows = output.split('\n').filter((line) => line.endsWith('READY'));
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
      ['support', 'KIRIM', 'IMAGE', 'image/jpeg', '23.9 kB', '-', 'READY'],
      ['support', 'KIRIM', 'STICKER', 'image/webp', '14.2 kB', '-', 'READY'],
      ['support', 'KIRIM', 'AUDIO', 'audio/ogg; codecs=opus', '4.8 kB', '-', 'READY'],
      ['support', 'KIRIM', 'DOCUMENT', 'application/pdf', '16.7 kB', 'delivery-note.pdf', 'READY'],
      ['sms', 'SIGNALWIRE', 'IMAGE', 'image/jpeg', '23.9 kB', expect.any(String), 'READY'],
      ['sms', 'SIGNALWIRE', 'VIDEO', 'video/mp4', '32.4 kB', expect.any(String), 'READY'],
      ['mms', 'TWILIO', 'DOCUMENT', 'application/pdf', '16.7 kB', expect.any(String), 'READY'],
      ['mms', 'TWILIO', 'IMAGE', 'image/jpeg', '23.9 kB', expect.any(String), 'READY'],
      ['chakra', 'CHAKRA', 'AUDIO', 'audio/ogg; codecs=opus', '4.8 kB', '-', 'READY'],
      ['cloud', 'WHATSAPP_CLOUD', 'DOCUMENT', 'application/pdf', '16.7 kB', 'Angebot für Łódź.pdf', 'READY'],
      ['gateway', 'WA_GATEWAY', 'STICKER', 'image/webp', '14.2 kB', 'sticker.webp', 'READY'],
      ['gupshup', 'GUPSHUP', 'VIDEO', 'video/mp4', '32.4 kB', '-', 'READY'],
    ]);
    expect(output).not.toContain('\u001b');
  });

  it('uses at most 100 columns, except for URLs and the shell command', () => {
    const wide = output.split('\n').filter((line) => line.length > 100);
    expect(wide.filter((line) => !/^(?:http:|curl )/.test(line))).toEqual([]);
  });

  it('prints URLs that open as what the row says, and says how they opened', async () => {
    const shown = [...output.matchAll(/^(?<row>.*READY)\n(?<url>http:.*)\nopened: (?<opened>.*)$/gm)];
    expect(shown).toHaveLength(12);
    for (const { groups = {} } of shown) {
      const { statusCode, headers, body } = await request(groups.url ?? '', { dispatcher: agent });
      const { byteLength } = await body.arrayBuffer();
      expect(groups.opened).toBe(`${statusCode} ${headers['content-type']} ${(byteLength / 1000).toFixed(1)} kB`);
      expect(groups.row).toContain(headers['content-type']);
      expect(statusCode).toBe(200);
    }
  });

  it('names the message that failed alone, and one without media', () => {
    expect(output).toMatch(/^sales +KIRIM +error PROVIDER_UNAVAILABLE at messagesWithMedia\.11\.media\n.*503/m);
    expect(output).toMatch(/^support +KIRIM +no media$/m);
    expect(output).toContain(
      'One query for 12 messages: 12 of 12 links opened. 1 failed without affecting the others.',
    );
  });

  it('shows by answers of the providers that they had the media and no longer have it', () => {
    expect(tableUnder('ERROR MESSAGE')).toEqual([
      ['support', 'KIRIM', '302', '404', expect.any(String)],
      ['chakra', 'CHAKRA', '200', '400', expect.stringMatching(/^Unsupported get request/)],
      ['cloud', 'WHATSAPP_CLOUD', '200', '400', expect.stringMatching(/^Unsupported get request/)],
      ['gateway', 'WA_GATEWAY', '200', '404', expect.any(String)],
      ['gupshup', 'GUPSHUP', '200', '400', 'Invalid Media Id'],
    ]);
  });

  it('opens the same links again without a request to a provider', () => {
    const rows = tableUnder('LINK RESPONSE');
    expect(rows).toHaveLength(12);
    for (const [channel = '', , , atProvider, link] of rows) {
      expect(atProvider).toBe(['sms', 'mms'].includes(channel) ? 'available' : 'expired');
      expect(link).toMatch(/^200 /);
    }
    expect(output).toContain(
      "12 of 12 links opened, 8 of them after the provider's copy expired. Requests to providers: 0.\n",
    );
  });

  it('uploads a picture to a provider, and deletes it there and here', () => {
    const announced =
      /^uploaded from (?<source>http:\S+)\n(?<facts>.*)\nhttp:.*\nopened: (?<before>.*)\n(?<deleted>.*)\nopened: (?<after>.*)$/m;
    expect(announced.exec(output)?.groups).toEqual({
      source: pictureUrl(),
      facts: expect.stringMatching(/^IMAGE image\/jpeg, team-photo\.jpg; media id at the provider: \d+$/),
      before: '200 image/jpeg 23.9 kB',
      deleted: 'deleted, scope PROVIDER',
      after: '410 gone',
    });
  });

  it('prints a command for the shell that gives the photo', async () => {
    const line = /^curl .*$/m.exec(output)?.[0] ?? '';
    const body = / -d '([^']+)'$/.exec(line)?.[1] ?? '';
    const answer: unknown = hasCurl()
      ? JSON.parse(execFileSync('bash', ['-c', line], { encoding: 'utf8' }))
      : await ask(body);
    expect(answer).toMatchObject({
      data: {
        messagesWithMedia: [
          {
            media: [{ kind: 'IMAGE', mimeType: 'image/jpeg', sizeBytes: 23_895, url: expect.stringContaining('http') }],
          },
        ],
      },
    });
  });

  it.each(readdirSync(OPERATIONS).filter((file) => file !== SUBSCRIPTION))('answers %s as it stands', async (file) => {
    const query = readFileSync(new URL(file, OPERATIONS), 'utf8');
    const { data, errors = [] } = await ask(JSON.stringify({ query, variables: await variablesFor(file) }));
    const answers = Object.values(data).flat();
    expect(answers.length).toBeGreaterThan(0);
    expect(answers).not.toContain(null);
    // The line that is down, where the operation asks for it.
    const failed = errors.map(({ path, extensions }) => [extensions.code, path.join('.')]);
    expect(failed).toEqual(query.includes('"sales:') ? [['PROVIDER_UNAVAILABLE', 'messagesWithMedia.11.media']] : []);
  });

  it('answers messages-with-media.graphql with the same media', async () => {
    const query = readFileSync(new URL('messages-with-media.graphql', OPERATIONS), 'utf8');
    const { data } = await ask<MessagesData>(JSON.stringify({ query }));
    const shown = [...output.matchAll(/^http:.*\/media\/([^/]+)\//gm)].map(([, id]) => id);
    expect(data.messagesWithMedia.flatMap(({ media }) => media ?? []).map(({ id }) => id)).toEqual(shown.slice(0, 12));
  });

  it('serves an explorer without resources of other origins', async () => {
    const { statusCode, body } = await request(endpoint, { headers: { accept: 'text/html' }, dispatcher: agent });
    const page = await body.text();
    expect(statusCode).toBe(200);
    expect(page).toContain('GraphiQL');
    expect(page).not.toMatch(/<(?:script|link|img)[^>]+(?:src|href)="?https?:/);
  });

  it('ends at Ctrl-C with status 0 and nothing on standard error', async () => {
    command.kill('SIGINT');
    expect(await command.ended).toBe(0);
    expect(command.stderr).toBe('');
  }, 10_000);
});

function hasCurl(): boolean {
  try {
    execFileSync('bash', ['-c', 'command -v curl']);
    return true;
  } catch {
    return false;
  }
}
