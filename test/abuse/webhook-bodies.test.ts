/** Bodies of three megabytes, signed as they must be, on a server whose heap is one gigabyte. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { signedDelivery, type WebhookDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { RunningCommand } from '../support/command.js';
import { copyTemplate } from '../support/copy-template.js';
import { LAML_URLS, PHONE_NUMBER_ID, WEBHOOK_SECRETS, webhookChannels } from '../support/emulated-providers.js';
import { eventually } from '../support/eventually.js';
import { ACCOUNTS, sole } from '../support/test-bed.js';
import { WebhookBed } from '../support/webhook-bed.js';
import {
  formDelivery,
  gatewayDelivery,
  jsonDelivery,
  kirimDelivery,
  swmlDelivery,
} from '../support/webhook-senders.js';

/** The slowest body that once blocked the process took 27 seconds. */
const FROZEN_MS = 5_000;
import.meta.jest.setTimeout(240_000);

const LIMIT = 3_000_000;
/** For ids that are longer. */
const ROOM = 100;
const GOOD = '{"from":"1650","id":"wamid.GOOD","type":"image","image":{"id":"77","mime_type":"image/jpeg"}}';
const NOWHERE = 'http://127.0.0.1:1';
const CHANNELS = webhookChannels({
  ...{ wa: NOWHERE, sms: `${NOWHERE}/api/laml/2010-04-01`, mms: `${NOWHERE}/2010-04-01`, cloud: NOWHERE },
  ...{ lookaside: NOWHERE, chakra: NOWHERE, gateway: NOWHERE },
});

/** As many of `unit` as fit between both ends, with commas between them. */
function filled(head: string, unit: string, tail: string, limit = LIMIT): Buffer {
  const count = Math.floor((limit - ROOM - head.length - tail.length) / (unit.length + 1));
  return Buffer.from(`${head}${`${unit},`.repeat(count).slice(0, -1)}${tail}`);
}

const metadata = `"metadata":{"phone_number_id":"${PHONE_NUMBER_ID}"}`;
const META = '{"object":"whatsapp_business_account","gs_app_id":null,"entry":[';
const VALUE = `${META}{"changes":[{"field":"messages","value":{${metadata},"messages":[`;
const END = ']}}]}]}';
const keys = Array.from({ length: 100_000 }, (_, at) => `"${1e15 + at * 2 ** 24}":0`).join();

/** Meta's body, with one media that is right. */
function metaBodies(limit: number): Array<[string, Buffer]> {
  const full = (head: string, unit: string, tail: string) => filled(head, unit, tail, limit);
  return [
    ['a million numbers in the place of messages', full(`${VALUE}${GOOD},`, '1', END)],
    ['a million empty messages', full(`${VALUE}${GOOD},`, '{}', END)],
    ['pictures without ids', full(`${VALUE}${GOOD},`, '{"id":"a","type":"image","image":{}}', END)],
    ['hostile ids', full(`${VALUE}${GOOD},`, '{"id":"..","type":"image","image":{"id":"1"}}', END)],
    ['a million entries', full(META, '{}', `,${VALUE.slice(META.length)}${GOOD}${END}`)],
    ['a million changes', full(`${META}{"changes":[`, '0', `]},${VALUE.slice(META.length)}${GOOD}${END}`)],
    ['a million contacts', full(`${META}{"changes":[{"value":{"contacts":[`, '{}', `],"messages":[${GOOD}${END}`)],
    ['a million errors', full(`${VALUE}${GOOD},{"id":"b","type":"video","errors":[`, '{}', `]}${END}`)],
    [
      'a million threads',
      full(
        `${META}{"changes":[{"field":"history","value":{"history":[{"threads":[`,
        '{}',
        `]}],"messages":[${GOOD}${END}`,
      ),
    ],
    ['names whose hashes collide', Buffer.from(`${VALUE}${GOOD.slice(0, -1)},${keys}}${END}`)],
    [
      'a million lists in one another',
      Buffer.from(`${VALUE}${GOOD.slice(0, -1)},"x":${'['.repeat(limit / 3)}${']'.repeat(limit / 3)}}${END}`),
    ],
    ['spaces', Buffer.from(`${VALUE}${' '.repeat(limit * 0.9)}${GOOD}${END}`)],
  ];
}

const signed = (body: Buffer): Pick<Sent, 'channel' | 'delivery'> => ({
  channel: 'cloud',
  delivery: signedDelivery(body, WEBHOOK_SECRETS.cloud),
});

interface Sent {
  readonly channel: string;
  readonly delivery: WebhookDelivery;
  readonly query?: string;
  /** 200, unless it is a form that is too long to be read. */
  readonly status?: number;
}

const SIGNALWIRE = { key: WEBHOOK_SECRETS.sms, url: LAML_URLS.sms, header: 'x-signalwire-signature' };
const OTHERS: ReadonlyArray<[string, () => Sent]> = [
  [
    'Kirim',
    () => ({
      channel: 'wa',
      delivery: kirimDelivery(filled(`${VALUE}${GOOD},`, '{}', END), { secrets: [WEBHOOK_SECRETS.wa] }),
    }),
  ],
  [
    'Kirim, an envelope',
    () => ({
      channel: 'wa',
      delivery: kirimDelivery(filled('{"event":"message.received","data":[', '{}', ']}'), {
        secrets: [WEBHOOK_SECRETS.wa],
      }),
    }),
  ],
  [
    'Chakra',
    () => ({
      channel: 'chakra',
      delivery: jsonDelivery(filled(`${VALUE}${GOOD},`, '[]', END)),
      query: `?token=${WEBHOOK_SECRETS.chakra}`,
    }),
  ],
  [
    'Gupshup',
    () => ({
      channel: 'gupshup',
      delivery: jsonDelivery(filled('{"type":"message","payload":{"type":"image","payload":[', '{}', ']}}'), {
        'x-webhook-token': WEBHOOK_SECRETS.gupshup,
      }),
    }),
  ],
  [
    'the gateway',
    () => ({
      channel: 'gateway',
      delivery: gatewayDelivery(
        filled('{"event":"message","payload":{"media_path":[', '{}', ']}}'),
        WEBHOOK_SECRETS.gateway,
      ),
    }),
  ],
  [
    "SignalWire's JSON",
    () => ({
      channel: 'sms',
      delivery: swmlDelivery(
        filled(`{"message":{"message_id":"a","project_id":"${ACCOUNTS.signalwire}","media":[`, '1', ']}}'),
        SIGNALWIRE,
      ),
    }),
  ],
  [
    "SignalWire's form of 20,000 fields",
    () => ({ channel: 'sms', delivery: formDelivery(manyFields(20_000), SIGNALWIRE) }),
  ],
  [
    "Twilio's form of three megabytes",
    () => ({
      channel: 'mms',
      status: 401,
      delivery: formDelivery({ Body: 'x'.repeat(2_900_000) }, { key: WEBHOOK_SECRETS.mms, url: LAML_URLS.mms }),
    }),
  ],
  ['pictures, all of them right', () => signed(Buffer.from(`${VALUE}${rightPictures()}${END}`))],
];

function manyFields(count: number): Record<string, string> {
  return {
    AccountSid: ACCOUNTS.signalwire,
    ...Object.fromEntries(Array.from({ length: count }, (_, at) => [`f${at}`, ''])),
  };
}

function rightPictures(): string {
  return Array.from({ length: 20_000 }, (_, at) => GOOD.replace('wamid.GOOD', `wamid.${at}`)).join();
}

describe('a signed body of three megabytes', () => {
  const agent = new Agent({ connections: 8 });
  let command: RunningCommand;
  let folder: string;
  let url: string;
  /** The longest that `/livez` took. */
  let slowest = 0;
  let asking: Promise<void>;
  let over = false;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mediagraph-bodies-'));
    await copyTemplate(folder);
    const file = join(folder, 'config.json');
    const document = {
      server: { port: 0 },
      database: { url: `pglite:${folder}` },
      storage: { root: join(folder, 'blobs') },
      mirror: { mode: 'off' },
      channels: CHANNELS,
    };
    await writeFile(file, JSON.stringify(document));
    command = new RunningCommand(['serve', '--config', file], { NODE_OPTIONS: '--max-old-space-size=1024' });
    [, url = ''] = await command.printed(/mediagraph listens at (\S+)/);
    asking = askWhetherAlive();
  });
  afterAll(async () => {
    over = true;
    await asking;
    command.kill('SIGKILL');
    await command.ended;
    await agent.destroy();
    await rm(folder, { recursive: true, force: true });
  });

  async function askWhetherAlive(): Promise<void> {
    while (!over) {
      const start = Date.now();
      const { statusCode, body } = await request(`${url}/livez`, { dispatcher: agent });
      await body.dump();
      if (statusCode === 200) slowest = Math.max(slowest, Date.now() - start);
    }
  }

  async function post({ channel, delivery, query = '' }: Sent): Promise<number> {
    const { body, headers } = delivery;
    const got = await request(`${url}/webhooks/${channel}${query}`, {
      dispatcher: agent,
      method: 'POST',
      body,
      headers,
    });
    await got.body.dump();
    return got.statusCode;
  }

  async function statusOf(id: string): Promise<unknown> {
    const query = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { status } } }';
    const { body, headers } = jsonDelivery({ query, variables: { ids: [id] } });
    const got = await request(`${url}/graphql`, { dispatcher: agent, method: 'POST', body, headers });
    const answer = JSON.parse(await got.body.text());
    return answer.data?.messagesWithMedia?.[0]?.media?.[0]?.status ?? null;
  }

  it.each([...metaBodies(LIMIT).map(([what, body]): [string, () => Sent] => [what, () => signed(body)]), ...OTHERS])(
    'is answered, as is the next one, and the process stays responsive: %s',
    async (what, make) => {
      slowest = 0;
      const { status = 200, ...sent } = make();
      expect(sent.delivery.body.length).toBeLessThanOrEqual(LIMIT);
      expect(await post(sent)).toBe(status);
      const id = `wamid.NEXT${what.replace(/\W/g, '')}`;
      expect(await post(signed(Buffer.from(`${VALUE}${GOOD.replace('wamid.GOOD', id)}${END}`)))).toBe(200);
      await eventually(
        () => statusOf(`cloud:${id}`),
        (status) => status === 'READY',
      );
      expect(slowest).toBeLessThan(FROZEN_MS);
    },
  );
});

describe('the valid part of a mostly invalid body', () => {
  let bed: WebhookBed;

  beforeAll(async () => {
    bed = await WebhookBed.start({ config: { mirror: { mode: 'off' } }, channels: CHANNELS });
  });
  afterAll(() => bed.close());

  it.each(metaBodies(LIMIT / 10))('is recorded, and the rest is one short dead letter: %s', async (what, body) => {
    const id = `wamid.${what.replace(/\W/g, '')}`;
    const own = Buffer.from(body.toString().replace('wamid.GOOD', id));
    const { delivery } = signed(own);
    const last = await bed.lastEventId();
    expect((await bed.post('cloud', delivery)).status).toBe(200);
    await bed.settled();
    expect(sole(await bed.media(`cloud:${id}`))).toMatchObject({ status: 'READY', kind: 'IMAGE' });
    const event = sole(await bed.events(last));
    if (!['a million contacts', 'spaces', 'names whose hashes collide', 'a million errors'].includes(what)) {
      expect([event.state, event.attempts]).toEqual([what === 'a million threads' ? 'done' : 'dead', 1]);
      if (event.state === 'dead') expect(event.last_error).toMatch(/^PROVIDER_PROTOCOL: .{1,1000}$/s);
    } else expect([event.state, event.last_error]).toEqual(['done', null]);
  });
});
