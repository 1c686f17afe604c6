import {
  type FieldNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type ParseOptions,
  type SelectionSetNode,
  type Token,
  TokenKind,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';

export interface QueryLimits {
  /** Levels of fields. Fragments add none. */
  readonly maxDepth: number;
  readonly maxAliases: number;
  readonly maxTokens: number;
}

/** More tokens than any tool's introspection query. They do not count for `maxTokens`, but the parser must be bounded. */
const INTROSPECTION_TOKENS = 2_000;
/** Comments are kept with the document, and count for no other limit. */
const MAX_COMMENTS = 1_000;

/** Limits of the parser, which apply before any rule. @param production introspection is off */
export function parseLimits(limits: QueryLimits, production: boolean): ParseOptions {
  const { maxTokens } = limits;
  return { maxTokens: maxTokens + (production ? 0 : INTROSPECTION_TOKENS), maxComments: MAX_COMMENTS };
}

interface Cost {
  readonly depth: number;
  readonly aliases: number;
  /** Fields and spreads. Those of a fragment count at every spread. */
  readonly expanded: number;
}

const FREE: Cost = { depth: 0, aliases: 0, expanded: 0 };

/**
 * A validation rule for depth, aliases and tokens, with the code QUERY_TOO_COMPLEX. Introspection (`__schema`, `__type`)
 * does not count: where it is not allowed, another rule refuses it. The result is kept with the parsed document, so that
 * a repeated query is not validated again.
 */
export function queryLimitsRule(limits: QueryLimits): ValidationRule {
  return (context) => ({
    Document: {
      enter(document) {
        const tokens = countTokens(document.loc?.startToken) - introspectionTokens(context);
        if (tokens > limits.maxTokens)
          context.reportError(tooComplex(`expected at most ${limits.maxTokens} tokens, got ${tokens}`));
      },
    },
    OperationDefinition: {
      enter(operation) {
        const { depth, aliases, expanded } = new CostMeter(context).ofOperation(operation);
        if (depth > limits.maxDepth)
          context.reportError(
            tooComplex(`expected at most ${limits.maxDepth} levels of fields, got ${depth}`, operation),
          );
        // Spreads of spreads multiply with every level, and so does the work of execution. A query without spreads has
        // fewer fields than tokens.
        if (expanded > limits.maxTokens) {
          context.reportError(
            tooComplex(`expected at most ${limits.maxTokens} fields with all fragments spread, got more`, operation),
          );
        }
        if (aliases > limits.maxAliases)
          context.reportError(tooComplex(`expected at most ${limits.maxAliases} aliases, got ${aliases}`, operation));
      },
    },
  });
}

function tooComplex(message: string, node?: OperationDefinitionNode): GraphQLError {
  return new GraphQLError(message, { nodes: node, extensions: { code: 'QUERY_TOO_COMPLEX' } });
}

/** Adds up costs through fragments. Each fragment is measured once, so that nested spreads take linear time. */
class CostMeter {
  readonly #fragments = new Map<string, Cost>();

  constructor(private readonly context: ValidationContext) {}

  ofOperation(operation: OperationDefinitionNode): Cost {
    return this.#ofSelections(operation.selectionSet);
  }

  #ofSelections(selectionSet: SelectionSetNode): Cost {
    let depth = 0;
    let aliases = 0;
    let expanded = 0;
    for (const selection of selectionSet.selections) {
      const cost =
        selection.kind === Kind.FIELD
          ? this.#ofField(selection)
          : selection.kind === Kind.INLINE_FRAGMENT
            ? this.#ofSelections(selection.selectionSet)
            : this.#ofFragment(selection.name.value);
      depth = Math.max(depth, cost.depth);
      aliases += cost.aliases;
      expanded += cost.expanded;
    }
    return { depth, aliases, expanded };
  }

  #ofField(field: FieldNode): Cost {
    if (isIntrospection(field)) return FREE;
    const inner = field.selectionSet ? this.#ofSelections(field.selectionSet) : FREE;
    return { depth: inner.depth + 1, aliases: inner.aliases + (field.alias ? 1 : 0), expanded: inner.expanded + 1 };
  }

  #ofFragment(name: string): Cost {
    const known = this.#fragments.get(name);
    if (known) return known;
    // This entry ends a cycle, for which the specification's own rule refuses the document.
    this.#fragments.set(name, FREE);
    const fragment = this.context.getFragment(name);
    const inner = fragment ? this.#ofSelections(fragment.selectionSet) : FREE;
    const cost = { ...inner, expanded: inner.expanded + 1 };
    this.#fragments.set(name, cost);
    return cost;
  }
}

function isIntrospection(field: FieldNode): boolean {
  return field.name.value === '__schema' || field.name.value === '__type';
}

/** The tokens of introspection: its root fields, and fragments on its types. */
function introspectionTokens(context: ValidationContext): number {
  let tokens = 0;
  for (const definition of context.getDocument().definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION && definition.typeCondition.name.value.startsWith('__')) {
      tokens += countTokens(definition.loc?.startToken, definition.loc?.endToken);
    }
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    for (const selection of definition.selectionSet.selections) {
      if (selection.kind !== Kind.FIELD || !isIntrospection(selection)) continue;
      tokens += countTokens(selection.loc?.startToken, selection.loc?.endToken);
    }
  }
  return tokens;
}

function countTokens(first: Token | undefined, last?: Token): number {
  let count = 0;
  for (let token = first; token; token = token.next ?? undefined) {
    if (token.kind !== TokenKind.SOF && token.kind !== TokenKind.EOF && token.kind !== TokenKind.COMMENT) count++;
    if (token === last) break;
  }
  return count;
}
