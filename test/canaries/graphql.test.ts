/** See ARCHITECTURE.md, "Where we bend a dependency". */
import {
  buildSchema,
  type GraphQLResolveInfo,
  getNamedType,
  isObjectType,
  parse,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
} from 'graphql';
import { compileQuery, isCompiledQuery } from 'graphql-jit';

const schema = buildSchema('type Query { birds: [Bird] } type Bird { name: String }');

it('the resolvers of introspection answer at once, and read the schema of the info only', () => {
  const info = { schema } as GraphQLResolveInfo;
  expect(SchemaMetaFieldDef.resolve?.(undefined, {}, undefined, info)).toBe(schema);
  const bird: unknown = TypeMetaFieldDef.resolve?.(undefined, { name: 'Bird' }, undefined, info);
  expect(bird).toBe(schema.getType('Bird'));
  const type = getNamedType(TypeMetaFieldDef.type);
  if (!isObjectType(type)) throw new Error('expected __Type to be an object type');
  const fields: unknown = type.getFields().fields?.resolve?.(bird, { includeDeprecated: true }, undefined, info);
  expect(fields).toMatchObject([{ name: 'name' }]);
});

it('graphql-jit gives a resolver the same field nodes at each execution, and errors without extensions', async () => {
  const nodes: unknown[] = [];
  const birds = schema.getQueryType()?.getFields().birds;
  if (!birds) throw new Error('expected the field');
  birds.resolve = (_source, _args, _context, { fieldNodes }) => {
    nodes.push(fieldNodes);
    throw new Error('no birds');
  };
  const options = { disablingCapturingStackErrors: true };
  const compiled = compileQuery(schema, parse('{ birds { name } }'), undefined, options);
  if (!isCompiledQuery(compiled)) throw new Error('expected a compiled query');
  const { errors } = await compiled.query(undefined, undefined, {});
  await compiled.query(undefined, undefined, {});
  expect(nodes).toHaveLength(2);
  expect(nodes[0]).toBe(nodes[1]);
  expect(errors).toMatchObject([{ message: 'no birds', path: ['birds'] }]);
  expect(errors?.[0]?.extensions).toBeUndefined();
});
