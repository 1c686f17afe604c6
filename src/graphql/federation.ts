import {
  buildASTSchema,
  concatAST,
  type DocumentNode,
  type GraphQLSchema,
  Kind,
  type ObjectTypeDefinitionNode,
  type ObjectTypeExtensionNode,
  parse,
} from 'graphql';

/**
 * The schema of a subgraph's document, with what routers require of each subgraph: `Query._service` and
 * `Query._entities` (Federation subgraph specification). It has no resolvers. Federation's directives need no definition,
 * because only composition reads them, from the SDL.
 * @throws GraphQLError if the document is no schema
 */
export function subgraphSchema(document: DocumentNode): GraphQLSchema {
  const entities = entityNames(document);
  const required = parse(`
    scalar _Any
    type _Service { sdl: String }
    ${entities.length > 0 ? `union _Entity = ${entities.join(' | ')}` : ''}
    extend type Query {
      ${entities.length > 0 ? '_entities(representations: [_Any!]!): [_Entity]!' : ''}
      _service: _Service!
    }`);
  // Without the check of directives, which the document uses and does not define.
  return buildASTSchema(concatAST([document, required]), { assumeValidSDL: true });
}

/** The types that a router may ask for: those with a key, in the order of their names. */
function entityNames({ definitions }: DocumentNode): string[] {
  const names = definitions.filter(isObjectType).filter(hasKey);
  return [...new Set(names.map(({ name }) => name.value))].sort();
}

function isObjectType(
  node: DocumentNode['definitions'][number],
): node is ObjectTypeDefinitionNode | ObjectTypeExtensionNode {
  return node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.OBJECT_TYPE_EXTENSION;
}

function hasKey({ directives = [] }: ObjectTypeDefinitionNode | ObjectTypeExtensionNode): boolean {
  return directives.some(({ name }) => name.value === 'key');
}
