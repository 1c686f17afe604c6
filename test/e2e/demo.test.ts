import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { RunningCommand } from '../support/command.js';

const OPERATIONS = new URL('../../schema/operations/', import.meta.url);
const START_MS = 60_000;

interface GraphQLAnswer {
  readonly data: Readonly<Record<string, unknown>>;
  readonly errors?: ReadonlyArray<{
    readonly path: readonly unknown[];
    readonly extensions: { readonly code: string };
  }>;
}

describe('mediagraph demo', () => {
  const agent = new Agent({ keepAliveTimeout: 10 });
  let command: RunningCommand;
  let output: string;
  let endpoint: string;

  beforeAll(async () => {
    command = new RunningCommand(['demo']);
    await command.printed(/Ctrl-C ends it\.\n/);
    output = command.stdout;
    endpoint = /^http:\/\/127\.0\.0\.1:\d+\/graphql$/m.exec(output)?.[0] ?? 'no explorer was named';
  }, START_MS);

  afterAll(async () => {
    command.kill('SIGKILL');
    await agent.close();
  });

  async function ask(body: string): Promise<GraphQLAnswer> {
    const headers = { 'content-type': 'application/json' };
    const response = await request(endpoint, { method: 'POST', headers, body, dispatcher: agent });
    return JSON.parse(await response.body.text());
  }

  it('shows one row for each media of every channel, in plain text where nobody watches a terminal', () => {
    const rows = output.split('\n').filter((line) => line.endsWith('READY'));
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
      ['support', 'KIRIM', 'IMAGE', 'image/jpeg', '23.9 kB', '-', 'READY'],
      ['support', 'KIRIM', 'STICKER', 'image/webp', '14.2 kB', '-', 'READY'],
      ['support', 'KIRIM', 'AUDIO', 'audio/ogg; codecs=opus', '4.8 kB', '-', 'READY'],
      ['support', 'KIRIM', 'DOCUMENT', 'application/pdf', '16.7 kB', 'delivery-note.pdf', 'READY'],
      ['sms', 'SIGNALWIRE', 'VIDEO', 'video/mp4', expect.any(String), expect.any(String), 'READY'],
      ['sms', 'SIGNALWIRE', 'IMAGE', 'image/jpeg', expect.any(String), expect.any(String), 'READY'],
      ['mms', 'TWILIO', 'IMAGE', 'image/jpeg', expect.any(String), expect.any(String), 'READY'],
      ['mms', 'TWILIO', 'DOCUMENT', 'application/pdf', expect.any(String), expect.any(String), 'READY'],
    ]);
    expect(output).not.toContain('\u001b');
  });

  it('prints URLs that open as what the row says, and says how they opened', async () => {
    const shown = [...output.matchAll(/^(?<row>.*READY)\n(?<url>http:.*)\nopened: (?<opened>.*)$/gm)];
    expect(shown).toHaveLength(8);
    for (const { groups = {} } of shown) {
      const { statusCode, headers, body } = await request(groups.url ?? '', { dispatcher: agent });
      const { byteLength } = await body.arrayBuffer();
      expect(groups.opened).toBe(`${statusCode} ${headers['content-type']} ${(byteLength / 1000).toFixed(1)} kB`);
      expect(groups.row).toContain(headers['content-type']);
      expect(statusCode).toBe(200);
    }
  });

  it('names the message that failed alone, and one without media', () => {
    expect(output).toMatch(/^sales +KIRIM +error PROVIDER_UNAVAILABLE at messagesWithMedia\.7\.media\n.*503/m);
    expect(output).toMatch(/^support +KIRIM +no media$/m);
    expect(output).toContain('One query for 8 messages: 8 of 8 links open; 1 failed, and spoiled no other.');
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

  it.each(readdirSync(OPERATIONS))('answers %s as it stands', async (file) => {
    const query = readFileSync(new URL(file, OPERATIONS), 'utf8');
    const { data, errors = [] } = await ask(JSON.stringify({ query }));
    const answers = Object.values(data).flat();
    expect(answers.length).toBeGreaterThan(0);
    expect(answers).not.toContain(null);
    // The line that is down, where the operation asks for it.
    const failed = errors.map(({ path, extensions }) => [extensions.code, path.join('.')]);
    expect(failed).toEqual(query.includes('"sales:') ? [['PROVIDER_UNAVAILABLE', 'messagesWithMedia.7.media']] : []);
  });

  it('serves an explorer that loads nothing from elsewhere', async () => {
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
