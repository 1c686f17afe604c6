/**
 * Random requests of `/graphql`, at one real server: operations over its schema, mutations, broken documents, and envelopes
 * that carry no operation. A short form by default, for seconds; `TEST_LONG=1` goes on for two minutes, and `TEST_SEED`
 * repeats the inputs of a run. A failure prints the seed and the whole request.
 */

import { deepStrictEqual } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { Agent, type Dispatcher, request } from 'undici';
import { createSubgraphSchema } from '../../src/graphql/build-schema.js';
import { ERROR_CODES } from '../../src/model/errors.js';
import { Chance } from '../support/chance.js';
import { credentials } from '../support/leaks.js';
import { type Pools, type RandomOperation, RandomOperations } from '../support/random-operations.js';
import { messageId, receive, receiveEverywhere, samples } from '../support/sample-messages.js';
import { CHANNELS, type TestBed, useBeds } from '../support/test-bed.js';
import { watchUnhandled } from '../support/unhandled.js';

const IS_LONG = process.env.TEST_LONG === '1';
const SEED = process.env.TEST_SEED ?? (IS_LONG ? String(Date.now()) : 'queries');
/** The time for each of the four kinds. */
const LONG_MS = 30_000;
/** The number of inputs of each kind, in the short form. */
const SHORT_ROUNDS = 100;
/** After so many inputs, the health of the server is checked. */
const BATCH = 50;
/** Generous: the slowest of these takes a fraction of a second, and what is stuck is stuck for ever. */
const ANSWER_MS = 20_000;
const DEADLINE_MS = IS_LONG ? 10 * LONG_MS : 120_000;
const BODY_BYTES = 400_000;

// Nothing may be waited for here: a provider's late 404 is not what is tested.
const ONCE = { timeout: '5s', retries: 0 };
const beds = useBeds({
  config: { providers: { kirim: ONCE, signalwire: ONCE, twilio: ONCE }, limits: { bodyBytes: BODY_BYTES } },
});

interface Input {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
}

const INTERNAL = 'INTERNAL_SERVER_ERROR';
/** Apollo Server docs, "Error codes". */
const PROTOCOL_CODES = [
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
  'OPERATION_RESOLUTION_FAILURE',
  'BAD_REQUEST',
];

/**
 * What may be answered, by its status: the codes of its errors, and how it is written. `graphql` has `data` or `errors`,
 * `plain` is `{"error":{"code","message","requestId"}}`, of what never reached the route.
 */
const ANSWERS: Readonly<
  Record<number, { readonly codes: readonly string[]; readonly forms: ReadonlyArray<'graphql' | 'plain' | 'empty'> }>
> = {
  // Each field has its own error; a persisted query can be unknown.
  200: {
    codes: [...ERROR_CODES.filter((code) => code !== INTERNAL), 'PERSISTED_QUERY_NOT_FOUND'],
    forms: ['graphql'],
  },
  // A preflight.
  204: { codes: [], forms: ['empty'] },
  // `plain` for what the parser of HTTP, or of addresses, does not take.
  400: { codes: [...PROTOCOL_CODES, 'BAD_USER_INPUT', 'QUERY_TOO_COMPLEX'], forms: ['graphql', 'plain'] },
  // An unknown Host.
  403: { codes: ['FORBIDDEN'], forms: ['plain'] },
  // A method that no route has.
  404: { codes: ['BAD_USER_INPUT'], forms: ['plain', 'empty'] },
  // A mutation by GET, and HEAD.
  405: { codes: ['BAD_REQUEST'], forms: ['graphql', 'empty'] },
  406: { codes: ['BAD_REQUEST'], forms: ['graphql'] },
  413: { codes: ['BAD_USER_INPUT'], forms: ['graphql'] },
  415: { codes: ['BAD_USER_INPUT', 'BAD_REQUEST'], forms: ['graphql'] },
  429: { codes: ['RATE_LIMITED'], forms: ['graphql'] },
};
/** An event has no status of its own. */
const EVENT: (typeof ANSWERS)[number] = {
  codes: [...PROTOCOL_CODES, ...ERROR_CODES.filter((code) => code !== INTERNAL)],
  forms: ['graphql'],
};
const MAX_MESSAGE_LENGTH = 2_000;
const TYPES = /^(?:application\/json|application\/graphql-response\+json)(?:; charset=utf-8)?$/;

/** What no message may hold. */
const PATHS_AND_STACKS = ['\n    at ', 'node_modules', 'node:internal', '.ts:', '.js:', process.cwd(), tmpdir()];

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is wrong with an answer; null: nothing. */
function faultOf({ method, headers: { accept } }: Input, answer: Answer): string | null {
  const { status, text, headers } = answer;
  const expected = ANSWERS[status];
  if (!expected) return `a status ${status}`;
  const leaked = credentials().find((secret) => text.includes(secret));
  if (leaked !== undefined) return `a credential: ${leaked}`;
  if (text === '') return expected.forms.includes('empty') || method === 'HEAD' ? null : 'no body';
  const type = String(headers['content-type']);
  if (accept?.includes(EVENTS) && type.startsWith(EVENTS))
    return eventsOf(text).reduce<string | null>((fault, result) => fault ?? faultOfResult(result, EVENT), null);
  return TYPES.test(type) ? faultOfResult(text, expected) : `a type ${type}`;
}

function faultOfResult(text: string, { codes, forms }: (typeof ANSWERS)[number]): string | null {
  let result: unknown;
  try {
    result = JSON.parse(text);
  } catch {
    return 'a body that is no JSON';
  }
  if (!isRecord(result)) return 'a body that is no object';
  const { data, errors, error } = result;
  if (error !== undefined) {
    if (!forms.includes('plain') || !isRecord(error)) return 'an error of another form';
    return faultOfError(error.message, error.code, codes);
  }
  if (!forms.includes('graphql')) return 'a GraphQL response';
  if (errors === undefined) return isRecord(data) ? null : 'neither data nor errors';
  if (!Array.isArray(errors) || errors.length === 0) return 'errors that are no list, or empty';
  for (const one of errors) {
    if (!isRecord(one) || !isRecord(one.extensions)) return 'an error without extensions';
    if (one.extensions.stacktrace !== undefined) return 'a stack';
    if (typeof one.extensions.requestId !== 'string') return 'an error without a request id';
    const fault = faultOfError(one.message, one.extensions.code, codes);
    if (fault !== null) return fault;
  }
  return null;
}

function faultOfError(message: unknown, code: unknown, codes: readonly string[]): string | null {
  if (typeof code !== 'string' || !codes.includes(code)) return `a code ${String(code)}`;
  if (typeof message !== 'string' || message === '') return 'no message';
  if (message.length > MAX_MESSAGE_LENGTH) return `a message of ${message.length} characters`;
  const held = PATHS_AND_STACKS.find((one) => message.includes(one));
  return held === undefined ? null : `a message with ${JSON.stringify(held)}`;
}

const EVENTS = 'text/event-stream';

/** What server-sent events carry. */
function eventsOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => line.slice('data: '.length));
}

/** The request in a form that can be repeated by hand. */
function printed({ method, target, headers, body }: Input): string {
  const utf8 = body?.toString() ?? '';
  const isText = body === null || Buffer.from(utf8).equals(body);
  return JSON.stringify({
    method,
    target,
    headers,
    ...(isText ? { body: utf8 } : { base64: body.toString('base64') }),
  });
}

const schema = createSubgraphSchema({});
const JSON_TYPE = { 'content-type': 'application/json' };
const TRACED = { 'apollo-federation-include-trace': 'ftv1' };

/** Refused as text, or as an address, before anything is asked; none of them is one edit away from one that is not. */
const REFUSED_URLS = [
  ...[
    '',
    ' ',
    '/',
    '//10.0.0.1/',
    'x',
    'http:',
    'http://',
    'http://[',
    'https://10.0.0.1:99999/',
    'file:///etc/passwd',
  ],
  ...['ftp://10.0.0.1/a', 'javascript:alert(1)', 'data:text/plain,x', 'gopher://10.0.0.1:80/', 'http://10.0.0.1/a.png'],
  ...['http://169.254.169.254/latest/meta-data', 'http://[::1]/', 'http://[::ffff:10.0.0.1]/', 'http://0x0a000001/'],
  ...[
    'http://user:pass@10.0.0.1/',
    'http://10.0.0.1:22/',
    'http://192.168.0.1/\0',
    'http://10.0.0.1/\ud800',
    'http://0/',
  ],
  ...[`http://10.0.0.1/${'a'.repeat(8_300)}`, `http://${'a.'.repeat(200)}/`, 'http://10.0.0.1/?q#f', 'HTTP://10.1/'],
];
/** The same where bytes change at random, which must not make a public address of any. */
const UNREACHABLE_URLS = ['', 'x', 'file:///etc/passwd', 'data:text/plain,x', 'javascript:alert(1)'];

const PIECES: readonly string[] = [
  ...['{', '}', '(', ')', '[', ']', ':', '!', '$', '@', '=', '|', '&', '...', ',', '#', '\n', '"', '""', '"""', '\\'],
  ...['\\u', '\\ud800', '\\u{110000}', '\\u{1F600}', '\\"""', '\0', '\x07', '\x7f', '\ufeff', '\u2028', '\ud800', '😀'],
  ...['query', 'mutation', 'fragment ', ' on ', 'on', 'null', 'true', '__typename', '__schema { types { name } }'],
  ...['__type(name: "Media") { fields { name } }', '_service { sdl }', '@skip', '@include(if: 1)', '@skip(if: null)'],
  ...['@defer', '@stream(initialCount: 1)', '@unknown', '@deprecated', '@cacheControl(maxAge: 1)', '@oneOf', '@key'],
  ...['99999999999999999999999', '-0', '1e999', '0x1', '01', '1.', '-', '.5', '1e', '1_0', '$v1', '$', 'extend type X'],
  ...[
    '...F',
    '...on Media{id}',
    '...on Nothing{id}',
    '...on _Entity{__typename}',
    ': ',
    'a:b:c',
    'id: id',
    'schema{x:Y}',
  ],
  ...[
    '""" block \\""" """',
    '"""\n  a\n    b\n"""',
    'query Random {a}',
    'fragment F on Media { ...F }',
    'type T { a: B }',
  ],
];

class Fuzz {
  readonly #chance: Chance;
  readonly #operations: RandomOperations;
  readonly #unreachable: RandomOperations;

  constructor(kind: string, pools: Pools) {
    this.#chance = new Chance(`${SEED} ${kind}`);
    this.#operations = new RandomOperations(schema, this.#chance, pools);
    this.#unreachable = new RandomOperations(schema, this.#chance, { ...pools, urls: UNREACHABLE_URLS });
  }

  below(limit: number): number {
    return this.#chance.below(limit);
  }

  rarely(times: number): boolean {
    return this.#operations.rarely(times);
  }

  of<Item>(items: readonly Item[]): Item {
    return this.#operations.of(items);
  }

  valid(): Input {
    return this.#post(JSON.stringify(this.#named(this.#operations.query())));
  }

  mutation(): Input {
    const operation = this.rarely(20) ? this.#operations.subscription() : this.#operations.mutation();
    return this.#post(JSON.stringify(this.#named(operation)));
  }

  broken(): Input {
    if (this.rarely(5)) return this.#post(JSON.stringify({ query: this.#trap(), variables: this.#deep() }));
    const { query, variables } = this.#any();
    const text = JSON.stringify({ query: this.rarely(6) ? query : this.#edited(query), variables });
    return this.#post(this.rarely(4) ? this.#editedBytes(Buffer.from(text)) : text);
  }

  envelope(): Input {
    return this.of([
      () => this.#post(this.#strangeBody()),
      () => this.#post(this.#strangeBody()),
      () => this.#ofStrangeType(),
      () => this.#byGet(),
      () => this.#ofStrangeMethod(),
      () => this.#coded(),
      () => this.#withStrangeHeaders(),
    ])();
  }

  #any(): RandomOperation {
    return this.of([
      () => this.#unreachable.query(),
      () => this.#unreachable.query(),
      () => this.#unreachable.mutation(),
      () => this.#unreachable.subscription(),
    ])();
  }

  #post(body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Input {
    const traced = this.rarely(6) ? TRACED : {};
    const accept = this.rarely(6) ? this.#accept() : {};
    const bytes = Buffer.from(body);
    // A subscription would be answered for ever.
    const streamed = this.rarely(10) && !bytes.includes('subscr') ? { accept: EVENTS } : {};
    const sent: Readonly<Record<string, string>>[] = [JSON_TYPE, traced, accept, streamed, headers];
    return {
      method: 'POST',
      target: '/graphql',
      headers: Object.assign({}, ...sent),
      body: bytes,
    };
  }

  #accept(): Readonly<Record<string, string>> {
    const accept = this.of([
      ...['application/json', 'application/graphql-response+json', '*/*', 'application/*;q=0.1', 'text/plain', 'x'],
      ...[
        '',
        ',',
        ';;',
        'application/json;q=2',
        'multipart/mixed',
        'application/json, application/graphql-response+json',
      ],
      ...['multipart/mixed; deferSpec=20220824, application/json', 'a/b'.repeat(500)],
    ]);
    return { accept };
  }

  #named({ query, variables }: RandomOperation): Readonly<Record<string, unknown>> {
    return { query, variables, ...(this.rarely(3) && { operationName: this.rarely(10) ? 'Other' : 'Random' }) };
  }

  #piece(): string {
    return this.rarely(5) ? String.fromCharCode(this.below(this.rarely(2) ? 0x80 : 0x10000)) : this.of(PIECES);
  }

  #edited(text: string): string {
    let edited = text;
    for (let left = 1 + this.below(4); left > 0; left -= 1) {
      const at = this.below(edited.length + 1);
      const [before, after] = [edited.slice(0, at), edited.slice(at)];
      const from = this.below(at + 1);
      edited = this.of([
        () => before + this.#piece() + after,
        () => before + this.#piece() + after,
        () => before + this.#piece() + after.slice(1 + this.below(5)),
        () => before + after.slice(1 + this.below(20)),
        () => before,
        () => before + before.slice(from, from + 200).repeat(1 + this.below(5)) + after,
        () => after + before,
      ])();
    }
    return edited;
  }

  #editedBytes(bytes: Buffer): Buffer {
    const edited = Buffer.from(bytes);
    for (let left = 1 + this.below(4); left > 0; left -= 1)
      if (edited.length > 0) edited[this.below(edited.length)] = this.below(256);
    return this.rarely(3) ? edited.subarray(0, this.below(edited.length + 1)) : edited;
  }

  /** Much of one thing. */
  #trap(): string {
    const count = this.of([1, 7, 8, 9, 29, 60, 300, 990, 4_100, 20_000]);
    const nested = (open: string, close: string) =>
      open.repeat(count) + close.repeat(this.rarely(4) ? count - 1 : count);
    const value = this.of([
      () => nested('[', ']'),
      () => nested('{a:', '}'),
      () => nested('[{id:', '}]'),
      () => `"${'\\u0000'.repeat(count)}"`,
      () => `"""${'\n'.repeat(count)}${' '.repeat(this.below(9))}a"""`,
      () => `"""${'\\"""'.repeat(count)}"""`,
      () => '9'.repeat(count),
      () => `-0.${'0'.repeat(count)}1e${'9'.repeat(count)}`,
      () => `$${'a'.repeat(count)}`,
      () => '"a",'.repeat(count),
    ])();
    const field = this.of(['messagesWithMedia(ids: ', 'media(id: ', '_entities(representations: ']);
    return this.of([
      () => `{ ${field}${value}) { __typename } }`,
      () => `query($x: ID = ${value}, $y: [_Any!]! = ${value}) { media(id: $x) { id } }`,
      () => `mutation { uploadMediaFromUrl(input: ${value}) { replayed } }`,
      () => `{ messagesWithMedia(ids: ["x"]) ${nested('{ media { message ', '{ id } }')} }`,
      () => nested('{ a ', '}'),
      () => `{ ${nested('... { ', '}')} }`,
      () => `{ ${'__typename '.repeat(count)} }`,
      () => `{ ${Array.from({ length: count }, (_, at) => `a${at}: __typename`).join(' ')} }`,
      () =>
        `{ ...F0 } ${Array.from({ length: count }, (_, at) => `fragment F${at} on Query { ...F${at + 1} }`).join(' ')}`,
      () => `{ __typename ${'@skip(if: false) '.repeat(count)} }`,
      () => `{ __typename ${'@include(if: $a) @unknown '.repeat(count)} }`,
      () =>
        `query(${Array.from({ length: Math.min(count, 300) }, (_, at) => `$v${at}: ${nested('[', ']')}`)
          .join(' ')
          .slice(0, 100_000)}) { __typename }`,
      () => `query($v: ${'['.repeat(count)}ID${']'.repeat(count)}) { messagesWithMedia(ids: $v) { id } }`,
      () => `{ __typename }${'#'.repeat(count)}${'\n#'.repeat(count)}`,
      () => `{ ${'a'.repeat(count)} }`,
      () => `{ __schema { types ${nested('{ fields { type ', '{ name } }')} } }`,
      () => `{ __schema { types ${nested('{ ofType ', '{ name } }')} } }`,
      () => '{ __typename } '.repeat(count),
      () => Array.from({ length: count }, (_, at) => `query Q${at} { __typename }`).join(' '),
    ])().slice(0, 150_000);
  }

  /** Variables as deep, as long or as many as a body holds. */
  #deep(): unknown {
    const count = this.of([1, 10, 101, 1_000]);
    let value: unknown = this.#operations.any(1);
    for (let left = count; left > 0; left -= 1) value = this.rarely(2) ? [value] : { id: value };
    return this.of<() => unknown>([
      () => ({ x: value, y: [value], v: value }),
      () => Object.fromEntries(Array.from({ length: count }, (_, at) => [`v${at}`, at])),
      () => ({ y: Array.from({ length: count }, () => this.#operations.any(1)), x: 'a'.repeat(count * 9) }),
      () => value,
      () => ({}),
    ])();
  }

  /** JSON that is no request, or one with a part of another type. */
  #strangeBody(): string {
    const any = () => this.#operations.any(3);
    const operation = this.#any();
    const sha256Hash = createHash('sha256').update(operation.query).digest('hex');
    return this.of<() => string>([
      () => JSON.stringify(any()),
      () => JSON.stringify([operation, operation]),
      () => JSON.stringify({ ...operation, operationName: any() }),
      () => JSON.stringify({ ...operation, variables: any() }),
      () => JSON.stringify({ ...operation, query: any() }),
      () => JSON.stringify({ ...operation, query: { kind: 'Document', definitions: [any()] } }),
      () => JSON.stringify({ ...operation, extensions: any() }),
      () => JSON.stringify({ ...operation, extensions: { persistedQuery: any() } }),
      () =>
        JSON.stringify({
          ...operation,
          extensions: { persistedQuery: { version: this.of([1, 2, '1', null]), sha256Hash } },
        }),
      () =>
        JSON.stringify({
          extensions: { persistedQuery: { version: 1, sha256Hash: this.of<unknown>([sha256Hash, any()]) } },
        }),
      () => JSON.stringify({ ...operation, [this.#operations.text()]: any() }),
      () => JSON.stringify(operation).replace('{', '{"query":"{ __typename }","query":1,'),
      () =>
        `${this.of(['\ufeff', ' ', '\n', '', ")]}',", '/**/'])}${JSON.stringify(operation)}${this.of(['', ' ', '\0', ';', '{}'])}`,
      () =>
        this.of(['', ' ', '{', '[', '"', 'null', '1', 'true', '[]', '{}', '[null]', '{"query":null}', '{"query":""}']),
      () =>
        `{"query":"{ __typename }","variables":${this.of(['{"__proto__":{"a":1}}', '{"constructor":{"prototype":1}}', '{"a":1e999}'])}}`,
      () => '['.repeat(this.of([10, 5_000, 150_000])),
      () => `{"query":"${'\\u0020'.repeat(this.of([10, 60_000]))}"}`,
    ])().slice(0, BODY_BYTES);
  }

  #ofStrangeType(): Input {
    const operation = JSON.stringify(this.#any());
    const type = this.of([
      ...[
        'text/plain',
        'application/graphql',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'x',
      ],
      ...[
        'application/json; charset=utf-16',
        'application/json;',
        'application/json; charset="',
        'APPLICATION/JSON',
        '',
        '/',
      ],
      ...[
        'application/graphql+json',
        'application/json, text/plain',
        'application/jsonx',
        ' application/json',
        '\xe4/\xff',
      ],
      ...[
        'application/json; a=b; a=c',
        `application/json; ${'a'.repeat(3_000)}`,
        'application/vnd.api+json',
        'text/json',
      ],
    ]);
    const coding: Readonly<Record<string, string>> = this.rarely(3)
      ? { 'content-encoding': this.of(['gzip', 'br']) }
      : {};
    return this.#post(this.rarely(4) ? '' : operation, { 'content-type': type, ...coding });
  }

  #byGet(): Input {
    const { query, variables } = this.#any();
    const escaped = (text: string) => encodeURIComponent(text.toWellFormed()).slice(0, 6_000);
    const parts = [
      `query=${escaped(this.rarely(4) ? this.#edited(query) : query)}`,
      `variables=${escaped(JSON.stringify(this.rarely(4) ? this.#operations.any(2) : variables))}`,
      `operationName=${this.of(['Random', '', 'x', '%00'])}`,
      `extensions=${escaped(JSON.stringify(this.#operations.any(2)) ?? '')}`,
      this.of([
        'query=',
        'query=%',
        'query=%ff',
        'query=%7B__typename%7D',
        'a[b]=c',
        '__proto__=1',
        'variables={',
        '&&&',
        '=',
      ]),
    ];
    const chosen = parts.filter((_, at) => at === 0 || this.rarely(at === 1 ? 1 : 3)).join('&');
    const headers = this.of<Readonly<Record<string, string>>>([
      {},
      { 'apollo-require-preflight': '1' },
      { 'apollo-require-preflight': '1', ...this.#accept() },
      { 'x-apollo-operation-name': 'x', ...TRACED },
      JSON_TYPE,
      { 'content-type': this.of(['text/plain', 'x', '']) },
      query.startsWith('subscr') || chosen.includes('subscr')
        ? {}
        : { accept: EVENTS, 'apollo-require-preflight': '1' },
    ]);
    const target = this.rarely(20)
      ? this.of(['/graphql?', '/graphql?query', '/graphql/', '/graphql%00', '/GRAPHQL', '/graphql%'])
      : `/graphql?${chosen}`;
    return { method: 'GET', target, headers, body: null };
  }

  #ofStrangeMethod(): Input {
    const method = this.of(['PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'get', 'FOO']);
    const mayHaveBody = method !== 'HEAD' && method !== 'OPTIONS' && method !== 'TRACE';
    const headers = this.of<Readonly<Record<string, string>>>([
      JSON_TYPE,
      {},
      { origin: 'https://a.example', 'access-control-request-method': 'POST' },
    ]);
    const body = mayHaveBody && this.rarely(2) ? Buffer.from(JSON.stringify(this.#any())) : null;
    return { method, target: this.of(['/graphql', '/graphql?query={__typename}']), headers, body };
  }

  #coded(): Input {
    const text = this.rarely(5) ? ' '.repeat(this.of([BODY_BYTES + 1, 30_000_000])) : JSON.stringify(this.#any());
    const encodings: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
      gzip: (bytes) => gzipSync(bytes),
      'x-gzip': (bytes) => gzipSync(bytes),
      deflate: (bytes) => deflateSync(bytes),
      br: (bytes) => brotliCompressSync(bytes, { params: {} }),
    };
    const codings = Array.from({ length: this.below(3) }, () => this.of(Object.keys(encodings)));
    let body: Buffer = Buffer.from(text);
    for (const coding of codings) body = encodings[coding]?.(body) ?? body;
    const declared = this.rarely(3)
      ? this.of([
          'gzip',
          'deflate',
          'br',
          'zstd',
          'identity',
          'compress',
          '*',
          'gzip, gzip, gzip, gzip',
          '__proto__',
          'GZIP',
          ',',
        ])
      : codings.join(this.of([', ', ',']));
    // What is not coded is larger than it may be, and a refusal may meet a client that is still sending.
    if (body.length > BODY_BYTES) body = body.subarray(0, BODY_BYTES + 1);
    if (this.rarely(3)) body = body.subarray(0, this.below(body.length + 1));
    if (this.rarely(4)) body = this.#editedBytes(body);
    if (this.rarely(6)) body = Buffer.concat([body, this.of([Buffer.alloc(10), body, Buffer.from('x')])]);
    return this.#post(body.subarray(0, BODY_BYTES + 1), declared === '' ? {} : { 'content-encoding': declared });
  }

  #withStrangeHeaders(): Input {
    const value = () =>
      this.of(['', ' ', ',', '\xff\xfe', '"', '%00', 'x'.repeat(4_000), '__proto__', '-1', 'a\tb', 'null']);
    const name = this.of([
      ...['host', 'accept', 'x-request-id', 'traceparent', 'tracestate', 'baggage', 'authorization', 'x-router-secret'],
      ...['apollo-federation-include-trace', 'origin', 'cookie', 'x-forwarded-host', 'forwarded', 'accept-encoding'],
      ...['accept-language', 'x-http-method-override', 'content-language', 'range', 'if-none-match', 'x-forwarded-for'],
    ]);
    const hosts = [
      'a.example',
      '127.0.0.1',
      'localhost:99999',
      '[::1]',
      '127.1',
      'LOCALHOST.',
      '169.254.169.254',
      'x y',
    ];
    return this.#post(JSON.stringify(this.#any()), { [name]: name === 'host' ? this.of(hosts) : value() });
  }
}

const KINDS: ReadonlyArray<[string, (fuzz: Fuzz) => Input]> = [
  ['operations over the schema', (fuzz) => fuzz.valid()],
  ['mutations', (fuzz) => fuzz.mutation()],
  ['broken documents', (fuzz) => fuzz.broken()],
  ['envelopes', (fuzz) => fuzz.envelope()],
];

const KNOWN_QUERY = `query($ids: [ID!]!, $kept: [_Any!]!) {
  mediaChannels { id provider capabilities { listsMedia upload } }
  messagesWithMedia(ids: $ids) { id media(kinds: [IMAGE]) { id status kind mimeType sizeBytes providerMediaId } }
  _entities(representations: $kept) { __typename ... on Message { media { id status } } } }`;
/** Of messages that the random ones do not name. */
const KEPT = 90;
const IDS_QUERY = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id } } }';

describe.each(KINDS)(`random requests, TEST_SEED=${SEED}: %s`, (kind, make) => {
  let bed: TestBed;
  let agent: Agent;
  let unhandled: ReturnType<typeof watchUnhandled>;

  beforeAll(() => {
    agent = new Agent();
    unhandled = watchUnhandled();
  });
  afterAll(async () => {
    unhandled.stop();
    await agent.destroy();
  });
  beforeEach(async () => {
    bed = await beds.shared();
  });

  async function pools(): Promise<Pools> {
    const sample = [samples.photo, ...Object.values(samples)];
    const known = [1, 2, 3, 4].flatMap((index) =>
      (['kirim', 'signalwire', 'twilio'] as const).map((provider) =>
        receive(bed, provider, index, sample[(index * 3) % sample.length]),
      ),
    );
    const { data } = await bed.query(IDS_QUERY, { ids: known });
    const mediaIds = (data?.messagesWithMedia ?? []).flatMap((message) => (message?.media ?? []).map(({ id }) => id));
    if (mediaIds.length === 0) throw new Error('expected media of the messages');
    const messageIds = [...known, messageId('kirim', 50), messageId('twilio', 50), messageId('signalwire', 50)];
    return { messageIds, mediaIds, channelIds: [...Object.values(CHANNELS), 'nobody'], urls: REFUSED_URLS };
  }

  async function ask({ method, target, headers, body }: Input): Promise<Answer> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const options = { dispatcher: agent, headers, body, signal };
    // undici knows the names of the usual methods, and sends any other.
    const response = await request(bed.app.url + target, { ...options, method: method as Dispatcher.HttpMethod });
    return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
  }

  /** The answer of the server to a fixed query. */
  async function usualAnswers(): Promise<unknown> {
    const kept = ['kirim', 'signalwire', 'twilio'] as const;
    const ids = kept.map((provider) => messageId(provider, KEPT));
    const variables = { ids, kept: ids.map((id) => ({ __typename: 'Message', id })) };
    const { status, data, errors } = await bed.query(KNOWN_QUERY, variables);
    const health = await Promise.all(['/livez', '/readyz'].map((path) => bed.get(path)));
    return { status, data, errors, health: health.map((got) => [got.status, got.bytes.toString()]) };
  }

  /** The unexpected failures of all requests. */
  function errorsLogged(): string {
    return bed.logLines.filter((line) => /"level":"(?:error|fatal)"/.test(line.slice(0, 100))).join('');
  }

  it(
    'are answered or refused, and have no effect on other requests',
    async () => {
      receiveEverywhere(bed, KEPT);
      const fuzz = new Fuzz(kind, await pools());
      const usual = await usualAnswers();
      expect(usual).toMatchObject({
        status: 200,
        errors: [],
        health: [
          [200, expect.any(String)],
          [200, expect.any(String)],
        ],
      });
      const end = Date.now() + LONG_MS;
      let batch: string[] = [];
      for (let round = 1; IS_LONG ? Date.now() < end : round <= SHORT_ROUNDS; round += 1) {
        const input = make(fuzz);
        const name = `seed ${SEED}, round ${round}: ${printed(input)}`;
        batch.push(name);
        const answer = await ask(input).catch((cause: unknown) => {
          throw new Error(`no answer: ${name}`, { cause });
        });
        const fault = faultOf(input, answer);
        if (fault !== null)
          throw new Error(`${fault} in ${answer.status} ${answer.text.slice(0, 3_000)}\n${name}\n${errorsLogged()}`);
        // Perhaps later than the answer to what was its cause.
        const [thrown] = unhandled.seen;
        if (thrown !== undefined)
          throw new Error(`an unhandled error after one of these:\n${batch.join('\n')}`, { cause: thrown });
        if (round % BATCH > 0) continue;
        try {
          deepStrictEqual(await usualAnswers(), usual);
          deepStrictEqual(errorsLogged(), '');
        } catch (cause) {
          throw new Error(`not as before, after one of these:\n${batch.join('\n')}`, { cause });
        }
        batch = [];
      }
    },
    DEADLINE_MS,
  );
});
