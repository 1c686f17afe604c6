import {
  GraphQLError,
  type GraphQLInputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  Kind,
  type TypeNode,
  type VariableDefinitionNode,
} from 'graphql';
import { MediagraphError } from '../../model/errors.js';
import { MAX_ID_LENGTH } from '../../model/ids.js';

/** Characters. */
const MAX_TEXT_LENGTH = 2_048;
const MAX_URL_LENGTH = 8_192;
/** Bounds of the objects in variables, above those of any input type. */
const MAX_NAME_LENGTH = 256;
const MAX_FIELDS = 100;

/** The maximum length of a text by the name of its type. */
const MAX_LENGTHS: Readonly<Record<string, number>> = { ID: MAX_ID_LENGTH, URL: MAX_URL_LENGTH };

/** Checks a value. @returns the value to use, without repeated enum values. @throws MediagraphError BAD_USER_INPUT */
type Check = (value: unknown) => unknown;

/**
 * Makes a check that bounds the texts in a field's arguments, in lists and input objects as well, and removes repeated
 * values from lists of enum values. Returns null where no argument needs a check.
 */
export function argumentCheck(
  args: ReadonlyArray<{ readonly name: string; readonly type: GraphQLInputType }>,
): ((values: Record<string, unknown>) => void) | null {
  const checks = args.flatMap(({ name, type }) => {
    const check = checkOf(type);
    return check ? [{ name, check }] : [];
  });
  if (checks.length === 0) return null;
  return (values) => {
    for (const { name, check } of checks) if (values[name] !== undefined) values[name] = check(values[name]);
  };
}

function checkOf(type: GraphQLInputType): Check | null {
  if (isNonNullType(type)) return checkOf(type.ofType);
  if (isListType(type)) {
    if (isEnumType(getNamedType(type))) return withoutRepetitions;
    const ofItem = checkOf(type.ofType);
    return ofItem && ((value) => (Array.isArray(value) ? checkedItems(value, ofItem) : value));
  }
  if (isInputObjectType(type)) return checkOfObject(type.getFields());
  return isEnumType(type) ? null : checkOfText(MAX_LENGTHS[type.name] ?? MAX_TEXT_LENGTH);
}

function checkOfText(most: number): Check {
  return (value) => {
    if (typeof value === 'string' && value.length > most) throw tooLong(most, value.length);
    return value;
  };
}

function checkedItems(list: unknown[], check: Check): unknown[] {
  for (const item of list) check(item);
  return list;
}

function checkOfObject(
  fields: Readonly<Record<string, { readonly name: string; readonly type: GraphQLInputType }>>,
): Check {
  // Made at the first use, since input types may be recursive.
  let checks: Array<[name: string, check: Check]> | null = null;
  return (value) => {
    checks ??= Object.values(fields).flatMap(({ name, type }) => {
      const check = checkOf(type);
      return check ? [[name, check]] : [];
    });
    if (typeof value !== 'object' || value === null) return value;
    for (const [name, check] of checks) {
      const member: unknown = Reflect.get(value, name);
      if (member !== undefined) Reflect.set(value, name, check(member));
    }
    return value;
  };
}

/** Distinct values by list. Every field that takes a list from a variable gets the same list. */
const distinctLists = new WeakMap<object, unknown[]>();

function withoutRepetitions(list: unknown): unknown {
  if (!Array.isArray(list) || list.length < 2) return list;
  const known = distinctLists.get(list);
  if (known) return known;
  const distinct = [...new Set<unknown>(list)];
  distinctLists.set(list, distinct);
  return distinct;
}

/** For representations of entities, each of which gets an error of its own. */
export function isTooLongId(id: string): boolean {
  return id.length > MAX_ID_LENGTH;
}

/** Whether a value is or contains a text above the maximum length. */
export function isTooLongText(value: unknown): boolean {
  if (typeof value === 'string') return value.length > MAX_TEXT_LENGTH;
  if (typeof value !== 'object' || value === null) return false;
  const unvisited: unknown[] = [value];
  while (unvisited.length > 0) {
    const next = unvisited.pop();
    if (typeof next === 'string' && next.length > MAX_TEXT_LENGTH) return true;
    if (typeof next === 'object' && next !== null) for (const member of Object.values(next)) unvisited.push(member);
  }
  return false;
}

function tooLong(most: number, length: number): MediagraphError {
  return new MediagraphError(
    'BAD_USER_INPUT',
    `expected a text of at most ${most} characters in an argument, got ${length}`,
  );
}

/**
 * The fault of variables that exceed a bound, or null. It is looked for before graphql-js coerces the variables, whose
 * errors would quote the whole value. Representations of entities are left out, since each gets an error of its own.
 */
export function faultOfVariables(
  definitions: readonly VariableDefinitionNode[],
  variables: Readonly<Record<string, unknown>>,
): GraphQLError | null {
  for (const { variable, type } of definitions) {
    const typeName = nameOf(type);
    if (typeName === '_Any') continue;
    const fault = faultOf(variables[variable.name.value], typeName === 'ID');
    if (fault) return badInput(`expected $${variable.name.value} to hold ${fault}`);
  }
  return null;
}

function nameOf(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : nameOf(type.type);
}

/** Uses no recursion, since a value may be nested as deeply as a body is long. */
function faultOf(variable: unknown, isId: boolean): string | null {
  const unvisited: unknown[] = [variable];
  while (unvisited.length > 0) {
    const value = unvisited.pop();
    if (typeof value === 'string') {
      // An id that is too long is an error of the field that takes it.
      if (!isId && value.length > MAX_URL_LENGTH)
        return `texts of at most ${MAX_URL_LENGTH} characters, got ${value.length}`;
    } else if (Array.isArray(value)) {
      for (const item of value) unvisited.push(item);
    } else if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value);
      if (entries.length > MAX_FIELDS) return `objects of at most ${MAX_FIELDS} fields, got ${entries.length}`;
      for (const [name, member] of entries) {
        if (name.length > MAX_NAME_LENGTH) return `names of at most ${MAX_NAME_LENGTH} characters, got ${name.length}`;
        unvisited.push(member);
      }
    }
  }
  return null;
}

function badInput(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } } });
}
