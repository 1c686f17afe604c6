/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { buildSubgraphSchema } from '@apollo/subgraph';
import { MapperKind, mapSchema } from '@graphql-tools/utils';
import { graphql, parse } from 'graphql';

const typeDefs = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key"])
  type Query { one: Bird }
  type Bird @key(fields: "id") { id: ID! }`);

it('the resolver of _entities can be replaced, and its results are of the type that __typename says', async () => {
  const asked: unknown[] = [];
  const schema = mapSchema(buildSubgraphSchema({ typeDefs }), {
    [MapperKind.OBJECT_FIELD]: (field, name) => {
      if (name !== '_entities') return field;
      return {
        ...field,
        resolve: (_source, args) => {
          asked.push(args);
          return [{ __typename: 'Bird', id: 'ours' }, new Error('alone'), null];
        },
      };
    },
  });
  const source = 'query($all: [_Any!]!) { _entities(representations: $all) { __typename ... on Bird { id } } }';
  const representations = [{ __typename: 'Nothing' }, { __typename: 'Bird', id: 'theirs' }, {}];
  const { data, errors } = await graphql({ schema, source, variableValues: { all: representations } });
  expect(asked).toEqual([{ representations }]);
  expect(data?._entities).toEqual([{ __typename: 'Bird', id: 'ours' }, null, null]);
  expect(errors?.map(({ message, path }) => [message, path])).toEqual([['alone', ['_entities', 1]]]);
});
