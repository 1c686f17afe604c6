import {
  type ConstDirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  Kind,
  parseConstValue,
  type TypeNode,
  visit,
} from 'graphql';
import { MAX_IDS } from '../resolvers/message.resolver.js';

/** Federation's directives of demand control, from version 2.9 on. */
export const COST_DIRECTIVES = ['@cost', '@listSize'];

/**
 * The items that a router assumes for each list, because an argument that limits a list is a list of ids, and
 * `slicingArguments` must be numbers. A message with more media than this is rare.
 */
const ASSUMED_SIZES: Readonly<Record<string, number>> = {
  'Query.mediaChannels': 20,
  'Query.messagesWithMedia': MAX_IDS,
  'Message.media': 10,
  'MediaChannelCapabilities.uploadMimeTypes': 25,
};

/**
 * Adds the costs by which routers estimate an operation. They count fields, as `limits.maxNodes` does: routers count one
 * for each object and nothing for scalars and enums, so each field of such a type gets the weight 1.
 * @throws Error for a list without an assumed size
 */
export function withCostDirectives(document: DocumentNode): DocumentNode {
  const leaves = leavesOf(document);
  return visit(document, {
    ObjectTypeDefinition: (node) => ({
      ...node,
      fields: node.fields?.map((field) => withCosts(`${node.name.value}.${field.name.value}`, field, leaves)),
    }),
  });
}

function withCosts(name: string, field: FieldDefinitionNode, leaves: ReadonlySet<string>): FieldDefinitionNode {
  const added: ConstDirectiveNode[] = [];
  if (leaves.has(namedType(field.type))) added.push(directive('cost', 'weight', 1));
  if (isList(field.type)) {
    const size = ASSUMED_SIZES[name];
    if (size === undefined) throw new Error(`expected an assumed size of the list ${name}`);
    added.push(directive('listSize', 'assumedSize', size));
  }
  return { ...field, directives: [...(field.directives ?? []), ...added] };
}

/** The names of scalars and enums. */
function leavesOf({ definitions }: DocumentNode): ReadonlySet<string> {
  const names = new Set(['ID', 'String', 'Int', 'Float', 'Boolean']);
  for (const definition of definitions)
    if (definition.kind === Kind.SCALAR_TYPE_DEFINITION || definition.kind === Kind.ENUM_TYPE_DEFINITION)
      names.add(definition.name.value);
  return names;
}

function namedType(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedType(type.type);
}

function isList(type: TypeNode): boolean {
  return type.kind === Kind.LIST_TYPE || (type.kind === Kind.NON_NULL_TYPE && isList(type.type));
}

function directive(name: string, argument: string, value: number): ConstDirectiveNode {
  return {
    kind: Kind.DIRECTIVE,
    name: { kind: Kind.NAME, value: name },
    arguments: [
      { kind: Kind.ARGUMENT, name: { kind: Kind.NAME, value: argument }, value: parseConstValue(String(value)) },
    ],
  };
}
