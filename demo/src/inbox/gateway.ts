import { readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { Kind, parse, print, visit } from 'graphql';

/** The package's own folder: three levels above this file in `src/` as well as in `dist/`. */
const SUPERGRAPH = new URL('../../../schema/supergraph/supergraph.graphql', import.meta.url);

/** Hive Gateway over the composed supergraph, in this process. */
export interface Gateway {
  /** Answers `/graphql`, with subscriptions as Server-Sent Events. */
  readonly answer: RequestListener;
  close(): Promise<void>;
}

/**
 * @param urls the URLs of the subgraphs, by their names in the supergraph
 * @throws Error with code ERR_MODULE_NOT_FOUND where Hive Gateway is not installed, since it is an optional dependency
 */
export async function startGateway(urls: ReadonlyMap<string, string>): Promise<Gateway> {
  const { createGatewayRuntime } = await import('@graphql-hive/gateway-runtime');
  const runtime = createGatewayRuntime({
    supergraph: withUrls(await readFile(SUPERGRAPH, 'utf8'), urls),
    logging: false,
    graphiql: false,
    landingPage: false,
  });
  return {
    answer: (request, response) => void runtime(request, response),
    close: async () => {
      await runtime.dispose();
    },
  };
}

/** The supergraph with other URLs for its subgraphs. */
function withUrls(supergraph: string, urls: ReadonlyMap<string, string>): string {
  const changed = visit(parse(supergraph), {
    [Kind.DIRECTIVE]: (directive) => {
      if (directive.name.value !== 'join__graph') return undefined;
      const name = directive.arguments?.find((argument) => argument.name.value === 'name')?.value;
      const url = name?.kind === Kind.STRING ? urls.get(name.value) : undefined;
      if (url === undefined) throw new Error('expected a URL for every subgraph of the supergraph');
      const args = directive.arguments?.map((argument) =>
        argument.name.value === 'url' ? { ...argument, value: { kind: Kind.STRING, value: url } as const } : argument,
      );
      return { ...directive, arguments: args };
    },
  });
  return print(changed);
}
