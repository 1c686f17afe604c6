/** See ARCHITECTURE.md, "Where we bend a dependency". */
import 'reflect-metadata';
import {
  Arg,
  buildSchemaSync,
  Ctx,
  Field,
  FieldResolver,
  getMetadataStorage,
  Info,
  ObjectType,
  Query,
  Resolver,
  Root,
} from 'type-graphql';

@ObjectType('Canary')
class Bird {
  @Field(() => String)
  name!: string;
}

@Resolver(() => Bird)
class BirdResolver {
  @Query(() => Bird, { name: 'bird' })
  find(@Arg('id', () => String) id: string, @Ctx() _context: unknown, @Info() _info: unknown): Bird {
    return { name: id };
  }

  @FieldResolver(() => String, { name: 'song' })
  sing(@Root() { name }: Bird): string {
    return name;
  }
}

it('the metadata of type-graphql tell the method and the parameters of each field', () => {
  // Parameters are added to their methods when a schema is built.
  buildSchemaSync({ resolvers: [BirdResolver], skipCheck: true, validate: false });
  const { queries, fieldResolvers, objectTypes } = getMetadataStorage();
  const query = queries.find(({ target }) => target === BirdResolver);
  expect(query).toMatchObject({ methodName: 'find', schemaName: 'bird' });
  const params = [...(query?.params ?? [])].sort((a, b) => a.index - b.index);
  expect(params).toMatchObject([{ kind: 'arg', name: 'id', index: 0 }, { kind: 'context' }, { kind: 'info' }]);
  const field = fieldResolvers.find(({ target }) => target === BirdResolver);
  expect(field).toMatchObject({ methodName: 'sing', schemaName: 'song', params: [{ kind: 'root', index: 0 }] });
  const owner = objectTypes.find(({ target }) => target === field?.getObjectType?.());
  expect(owner).toMatchObject({ name: 'Canary', target: Bird });
});
