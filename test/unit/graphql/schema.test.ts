import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse, print, validate } from 'graphql';
import {
  ChannelsDocument,
  DeleteMediaDocument,
  EntitiesDocument,
  MediaByIdDocument,
  MediaUpdatedDocument,
  MessagesWithMediaDocument,
  UploadMediaFromUrlDocument,
} from '../../../demo/src/operations.generated.js';
import { type PrintSchemaOptions, printSchema } from '../../../src/cli/print-schema.js';

const SCHEMA = new URL('../../../schema/media.graphql', import.meta.url);
const OPERATIONS = new URL('../../../schema/operations/', import.meta.url);
const DOCUMENTS = [
  ChannelsDocument,
  DeleteMediaDocument,
  EntitiesDocument,
  MediaByIdDocument,
  MediaUpdatedDocument,
  MessagesWithMediaDocument,
  UploadMediaFromUrlDocument,
];

async function run(options: Partial<PrintSchemaOptions>): Promise<{ status: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const stdout = { write: (text: string) => (written.stdout += text) };
  const stderr = { write: (text: string) => (written.stderr += text) };
  const status = await printSchema({ messageIds: 'transparent', stdout, stderr, ...options });
  return { status, ...written };
}

describe('schema/media.graphql', () => {
  const committed = readFileSync(SCHEMA, 'utf8').replaceAll('\r\n', '\n');

  it('equals the schema of the code (else: npm run schema)', async () => {
    expect(await run({})).toEqual({ status: 0, stdout: committed, stderr: '' });
  });

  it.each(readdirSync(OPERATIONS))('answers operations/%s', (file) => {
    const schema = buildSubgraphSchema(parse(committed));
    const operation = parse(readFileSync(new URL(file, OPERATIONS), 'utf8'));
    expect(validate(schema, operation)).toEqual([]);
  });

  it('has a typed document for each of its operations (else: npm run codegen)', () => {
    const operations = readdirSync(OPERATIONS).sort();
    const printed = operations.map((file) => print(parse(readFileSync(new URL(file, OPERATIONS), 'utf8'))));
    expect(DOCUMENTS.map((document) => print(parse(document.toString())))).toEqual(printed);
  });
});

describe('mediagraph schema', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mediagraph-schema-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('leaves the id of Message to its owner when ids are owned', async () => {
    const { stdout } = await run({ messageIds: 'owned' });
    const message = /^type Message .*\{[^}]*\}/m.exec(stdout)?.[0] ?? '';
    expect(message).toContain('type Message @key(fields: "channelId providerMessageId") {');
    expect(message).not.toMatch(/^ {2}id:/m);
  });

  it('lists changes that break users of a released SDL, and no additions', async () => {
    const { stdout } = await run({});
    const file = join(folder, 'released.graphql');
    const released = stdout
      .replace('  sha256: String\n', '  sha512: String\n')
      .replace('input DeleteMediaInput {', 'input DeleteMediaInput {\n  reason: String')
      .replace('type MediaChannel @key(fields: "id")', 'type MediaChannel @key(fields: "id") @key(fields: "provider")')
      .replace(/ {2}mediaUpdated[^\n]*\n/, '  mediaUpdated(messageIds: [ID!]!): Media\n');
    writeFileSync(file, released);
    expect(await run({ against: file })).toEqual({
      status: 1,
      stdout: '',
      stderr: [
        'FIELD_REMOVED: DeleteMediaInput.reason was removed.',
        'FIELD_REMOVED: Media.sha512 was removed.',
        'KEY_REMOVED: MediaChannel @key(fields: "provider") is no key any more.',
        '',
      ].join('\n'),
    });
    writeFileSync(file, stdout);
    expect(await run({ against: file })).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('writes a file that its own check accepts, whatever the line ends', async () => {
    const file = join(folder, 'media.graphql');
    expect(await run({ output: file })).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(await run({ check: file })).toEqual({ status: 0, stdout: '', stderr: '' });
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('\n', '\r\n'));
    expect(await run({ check: file })).toMatchObject({ status: 0 });
  });

  it('refuses a file that differs, explains how to write it, and does not change it', async () => {
    const file = join(folder, 'media.graphql');
    writeFileSync(file, 'type Query { hello: String }\n');
    const { status, stderr } = await run({ check: file, messageIds: 'bare' });
    expect(status).toBe(1);
    expect(stderr).toContain(`mediagraph schema --message-ids bare --output ${file}`);
    expect(readFileSync(file, 'utf8')).toBe('type Query { hello: String }\n');
  });
});
