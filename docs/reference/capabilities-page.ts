import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { DemoLine } from '../../demo/src/line.js';
import { startDemoProviders } from '../../demo/src/providers.js';
import { type Config, parseConfig } from '../../src/config/config.js';
import { MediagraphError } from '../../src/model/errors.js';
import type { MediaRef } from '../../src/model/media.js';
import { OriginPools } from '../../src/net/client/origin-pools.js';
import { capabilitiesOf } from '../../src/providers/capabilities.js';
import type { ConnectedChannel } from '../../src/providers/channel-directory.js';
import { connectChannels } from '../../src/providers/connect-channels.js';
import type { WebhookReceiver } from '../../src/providers/provider-adapter.js';
import type { Quota } from '../../src/providers/quota.js';
import { GENERATED, page, table } from './markdown.js';
import { written } from './setting.js';

const EXAMPLE = new URL('../../config.example.yaml', import.meta.url);
const MB = 1_000_000;

const INTRODUCTION = `# What each provider can do

This page is generated from the adapters. A provider has a capability when its adapter, connected as in \`config.example.yaml\`, has
the method for it. The API returns the same information as \`MediaChannel.capabilities\`. Support for ranges is tested: each adapter
requests the first bytes of a media from an emulated provider.`;

const LEGEND = `- **lists the media of a message**: if not, only webhooks announce media, so configure the webhook before the first message arrives.
- **returns details on request**: the server requests type, size, name and similar details when they are unknown and a query selects
  them. It combines the requests of a query.
- **upload method**: \`BYTES\` are sent to the provider, or the provider downloads a \`URL\` of this server. With \`NONE\`, this server
  keeps the upload, and the provider's send call takes the \`url\` of the media.
- **deletes at the provider**: if not, \`deleteMedia\` deletes only in this server, and its \`scope\` is \`LOCAL\`.
- **largest upload**: the limit of the type with the highest limit, and at most \`upload.maxBytes\`.`;

/** Generates docs/capabilities.md. Starts emulators of the providers and stops them afterwards. */
export async function capabilitiesPage(): Promise<string> {
  const ranges = await rangesByProvider();
  return withConnected(exampleConfig(), async (channels, config) => {
    const columns = channels.map((channel) => columnOf(channel, config.upload.maxBytes, ranges));
    const head = ['', ...channels.map(({ provider }) => `\`${provider}\``)];
    const rows = Object.keys(columns[0] ?? {}).map((name) => [name, ...columns.map((column) => column[name] ?? '')]);
    return page([GENERATED, INTRODUCTION, table(head, rows), LEGEND, NOTES, uploadTypes(channels)]);
  });
}

function columnOf(
  channel: ConnectedChannel,
  maxBytes: number,
  ranges: ReadonlyMap<string, boolean>,
): Readonly<Record<string, string>> {
  const { adapter, webhook } = channel;
  const { upload, maxUploadBytes, uploadMimeTypes } = capabilitiesOf(channel, maxBytes);
  return {
    'media per message': adapter.mediaPerMessage === 'one' ? 'at most one' : 'several',
    'lists the media of a message': yesOrNo(adapter.listMedia),
    'returns details on request': yesOrNo(adapter.describeMedia),
    'downloads media': yesOrNo(adapter.openMedia),
    'supports ranges': yesOrNo(ranges.get(channel.provider)),
    'upload method': upload,
    'upload types': uploadMimeTypes.length === 0 ? 'any' : `${uploadMimeTypes.length}`,
    'largest upload': written(maxUploadBytes, 'bytes'),
    'deletes at the provider': yesOrNo(adapter.deleteMedia),
    webhooks: yesOrNo(webhook),
    'webhook is authenticated by': webhook ? proofOf(webhook) : '',
    'webhook verification request (`GET`)': yesOrNo(webhook?.handshake),
    'repeated delivery is detected by': webhook ? repetitionOf(webhook) : '',
  };
}

function yesOrNo(present: unknown): string {
  return present ? 'yes' : 'no';
}

/** Reads the expected signature or secret from the error that an unauthenticated webhook causes. */
function proofOf(webhook: WebhookReceiver): string {
  const url = new URL('https://media.example.com/webhooks/example');
  try {
    webhook.verify({ url, address: url.href, headers: {}, rawBody: Buffer.from('{}') }, new Date());
  } catch (thrown) {
    if (thrown instanceof MediagraphError)
      return thrown.message.replace(/^expected (.*), got .*$/, '$1').replace(/\bX-[A-Za-z0-9-]+/g, '`$&`');
    throw thrown;
  }
  throw new Error('expected a webhook without any proof to be rejected');
}

/** Finds the header that identifies a repetition, by offering every header that the receiver reads. */
function repetitionOf(webhook: WebhookReceiver): string {
  const readHeaders: string[] = [];
  const headers = new Proxy<Record<string, string>>(
    {},
    {
      get: (_target, name) => {
        readHeaders.push(String(name));
        return 'one';
      },
    },
  );
  const url = new URL('https://media.example.com/webhooks/example');
  const id = webhook.deliveryId({ url, address: url.href, headers, rawBody: Buffer.from('{}') });
  return id === null ? 'its body' : `\`${readHeaders.at(-1)}\``;
}

function uploadTypes(channels: readonly ConnectedChannel[]): string {
  const limited = channels.filter(({ adapter }) => adapter.uploadLimits);
  const types = [...new Set(limited.flatMap(({ adapter }) => [...(adapter.uploadLimits?.keys() ?? [])]))];
  const rows = types.map((type) => [
    `\`${type}\``,
    ...limited.map(({ adapter }) => {
      const bytes = adapter.uploadLimits?.get(type);
      return bytes === undefined ? 'refused' : `${bytes / MB} MB`;
    }),
  ]);
  const head = ['type', ...limited.map(({ provider }) => `\`${provider}\``)];
  const text =
    'These are the types and sizes of providers with limits of their own. For other providers only `upload.maxBytes` applies. The server determines the type from the bytes.';
  return page(['## Types of uploads', text, table(head, rows)]).trimEnd();
}

function exampleConfig(): Config {
  const text = readFileSync(EXAMPLE, 'utf8');
  const variables = [...text.matchAll(/\$\{([A-Z0-9_]+)\}/g)].map(([, name = '']) => [name, '1000000'] as const);
  return parseConfig(parse(text), Object.fromEntries(variables), 'config.example.yaml');
}

/** Tests, for each provider, whether the adapter can request the first bytes of a media only. */
async function rangesByProvider(): Promise<ReadonlyMap<string, boolean>> {
  const providers = await startDemoProviders();
  try {
    const lines = new Map(providers.lines.toReversed().map((line) => [line.channel.provider, line]));
    const channels = [...lines.values()].map(({ channel }) => channel);
    const config = parseConfig({ channels, network: { allowPrivate: ['127.0.0.0/8'] } }, {});
    return await withConnected(config, async (connected) => {
      const measured = connected.map(async (channel) => {
        const line = lines.get(channel.provider);
        if (!line) throw new Error(`expected a line of ${channel.provider}`);
        return [channel.provider, await isPartGiven(channel, await firstMedia(channel, line))] as const;
      });
      return new Map(await Promise.all(measured));
    });
  } finally {
    await providers.close();
  }
}

/** The first media that the provider lists or that its webhook announces. */
async function firstMedia({ adapter, webhook }: ConnectedChannel, line: DemoLine): Promise<MediaRef> {
  const listed = (await adapter.listMedia?.(line.messages.slice(0, 1), {}))?.[0];
  if (Array.isArray(listed) && listed[0]) return listed[0];
  const delivery = line.webhook?.make('https://media.example.com/webhooks/example');
  const type = delivery?.headers['content-type'] ?? '';
  const [event] = delivery && webhook ? webhook.parse(delivery.body, type, new Date()) : [];
  if (event?.type === 'mediaAnnounced' && event.media[0]) return event.media[0];
  throw new Error(`expected a media of ${line.channel.provider}`);
}

async function isPartGiven({ adapter }: ConnectedChannel, ref: MediaRef): Promise<boolean> {
  const stream = await adapter.openMedia?.(ref, { range: { start: 0, end: 9 } });
  stream?.body.destroy();
  return stream !== undefined && stream.range !== null;
}

/** This page needs no limits, because it makes one call per provider. */
const NO_LIMIT: Quota = {
  take: () => Promise.resolve(null),
  hold: () => Promise.resolve({ kind: 'held', settle: () => Promise.resolve() }),
};

async function withConnected<Result>(
  config: Config,
  use: (channels: readonly ConnectedChannel[], config: Config) => Promise<Result>,
): Promise<Result> {
  const pools = new OriginPools();
  const { directory, close } = connectChannels(config, { pools, quota: NO_LIMIT });
  try {
    return await use(
      config.channels.map(({ tenant, id }) => directory.get(tenant, id)),
      config,
    );
  } finally {
    await Promise.all([close(), pools.close()]);
  }
}

/** Facts that do not follow from the methods. Each note names the provider's page that documents it. */
const NOTES = `## Notes

- **Kirim**: one 404 means both "no media" and "not received from Meta yet" (API reference, "Redirect to the media asset for
  a message"), so the server asks again while a message without media is young. Kirim documents neither uploads nor deletions. Its
  send call takes a public \`link\`.
- **SignalWire**: the reference shows a JSON response for the path of a media and documents no path for the bytes ("Retrieve Message
  Media"). The bytes are at the \`MediaUrl\` of the webhook, which is public unless the project protects it ("Protect Message
  Media URLs"). For a protected project, add its origin to \`options.mediaOrigins\`. SignalWire refuses to delete the media of a
  message that it is still sending (error 20009).
- **Twilio**: the path of a media redirects to a CDN that rejects credentials. It answers 404 for some seconds after the webhook
  (support article 44750147594523). Twilio deletes a file that was sent several times when its last media resource is deleted.
- **Chakra**: the API passes requests through to Meta's API. An upload ("Upload Public Media") returns a public URL and no media id.
  Chakra documents neither a deletion nor a signature of webhooks.
- **WhatsApp Cloud API**: a media id from a webhook works for 7 days, a media id from an upload for 30 days, and a URL for 5 minutes
  (Cloud API, "Media"). Partners of Meta report that 20 failed requests in an hour block an account (360dialog, media), so the
  server does not repeat requests for expired media.
- **WA gateway**: files above 64 MiB have no \`media_path\` and cannot be downloaded ("Media"). Destroying a device deletes its media.
  The documentation does not state how long the gateway keeps media.
- **Gupshup**: a URL from a webhook works for 7 days ("Inbound messages"). After 20 failed downloads in an hour, Gupshup refuses all
  downloads for an hour ("Media management"), so the adapter counts failures. Gupshup allows 10 deletions per hour and deletes only
  media with a media id of Meta's, which webhooks of version 2 do not contain.`;
