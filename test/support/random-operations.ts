import {
  type GraphQLArgument,
  type GraphQLCompositeType,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isUnionType,
} from 'graphql';
import type { Chance } from './chance.js';

/** What random arguments are made of, besides what the schema says of them. */
export interface Pools {
  readonly messageIds: readonly string[];
  readonly mediaIds: readonly string[];
  readonly channelIds: readonly string[];
  /** URLs that are all refused before any request. */
  readonly urls: readonly string[];
}

export interface RandomOperation {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** The name of an enum's value, which a document writes without quotes. */
class EnumName {
  constructor(readonly name: string) {}

  toJSON(): string {
    return this.name;
  }
}

const MAX_DEPTH = 5;

/** Texts that a parser might misinterpret. */
const WEIRD_TEXTS: readonly string[] = [
  ...['', ' ', '.', '..', '../..', '%2e%2e', '/', '\\', ':', 'sms:', ':x', 'sms:..', 'wa:.', 'sms:a/../b', 'nobody:x'],
  ...[
    '\0',
    'sms:a\0b',
    'wa:\n',
    'mms:\r\nHost: a',
    '\x7f',
    '\u2028',
    '\ufeff',
    '\ud800',
    'sms:\udc00x',
    'é🙂',
    '😀:😀',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'null',
    'undefined',
    'NaN',
    '0',
    '-1',
    '{}',
    '[]',
    '"',
    '"""',
    '$x',
    '$$',
  ],
  ...[
    'a'.repeat(512),
    'a'.repeat(513),
    `sms:${'a'.repeat(241)}`,
    'é'.repeat(2_049),
    '\\u0000'.repeat(400),
    'x'.repeat(9_000),
  ],
];
const NUMBERS: readonly number[] = [
  ...[0, -0, 1, -1, 1.5, 59, 60, 64, 320, 2_048, 2_049, 604_800, 604_801, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53],
  ...[1e308, 5e-324, -1e100],
];
const TYPE_NAMES = [
  'Message',
  'Media',
  'MediaChannel',
  'MediaFailure',
  'Query',
  '_Entity',
  '__proto__',
  'constructor',
  '',
];

/** Operations over a schema: most of them are valid, all of them would parse. */
export class RandomOperations {
  #fragments: string[] = [];
  #variables = new Map<string, { readonly type: string; readonly value: unknown }>();
  #names = 0;

  constructor(
    private readonly schema: GraphQLSchema,
    private readonly chance: Chance,
    private readonly pools: Pools,
  ) {}

  query(): RandomOperation {
    return this.#operation('query');
  }

  mutation(): RandomOperation {
    return this.#operation('mutation');
  }

  subscription(): RandomOperation {
    return this.#operation('subscription');
  }

  of<Item>(items: readonly Item[]): Item {
    const item = items[this.chance.below(items.length)];
    if (item === undefined) throw new Error('expected something to choose from');
    return item;
  }

  /** Once in so many times. */
  rarely(times: number): boolean {
    return this.chance.below(times) === 0;
  }

  text(): string {
    if (this.rarely(2)) return this.of(WEIRD_TEXTS);
    return this.of([...this.pools.messageIds, ...this.pools.mediaIds, ...this.pools.channelIds]);
  }

  /** Any JSON value. */
  any(depth: number): unknown {
    switch (this.chance.below(depth > 0 ? 7 : 5)) {
      case 0:
        return null;
      case 1:
        return this.rarely(2);
      case 2:
        return this.of(NUMBERS);
      case 5:
        return Array.from({ length: this.chance.below(4) }, () => this.any(depth - 1));
      case 6:
        return Object.fromEntries(
          Array.from({ length: this.chance.below(4) }, () => [
            this.of(['id', 'a', 'input', '__typename', '__proto__', 'constructor', 'toJSON', 'length', '']),
            this.any(depth - 1),
          ]),
        );
      default:
        return this.text();
    }
  }

  #operation(kind: 'query' | 'mutation' | 'subscription'): RandomOperation {
    this.#fragments = [];
    this.#variables = new Map();
    this.#names = 0;
    const type = {
      query: this.schema.getQueryType(),
      mutation: this.schema.getMutationType(),
      subscription: this.schema.getSubscriptionType(),
    }[kind];
    if (!type) throw new Error(`expected the schema to have a ${kind}`);
    const selections = this.#selections(type, MAX_DEPTH);
    const declared = [...this.#variables].map(([name, { type: ofName }]) => `$${name}: ${ofName}`).join(', ');
    const parameters = declared === '' ? '' : `(${declared})`;
    const query = [`${kind} Random${parameters} ${selections}`, ...this.#fragments].join('\n');
    const variables = Object.fromEntries([...this.#variables].map(([name, { value }]) => [name, value]));
    // One that is left out is null, or missing where it may not be.
    for (const name of Object.keys(variables)) if (this.rarely(80)) delete variables[name];
    return { query, variables };
  }

  #selections(type: GraphQLCompositeType, depth: number): string {
    const count = 1 + this.chance.below(4);
    return `{ ${Array.from({ length: count }, () => this.#selection(type, depth)).join(' ')} }`;
  }

  #selection(type: GraphQLCompositeType, depth: number): string {
    if (isUnionType(type) || this.rarely(6)) return this.#fragment(type, depth);
    const fields = Object.values(type.getFields());
    const field = this.of(fields);
    const inner = getNamedType(field.type);
    if (this.rarely(15) || (isCompositeType(inner) && depth <= 1)) return this.#typename();
    const given = field.args.filter((arg) => isNonNullType(arg.type) || this.rarely(2));
    // Where arguments differ, so must the names of the answers.
    const alias = given.length > 0 || this.rarely(4) ? `${this.#name('f')}: ` : '';
    const args = given.map((arg) => `${arg.name}: ${this.#argument(arg)}`).join(', ');
    const selections = isCompositeType(inner) ? ` ${this.#selections(inner, depth - 1)}` : '';
    return `${alias}${field.name}${args === '' ? '' : `(${args})`}${this.#directive()}${selections}`;
  }

  #typename(): string {
    return `${this.rarely(3) ? `${this.#name('t')}: ` : ''}__typename${this.#directive()}`;
  }

  #fragment(type: GraphQLCompositeType, depth: number): string {
    if (depth <= 0) return '__typename';
    const on = isAbstractType(type) ? this.of(this.schema.getPossibleTypes(type)) : type;
    const selections = this.#selections(on, depth - 1);
    if (this.rarely(3)) {
      const name = this.#name('F');
      this.#fragments.push(`fragment ${name} on ${on.name} ${selections}`);
      return `...${name}${this.#directive()}${this.rarely(4) ? ` ...${name}` : ''}`;
    }
    const condition = on !== type || this.rarely(2) ? ` on ${on.name}` : '';
    return `...${condition}${this.#directive()} ${selections}`;
  }

  #directive(): string {
    if (!this.rarely(8)) return '';
    const condition = this.rarely(2) ? `${this.rarely(2)}` : this.#variable('Boolean!', this.rarely(2));
    return ` @${this.of(['skip', 'include'])}(if: ${condition})`;
  }

  #argument({ name, type }: GraphQLArgument): string {
    const value = this.#valueOf(type, name);
    if (this.rarely(2)) return literal(value);
    return this.#variable(this.rarely(150) ? this.of(['Int', '[ID]', 'Boolean!', 'MediaKind']) : String(type), value);
  }

  #variable(type: string, value: unknown): string {
    const name = this.#name('v');
    this.#variables.set(name, { type, value: this.rarely(80) ? this.any(3) : value });
    return `$${name}`;
  }

  #valueOf(type: GraphQLInputType, name: string): unknown {
    if (this.rarely(150)) return this.any(2);
    if (isNonNullType(type)) return this.#valueThere(type.ofType, name);
    return this.rarely(20) ? null : this.#valueThere(type, name);
  }

  #valueThere(type: GraphQLInputType, name: string): unknown {
    if (isListType(type)) return this.#list(type.ofType, name);
    if (isEnumType(type))
      return new EnumName(this.rarely(60) ? 'NOTHING' : this.of(type.getValues().map((value) => value.name)));
    if (isInputObjectType(type))
      return Object.fromEntries(
        Object.values(type.getFields())
          .filter((field) => isNonNullType(field.type) || this.rarely(2))
          .map((field) => [field.name, this.#valueOf(field.type, field.name)]),
      );
    switch (type.name) {
      case 'ID':
        return this.#id(name);
      case 'Boolean':
        return this.rarely(2);
      case 'URL':
        return this.of(this.pools.urls);
      case '_Any':
        return this.#representation();
      case 'Int':
        return this.#number();
      default:
        return this.text();
    }
  }

  #number(): number {
    return this.rarely(8)
      ? this.of(NUMBERS)
      : this.of([0, 1, -1, 59, 60, 64, 320, 2_048, 2_049, 3_600, 604_800, 604_801]);
  }

  #list(ofType: GraphQLInputType, name: string): unknown[] {
    const length = this.rarely(20) ? this.of([0, 99, 100, 101, 300]) : this.chance.below(5);
    if (this.rarely(6)) return Array.from({ length }).fill(this.#valueOf(ofType, name));
    return Array.from({ length }, () => this.#valueOf(ofType, name));
  }

  #id(name: string): unknown {
    if (this.rarely(6)) return this.rarely(12) ? this.of(NUMBERS) : this.text();
    const { messageIds, mediaIds, channelIds } = this.pools;
    if (name === 'channelId') return this.of(channelIds);
    if (name === 'id') return this.of(mediaIds);
    return this.of(messageIds);
  }

  #representation(): unknown {
    if (this.rarely(6)) return this.any(4);
    const { messageIds, mediaIds, channelIds } = this.pools;
    const id = this.of(messageIds);
    const [channelId, providerMessageId] = id.split(':');
    const right = this.of([
      { __typename: 'Message', id },
      { __typename: 'Message', channelId, providerMessageId },
      { __typename: 'Media', id: this.of(mediaIds) },
      { __typename: 'MediaChannel', id: this.of(channelIds) },
    ]);
    if (!this.rarely(3)) return right;
    const wrong = this.of<[string, unknown]>([
      ['__typename', this.of(TYPE_NAMES)],
      ['__typename', this.any(1)],
      ['id', this.any(2)],
      ['id', this.text()],
      ['channelId', this.any(1)],
      ['providerMessageId', this.text()],
      ['__proto__', this.any(2)],
      ['constructor', this.any(2)],
      [this.text().slice(0, 300), this.any(2)],
    ]);
    return Object.fromEntries([...Object.entries(right), wrong]);
  }

  #name(start: string): string {
    this.#names += 1;
    return `${start}${this.#names}`;
  }
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,99}$/;

/** As a document writes it; what no name can stand for is left out. */
function literal(value: unknown): string {
  if (value instanceof EnumName) return value.name;
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([name]) => NAME.test(name));
    return `{ ${fields.map(([name, held]) => `${name}: ${literal(held)}`).join(', ')} }`;
  }
  return JSON.stringify(value ?? null);
}
