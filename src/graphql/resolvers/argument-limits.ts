import {
  type GraphQLArgument,
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
/** Of the names and the number of fields in one object of the variables: more than any input type has. */
const MAX_NAME_LENGTH = 256;
const MAX_FIELDS = 100;

/** What a text may be long, by the name of its type. */
const MAX_LENGTHS: Readonly<Record<string, number>> = { ID: MAX_ID_LENGTH, URL: MAX_URL_LENGTH };

/** @returns what is used in its place, the same unless a list of enum values repeats some. @throws MediagraphError BAD_USER_INPUT */
type Check = (value: unknown) => unknown;

/**
 * Bounds the texts in a field's arguments before a resolver sees them, wherever they stand: in lists, in input objects, in
 * variables and literals alike. Lists of enum values become sets.
 */
export function argumentCheck(args: readonly GraphQLArgument[]): ((given: Record<string, unknown>) => void) | null {
  const checks = args.flatMap(({ name, type }) => {
    const check = checkOf(type);
    return check ? [{ name, check }] : [];
  });
  if (checks.length === 0) return null;
  return (given) => {
    for (const { name, check } of checks) if (given[name] !== undefined) given[name] = check(given[name]);
  };
}

function checkOf(type: GraphQLInputType): Check | null {
  if (isNonNullType(type)) return checkOf(type.ofType);
  if (isListType(type)) {
    if (isEnumType(getNamedType(type))) return onceEach;
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
  // Only when it is first used: input types may hold themselves.
  let checks: Array<[name: string, check: Check]> | null = null;
  return (value) => {
    checks ??= Object.values(fields).flatMap(({ name, type }) => {
      const check = checkOf(type);
      return check ? [[name, check]] : [];
    });
    if (typeof value !== 'object' || value === null) return value;
    for (const [name, check] of checks) {
      const held: unknown = Reflect.get(value, name);
      if (held !== undefined) Reflect.set(value, name, check(held));
    }
    return value;
  };
}

/** A list of the variables is the same for every field that takes it. */
const sets = new WeakMap<object, unknown[]>();

function onceEach(list: unknown): unknown {
  if (!Array.isArray(list) || list.length < 2) return list;
  const known = sets.get(list);
  if (known) return known;
  const set = [...new Set<unknown>(list)];
  sets.set(list, set);
  return set;
}

/** What a list's items are judged by one by one, where each answers for itself. */
export function isTooLongId(id: string): boolean {
  return id.length > MAX_ID_LENGTH;
}

/** Whether a text, or one within a value, is longer than it may be. */
export function isTooLongText(given: unknown): boolean {
  if (typeof given === 'string') return given.length > MAX_TEXT_LENGTH;
  if (typeof given !== 'object' || given === null) return false;
  const waiting: unknown[] = [given];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === 'string' && value.length > MAX_TEXT_LENGTH) return true;
    if (typeof value === 'object' && value !== null) for (const held of Object.values(value)) waiting.push(held);
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
 * What is wrong with variables before they are compared with their types, whose complaints repeat what was given; null:
 * nothing. Representations of entities are left out, since each of these answers for itself.
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

// Without recursion: it may be nested as deeply as a body is long.
function faultOf(given: unknown, isId: boolean): string | null {
  const waiting: unknown[] = [given];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === 'string') {
      // An id that is too long is an error of its own place.
      if (!isId && value.length > MAX_URL_LENGTH)
        return `texts of at most ${MAX_URL_LENGTH} characters, got ${value.length}`;
    } else if (Array.isArray(value)) {
      for (const item of value) waiting.push(item);
    } else if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value);
      if (entries.length > MAX_FIELDS) return `objects of at most ${MAX_FIELDS} fields, got ${entries.length}`;
      for (const [name, held] of entries) {
        if (name.length > MAX_NAME_LENGTH) return `names of at most ${MAX_NAME_LENGTH} characters, got ${name.length}`;
        waiting.push(held);
      }
    }
  }
  return null;
}

function badInput(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } } });
}
