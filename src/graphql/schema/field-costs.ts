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

/** What is needed to find the fields of a selection. */
interface SelectionScope {
  readonly schema: GraphQLSchema;
  readonly fragments: Fragments;
  readonly variables: Variables;
  /** Becomes true when a variable decides whether a field is selected. */
  isConditional: boolean;
}

/** The number of fields of one object of this type, with those of nested objects, without those of items of lists. */
export type FieldsOfItem = (typeName: string) => number;

/** Costs by field nodes, which graphql-js keeps with the document, and where variables matter by them as well. */
const known = new WeakMap<readonly FieldNode[], FieldsOfItem>();
const knownByVariables = new WeakMap<readonly FieldNode[], WeakMap<Variables, FieldsOfItem>>();

/**
 * The number of fields of an item of a list field. It is counted once per document, or once per set of variables where
 * `@skip` or `@include` depend on them.
 */
export function fieldsOfItems(info: GraphQLResolveInfo): FieldsOfItem {
  const { fieldNodes, variableValues } = info;
  const counted = known.get(fieldNodes) ?? knownByVariables.get(fieldNodes)?.get(variableValues);
  if (counted) return counted;
  const scope: SelectionScope = {
    schema: info.schema,
    fragments: info.fragments,
    variables: variableValues,
    isConditional: false,
  };
  const costs = costsOfItems(info, scope);
  const most = Math.max(1, ...costs.values());
  const fields: FieldsOfItem = (typeName) => costs.get(typeName) ?? most;
  if (scope.isConditional) {
    const byVariables = knownByVariables.get(fieldNodes) ?? new WeakMap<Variables, FieldsOfItem>();
    byVariables.set(variableValues, fields);
    knownByVariables.set(fieldNodes, byVariables);
  } else known.set(fieldNodes, fields);
  return fields;
}

function costsOfItems(
  { returnType, schema, fieldNodes }: GraphQLResolveInfo,
  scope: SelectionScope,
): Map<string, number> {
  const type = getNamedType(returnType);
  if (isLeafType(type)) return new Map([[type.name, 1]]);
  const types = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
  return new Map(
    types.map((candidate) => [candidate.name, isObjectType(candidate) ? fieldsOf(candidate, fieldNodes, scope) : 1]),
  );
}

/** The fields of one object. Fields with the same response name are merged, and count once. */
function fieldsOf(type: GraphQLObjectType, nodes: readonly FieldNode[], scope: SelectionScope): number {
  const selected = new Map<string, FieldNode[]>();
  for (const { selectionSet } of nodes) if (selectionSet) collect(type, selectionSet, scope, selected);
  return fieldsSelected(type, selected, scope);
}

function fieldsSelected(type: GraphQLObjectType, selected: Map<string, FieldNode[]>, scope: SelectionScope): number {
  let fields = 0;
  for (const same of selected.values()) {
    const definition = type.getFields()[same[0]?.name.value ?? ''];
    fields += 1 + (definition ? fieldsWithin(definition.type, same, scope) : 0);
  }
  return fields;
}

function fieldsWithin(fieldType: GraphQLOutputType, nodes: readonly FieldNode[], scope: SelectionScope): number {
  const type = isNonNullType(fieldType) ? fieldType.ofType : fieldType;
  if (isListType(type) || isLeafType(type)) return 0;
  if (isObjectType(type)) return fieldsOf(type, nodes, scope);
  if (!isAbstractType(type)) return 0;
  return Math.max(...scope.schema.getPossibleTypes(type).map((candidate) => fieldsOf(candidate, nodes, scope)));
}

function collect(
  type: GraphQLObjectType,
  { selections }: SelectionSetNode,
  scope: SelectionScope,
  selected: Map<string, FieldNode[]>,
): void {
  for (const selection of selections) {
    if (!isIncluded(selection, scope)) continue;
    if (selection.kind === Kind.FIELD) {
      const name = selection.alias?.value ?? selection.name.value;
      const same = selected.get(name);
      if (same) same.push(selection);
      else selected.set(name, [selection]);
      continue;
    }
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : scope.fragments[selection.name.value];
    if (fragment && applies(fragment.typeCondition?.name.value, type, scope.schema))
      collect(type, fragment.selectionSet, scope, selected);
  }
}

function applies(condition: string | undefined, type: GraphQLObjectType, schema: GraphQLSchema): boolean {
  if (condition === undefined || condition === type.name) return true;
  const conditional = schema.getType(condition);
  return isAbstractType(conditional) && schema.isSubType(conditional, type);
}

/** GraphQL specification, sections 3.13.1 "@skip" and 3.13.2 "@include". An unknown condition counts as included. */
function isIncluded({ directives = [] }: SelectionSetNode['selections'][number], scope: SelectionScope): boolean {
  for (const { name, arguments: args = [] } of directives) {
    const value = args.find((argument) => argument.name.value === 'if')?.value;
    if (value === undefined || (name.value !== 'skip' && name.value !== 'include')) continue;
    if (value.kind === Kind.VARIABLE) scope.isConditional = true;
    const truth =
      value.kind === Kind.VARIABLE
        ? scope.variables[value.name.value]
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
 * The number of fields in an operation's answer that is known before execution: fields outside of lists, and fields of
 * introspection, whose lists are known. Counting stops beyond `most`.
 */
export function fieldsOfOperation({ schema, document, operation, variables }: CountedOperation, most: number): number {
  const type = schema.getRootType(operation.operation);
  if (!type) return 0;
  const fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition;
  const scope: SelectionScope = { schema, fragments, variables, isConditional: false };
  const selected = new Map<string, FieldNode[]>();
  collect(type, operation.selectionSet, scope, selected);
  let fields = fieldsSelected(type, selected, scope);
  for (const nodes of selected.values()) {
    const definition = INTROSPECTION.get(nodes[0]?.name.value ?? '');
    if (definition && fields <= most)
      fields += new IntrospectionMeter({ scope, operation, parentType: type }, most - fields).ofRoot(definition, nodes);
  }
  return fields;
}

const INTROSPECTION = new Map([SchemaMetaFieldDef, TypeMetaFieldDef].map((field) => [field.name, field]));

type AnyField = GraphQLField<unknown, unknown>;

interface Introspecting {
  readonly scope: SelectionScope;
  readonly operation: OperationDefinitionNode;
  readonly parentType: GraphQLObjectType;
}

/** Counts by executing: types refer to each other in circles, so the selection alone does not tell the size of the answer. */
class IntrospectionMeter {
  #left: number;

  constructor(
    private readonly within: Introspecting,
    private readonly most: number,
  ) {
    this.#left = most;
  }

  /** The fields below `__schema` or `__type`, or more than `most` where counting stopped. */
  ofRoot(field: AnyField, nodes: readonly FieldNode[]): number {
    const { scope } = this.within;
    const argument = nodes[0]?.arguments?.find(({ name }) => name.value === 'name')?.value;
    const name =
      argument?.kind === Kind.VARIABLE
        ? scope.variables[argument.name.value]
        : argument && 'value' in argument && argument.value;
    this.#values(field, nodes, undefined, { name: String(name) });
    return this.most - this.#left;
  }

  #object(type: GraphQLObjectType, nodes: readonly FieldNode[], source: unknown): void {
    const selected = new Map<string, FieldNode[]>();
    for (const { selectionSet } of nodes) if (selectionSet) collect(type, selectionSet, this.within.scope, selected);
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
    for (const item of values) {
      if (this.#left < 0 || !isObjectType(type)) return;
      if (item !== null && item !== undefined) this.#object(type, nodes, item);
    }
  }

  #info(field: AnyField, fieldNodes: readonly FieldNode[]): GraphQLResolveInfo {
    const { scope, operation, parentType } = this.within;
    return {
      fieldName: field.name,
      fieldNodes,
      returnType: field.type,
      parentType,
      path: { prev: undefined, key: field.name, typename: undefined },
      schema: scope.schema,
      fragments: scope.fragments,
      rootValue: undefined,
      operation,
      variableValues: scope.variables,
      ...OF_LATER_VERSIONS,
    };
  }
}

/** Properties that graphql-js 17 adds. Types of some gateways declare them for version 16 as well. */
const OF_LATER_VERSIONS = { getAbortSignal: () => undefined, getAsyncHelpers: unavailable };

function unavailable(): never {
  throw new Error('expected introspection to be answered at once');
}
