import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
} from 'graphql';

type Variables = Readonly<Record<string, unknown>>;
type Fragments = GraphQLResolveInfo['fragments'];

/** Where selections are looked up. */
interface Selecting {
  readonly schema: GraphQLSchema;
  readonly fragments: Fragments;
  readonly variables: Variables;
  /** Set where a variable decides what is selected. */
  isConditional: boolean;
}

/** How many fields an object of this name holds, all that is in it but for what lists hold. */
export type FieldsOfItem = (typeName: string) => number;

const known = new WeakMap<readonly FieldNode[], FieldsOfItem>();
const knownByVariables = new WeakMap<readonly FieldNode[], WeakMap<Variables, FieldsOfItem>>();

/**
 * What each item of a list field holds. Read off the document once, and anew only where `@skip` or `@include` follow
 * variables.
 */
export function fieldsOfItems(info: GraphQLResolveInfo): FieldsOfItem {
  const { fieldNodes, variableValues } = info;
  const found = known.get(fieldNodes) ?? knownByVariables.get(fieldNodes)?.get(variableValues);
  if (found) return found;
  const selecting: Selecting = {
    schema: info.schema,
    fragments: info.fragments,
    variables: variableValues,
    isConditional: false,
  };
  const costs = costsOfItems(info, selecting);
  const most = Math.max(1, ...costs.values());
  const fields: FieldsOfItem = (typeName) => costs.get(typeName) ?? most;
  if (selecting.isConditional) {
    const byVariables = knownByVariables.get(fieldNodes) ?? new WeakMap<Variables, FieldsOfItem>();
    byVariables.set(variableValues, fields);
    knownByVariables.set(fieldNodes, byVariables);
  } else known.set(fieldNodes, fields);
  return fields;
}

function costsOfItems(
  { returnType, schema, fieldNodes }: GraphQLResolveInfo,
  selecting: Selecting,
): Map<string, number> {
  const type = getNamedType(returnType);
  if (isLeafType(type)) return new Map([[type.name, 1]]);
  const types = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
  return new Map(types.map((one) => [one.name, isObjectType(one) ? fieldsOf(one, fieldNodes, selecting) : 1]));
}

// Of one object: fields with the same name in the answer are one.
function fieldsOf(type: GraphQLObjectType, nodes: readonly FieldNode[], selecting: Selecting): number {
  const selected = new Map<string, FieldNode[]>();
  for (const { selectionSet } of nodes) if (selectionSet) collect(type, selectionSet, selecting, selected);
  return fieldsSelected(type, selected, selecting);
}

function fieldsSelected(type: GraphQLObjectType, selected: Map<string, FieldNode[]>, selecting: Selecting): number {
  let fields = 0;
  for (const same of selected.values()) {
    const definition = type.getFields()[same[0]?.name.value ?? ''];
    fields += 1 + (definition ? fieldsWithin(definition.type, same, selecting) : 0);
  }
  return fields;
}

function fieldsWithin(fieldType: GraphQLOutputType, nodes: readonly FieldNode[], selecting: Selecting): number {
  const type = isNonNullType(fieldType) ? fieldType.ofType : fieldType;
  if (isListType(type) || isLeafType(type)) return 0;
  if (isObjectType(type)) return fieldsOf(type, nodes, selecting);
  if (!isAbstractType(type)) return 0;
  return Math.max(...selecting.schema.getPossibleTypes(type).map((one) => fieldsOf(one, nodes, selecting)));
}

function collect(
  type: GraphQLObjectType,
  { selections }: SelectionSetNode,
  selecting: Selecting,
  selected: Map<string, FieldNode[]>,
): void {
  for (const selection of selections) {
    if (!isIncluded(selection, selecting)) continue;
    if (selection.kind === Kind.FIELD) {
      const name = selection.alias?.value ?? selection.name.value;
      const same = selected.get(name);
      if (same) same.push(selection);
      else selected.set(name, [selection]);
      continue;
    }
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : selecting.fragments[selection.name.value];
    if (fragment && applies(fragment.typeCondition?.name.value, type, selecting.schema))
      collect(type, fragment.selectionSet, selecting, selected);
  }
}

function applies(condition: string | undefined, type: GraphQLObjectType, schema: GraphQLSchema): boolean {
  if (condition === undefined || condition === type.name) return true;
  const conditional = schema.getType(condition);
  return isAbstractType(conditional) && schema.isSubType(conditional, type);
}

// GraphQL specification, sections 3.13.1 "@skip" and 3.13.2 "@include". What is not known is taken for included.
function isIncluded({ directives = [] }: SelectionSetNode['selections'][number], selecting: Selecting): boolean {
  for (const { name, arguments: given = [] } of directives) {
    const value = given.find((argument) => argument.name.value === 'if')?.value;
    if (value === undefined || (name.value !== 'skip' && name.value !== 'include')) continue;
    if (value.kind === Kind.VARIABLE) selecting.isConditional = true;
    const truth =
      value.kind === Kind.VARIABLE
        ? selecting.variables[value.name.value]
        : value.kind === Kind.BOOLEAN
          ? value.value
          : undefined;
    if (truth === (name.value === 'skip')) return false;
  }
  return true;
}

export interface CountedOperation {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly variables: Variables;
}

/**
 * What an operation answers with before any list is known: its fields outside of lists, and all that it asks of the schema
 * itself, whose lists are known. Counting stops beyond `most`.
 */
export function fieldsOfOperation({ schema, document, operation, variables }: CountedOperation, most: number): number {
  const type = schema.getRootType(operation.operation);
  if (!type) return 0;
  const fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition;
  const selecting: Selecting = { schema, fragments, variables, isConditional: false };
  const selected = new Map<string, FieldNode[]>();
  collect(type, operation.selectionSet, selecting, selected);
  let fields = fieldsSelected(type, selected, selecting);
  for (const nodes of selected.values()) {
    const definition = INTROSPECTION.get(nodes[0]?.name.value ?? '');
    if (definition && fields <= most)
      fields += new IntrospectionMeter({ selecting, operation, parentType: type }, most - fields).ofRoot(
        definition,
        nodes,
      );
  }
  return fields;
}

const INTROSPECTION = new Map([SchemaMetaFieldDef, TypeMetaFieldDef].map((field) => [field.name, field]));

type AnyField = GraphQLField<unknown, unknown>;

interface Introspecting {
  readonly selecting: Selecting;
  readonly operation: OperationDefinitionNode;
  readonly parentType: GraphQLObjectType;
}

/** Goes the way of the execution, since each type leads to others and those back: only counting tells how far. */
class IntrospectionMeter {
  #left: number;

  constructor(
    private readonly within: Introspecting,
    private readonly most: number,
  ) {
    this.#left = most;
  }

  /** Fields of `__schema` or `__type`; one more than `most` where there are more. */
  ofRoot(field: AnyField, nodes: readonly FieldNode[]): number {
    const { selecting } = this.within;
    const given = nodes[0]?.arguments?.find(({ name }) => name.value === 'name')?.value;
    const name =
      given?.kind === Kind.VARIABLE ? selecting.variables[given.name.value] : given && 'value' in given && given.value;
    this.#values(field, nodes, undefined, { name: String(name) });
    return this.most - this.#left;
  }

  #object(type: GraphQLObjectType, nodes: readonly FieldNode[], source: unknown): void {
    const selected = new Map<string, FieldNode[]>();
    for (const { selectionSet } of nodes)
      if (selectionSet) collect(type, selectionSet, this.within.selecting, selected);
    for (const same of selected.values()) {
      this.#left -= 1;
      const field = type.getFields()[same[0]?.name.value ?? ''];
      if (this.#left < 0) return;
      if (field && isObjectType(getNamedType(field.type)))
        this.#values(field, same, source, { includeDeprecated: true });
    }
  }

  #values(field: AnyField, nodes: readonly FieldNode[], source: unknown, args: Record<string, unknown>): void {
    const type = getNamedType(field.type);
    const value: unknown = field.resolve?.(source, args, undefined, this.#info(field, nodes));
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const one of values) {
      if (this.#left < 0 || !isObjectType(type)) return;
      if (one !== null && one !== undefined) this.#object(type, nodes, one);
    }
  }

  #info(field: AnyField, fieldNodes: readonly FieldNode[]): GraphQLResolveInfo {
    const { selecting, operation, parentType } = this.within;
    return {
      fieldName: field.name,
      fieldNodes,
      returnType: field.type,
      parentType,
      path: { prev: undefined, key: field.name, typename: undefined },
      schema: selecting.schema,
      fragments: selecting.fragments,
      rootValue: undefined,
      operation,
      variableValues: selecting.variables,
      ...OF_LATER_VERSIONS,
    };
  }
}

/** What graphql-js 17 adds; some gateways declare it for version 16, too. */
const OF_LATER_VERSIONS = { getAbortSignal: () => undefined, getAsyncHelpers: notHere };

function notHere(): never {
  throw new Error('expected introspection to be answered at once');
}
