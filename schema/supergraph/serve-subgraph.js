// @ts-check
/*
 * What the small subgraphs beside this one have in common: a port of the loopback interface, one line when they listen,
 * and an end at SIGTERM or SIGINT with status 0.
 */
import { readFile } from 'node:fs/promises';
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginInlineTrace } from '@apollo/server/plugin/inlineTrace';
import { startStandaloneServer } from '@apollo/server/standalone';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { GraphQLError, parse } from 'graphql';

/** @typedef {Parameters<typeof buildSubgraphSchema>[0]} SubgraphModule */
/** @typedef {Extract<SubgraphModule, { resolvers?: unknown }>['resolvers']} Resolvers */

/**
 * @typedef {object} Subgraph
 * @property {string} name for the line that is printed
 * @property {URL} sdl the file
 * @property {Resolvers} resolvers
 * @property {number} port 0 = a free one
 */

/**
 * Resolves when it listens, which it says in one line of standard output: `<name> subgraph listens at <url>`.
 * @param {Subgraph} subgraph
 */
export async function serveSubgraph({ name, sdl, resolvers, port }) {
  const typeDefs = parse(await readFile(sdl, 'utf8'));
  const server = new ApolloServer({
    schema: buildSubgraphSchema({ typeDefs, resolvers }),
    // For routers that ask for traces; where it is not named, the server says aloud that it has added it.
    plugins: [ApolloServerPluginInlineTrace()],
    includeStacktraceInErrorResponses: false,
    // They would end the process by the signal; a process that was asked to end has done nothing wrong.
    stopOnTerminationSignals: false,
  });
  const { url } = await startStandaloneServer(server, { listen: { host: '127.0.0.1', port } });
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void server.stop());
  process.stdout.write(`${name} subgraph listens at ${url}\n`);
}

/**
 * Runs a program to its start; what keeps it from starting is told on standard error, and the status is 1.
 * @param {() => Promise<void>} start
 */
export async function run(start) {
  try {
    await start();
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    process.exitCode = 1;
  }
}

/**
 * @param {string} given the value of `--port`
 * @throws {Error} unless it is 0 to 65535
 */
export function portFrom(given) {
  if (!/^\d{1,5}$/.test(given) || Number(given) > 65_535)
    throw new Error(`expected a port after --port, got "${given}"`);
  return Number(given);
}

/**
 * The caller's fault, as all subgraphs of this supergraph tell it.
 * @param {string} message
 */
export function badUserInput(message) {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } });
}
