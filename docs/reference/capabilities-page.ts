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

Written from the adapters themselves: each is connected as \`config.example.yaml\` has it, and what it has a method for is
what it can do. The same is in the API as \`MediaChannel.capabilities\`, for the channels that are configured. Ranges are read
off an answer: each adapter is asked for the first bytes of a media, over the stand-in for its provider.`;

const LEGEND = `- **asked which media a message has**: yes, when a query names a message; no: media is known from webhooks alone, so the
  webhook must be set before the first message is needed.
- **details on demand**: type, size, name and the like of media that nobody told of; asked only when a query selects such a
  field, for all media of the query together.
- **an upload reaches the provider**: as \`BYTES\` that are sent to it; by a \`URL\` of ours that it fetches; or not at all
  (\`NONE\`), and a send call takes the \`url\` of the media.
- **deletes at the provider**: otherwise \`deleteMedia\` deletes here, and its \`scope\` is \`LOCAL\`.
- **largest upload**: of the type that may be largest, never more than \`upload.maxBytes\`.`;

/** docs/capabilities.md. Starts stand-ins for the providers, and ends them. */
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
    'media of a message': adapter.mediaPerMessage === 'one' ? 'one at most' : 'several',
    'asked which media a message has': yesOrNo(adapter.listMedia),
    'details on demand': yesOrNo(adapter.describeMedia),
    'opens bytes': yesOrNo(adapter.openMedia),
    'ranges of bytes': yesOrNo(ranges.get(channel.provider)),
    'an upload reaches the provider': upload,
    'types of uploads': uploadMimeTypes.length === 0 ? 'any' : `${uploadMimeTypes.length}`,
    'largest upload': written(maxUploadBytes, 'bytes'),
    'deletes at the provider': yesOrNo(adapter.deleteMedia),
    webhooks: yesOrNo(webhook),
    'a webhook is proven by': webhook ? proofOf(webhook) : '',
    'handshake of the webhook (`GET`)': yesOrNo(webhook?.handshake),
    'a repeated delivery is known by': webhook ? repetitionOf(webhook) : '',
  };
}

function yesOrNo(present: unknown): string {
  return present ? 'yes' : 'no';
}

/** What a webhook without any proof is told to be lacking. */
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

/** The header whose value stays the same, found by sending every header that the receiver looks at. */
function repetitionOf(webhook: WebhookReceiver): string {
  const asked: string[] = [];
  const headers = new Proxy<Record<string, string>>(
    {},
    {
      get: (_target, name) => {
        asked.push(String(name));
        return 'one';
      },
    },
  );
  const url = new URL('https://media.example.com/webhooks/example');
  const id = webhook.deliveryId({ url, address: url.href, headers, rawBody: Buffer.from('{}') });
  return id === null ? 'its bytes' : `\`${asked.at(-1)}\``;
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
    'What each provider takes that has limits of its own; elsewhere only `upload.maxBytes` binds. A type is what the bytes are, not what a caller says.';
  return page(['## Types of uploads', text, table(head, rows)]).trimEnd();
}

function exampleConfig(): Config {
  const text = readFileSync(EXAMPLE, 'utf8');
  const variables = [...text.matchAll(/\$\{([A-Z0-9_]+)\}/g)].map(([, name = '']) => [name, '1000000'] as const);
  return parseConfig(parse(text), Object.fromEntries(variables), 'config.example.yaml');
}

/** Whether the first bytes of a media can be had without the others, by provider. */
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

/** As the provider lists it, or as its webhook tells it. */
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

/** Nothing is called. */
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

/** What a table of methods cannot tell. Each fact is from the provider's page that is named. */
const NOTES = `## Notes

- **Kirim**: one 404 means both "no media" and "still on its way from Meta" (API reference, "Redirect to the media asset for
  a message"), so a message without media is asked again while it is young. No page documents an upload or a deletion. A send
  call takes a public \`link\`.
- **SignalWire**: the reference answers a media's own path with JSON and shows no path for the bytes ("Retrieve Message
  Media"). They come from the \`MediaUrl\` of the webhook, which is public unless the project protects it ("Protect Message
  Media URLs"): then name its origin in \`options.mediaOrigins\`. Media of a message that is still being sent cannot be deleted
  (error 20009).
- **Twilio**: a media's path redirects to a CDN that refuses credentials, and is 404 for some seconds after the webhook
  (support article 44750147594523). One file that was sent several times is gone when its last resource is deleted.
- **Chakra**: the pass-through of Meta's API. Its upload ("Upload Public Media") gives a URL that everybody can open, and no
  media id. No page documents a deletion, or a signature of webhooks.
- **WhatsApp Cloud API**: an id from a webhook opens for 7 days, an id from an upload for 30, an address for 5 minutes
  (Cloud API, "Media"). Partners of Meta report that 20 failed look-ups in an hour lock an account out (360dialog, media), so
  what is gone is not asked again.
- **WA gateway**: files above 64 MiB have no \`media_path\` and cannot be had ("Media"). Destroying a device deletes its media.
  How long media is kept is not published.
- **Gupshup**: an address from a webhook opens for 7 days ("Inbound messages"); after 20 failed downloads in an hour all
  are refused for an hour ("Media management"), so the adapter counts. 10 deletions an hour; only what has a media id of
  Meta's can be deleted, which webhooks of version 2 do not tell.`;
