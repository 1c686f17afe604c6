/** The subgraph's schema beside the one that Apollo's library builds from the same SDL. */
import { buildSubgraphSchema } from '@apollo/subgraph';
import { type GraphQLSchema, lexicographicSortSchema, parse, printSchema, printType } from 'graphql';
import { createSubgraphSchema, printSubgraphSdl, type SubgraphForm } from '../../../src/graphql/build-schema.js';
import { subgraphSchema } from '../../../src/graphql/federation.js';

/** Without what only composition reads: Federation's own directives and the types of their arguments. */
const OF_COMPOSITION = /^(link__|federation__)/;

function typesOf(schema: GraphQLSchema): Record<string, string> {
  const types = Object.values(lexicographicSortSchema(schema).getTypeMap());
  return Object.fromEntries(
    types.flatMap((type) =>
      OF_COMPOSITION.test(type.name) || type.name.startsWith('__') ? [] : [[type.name, printType(type)]],
    ),
  );
}

const FORMS: readonly SubgraphForm[] = [{}, { authDirectives: true }, { messageIds: 'bare' }, { messageIds: 'owned' }];

describe.each(FORMS)('the schema of %j', (form) => {
  it("has the types of Apollo's library", () => {
    expect(typesOf(createSubgraphSchema(form))).toEqual(typesOf(buildSubgraphSchema(parse(printSubgraphSdl(form)))));
  });

  it('answers _service with the SDL of `mediagraph schema`', () => {
    const { resolve } = createSubgraphSchema(form).getQueryType()?.getFields()._service ?? {};
    const service: unknown = Reflect.apply(resolve ?? (() => null), undefined, [{}, {}, {}, {}]);
    expect(service).toEqual({ sdl: printSubgraphSdl(form).trimEnd() });
  });
});

describe('entities', () => {
  const HEAD =
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key"]) type Query { one: Int }';

  it.each([
    ['of several keys, once', 'type Bird @key(fields: "id") @key(fields: "ring") { id: ID ring: ID }', 'Bird'],
    ['that this subgraph only names', 'type Bird @key(fields: "id", resolvable: false) { id: ID }', 'Bird'],
    ['of an extension', 'type Bird { id: ID } extend type Bird @key(fields: "id")', 'Bird'],
    [
      'in the order of their names',
      'type B @key(fields: "id") { id: ID } type A @key(fields: "id") { id: ID }',
      'A | B',
    ],
    ['absent', 'type Bird { id: ID }', null],
  ])('%s', (_which, types, expected) => {
    const schema = subgraphSchema(parse(`${HEAD} ${types}`));
    expect(typesOf(schema)).toEqual(typesOf(buildSubgraphSchema(parse(`${HEAD} ${types}`))));
    expect(printSchema(schema).includes('union _Entity')).toBe(expected !== null);
    if (expected !== null) expect(printSchema(schema)).toContain(`union _Entity = ${expected}`);
  });
});
