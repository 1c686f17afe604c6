import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';

/** Characters. */
const MAX_LENGTH = 8_192;

/**
 * A URL as unparsed text. Parsing would rewrite `172.016.000.001` into a public address before the address policy could
 * judge it.
 */
export const UrlScalar = new GraphQLScalarType<string, string>({
  name: 'URL',
  description: 'An absolute URL (RFC 3986). The server keeps its text unchanged.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3986',
  serialize: asUrlText,
  parseValue: asUrlText,
  parseLiteral: (node) => {
    if (node.kind !== Kind.STRING)
      throw new GraphQLError(`expected a URL as a string, got ${node.kind}`, { nodes: node });
    return asUrlText(node.value);
  },
});

function asUrlText(value: unknown): string {
  if (typeof value !== 'string') throw new GraphQLError(`expected a URL as a string, got ${typeof value}`);
  if (value.length > MAX_LENGTH)
    throw new GraphQLError(`expected a URL of at most ${MAX_LENGTH} characters, got ${value.length}`);
  return value;
}
