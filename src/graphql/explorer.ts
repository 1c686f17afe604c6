import { readFileSync } from 'node:fs';
import type { ApolloServerPlugin } from '@apollo/server';
import { ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';

/** `server.explorer`: the page at `/graphql`. */
export type Explorer = 'sandbox' | 'graphiql' | 'off';

type Variables = Readonly<Record<string, unknown>>;

/** The package's example operations. The path is the same from `src/` and from `dist/`. */
const OPERATIONS = new URL('../../schema/operations/', import.meta.url);

/** In the order in which a new user would try them. */
const NAMES = [
  'messages-with-media',
  'media-by-id',
  'channels',
  'media-updated',
  'upload-media-from-url',
  'delete-media',
  'entities',
] as const;

/** The texts of the example operations, with their comments. */
function exampleOperations(): string[] {
  return NAMES.map((name) => readFileSync(new URL(`${name}.graphql`, OPERATIONS), 'utf8'));
}

/** The variables that an operation declares, as the editor of a tab shows them. */
function variablesOf(query: string, variables: Variables): string {
  const declared = Object.entries(variables).filter(([name]) => query.includes(`$${name}:`));
  return JSON.stringify(Object.fromEntries(declared), null, 2);
}

/** The plugin that serves the page. @param exampleVariables variables of the example operations besides their defaults */
export function landingPage(explorer: Explorer, exampleVariables: Variables): ApolloServerPlugin {
  switch (explorer) {
    case 'off':
      return ApolloServerPluginLandingPageDisabled();
    case 'sandbox':
      return ApolloServerPluginLandingPageLocalDefault({
        footer: false,
        document: exampleOperations().join('\n'),
        variables: exampleVariables,
      });
    case 'graphiql':
      return graphiql(exampleVariables);
  }
}

function graphiql(exampleVariables: Variables): ApolloServerPlugin {
  const tabs = exampleOperations().map((query) => ({ query, variables: variablesOf(query, exampleVariables) }));
  let page: Promise<string> | null = null;
  const render = async () => {
    // The module holds a page of nine megabytes, so it is loaded when the page is first opened.
    const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
    return renderGraphiQL({
      endpoint: '/graphql',
      title: 'Mediagraph',
      subscriptionsProtocol: 'GRAPHQL_SSE',
      // Without an initial query the editor shows a welcome text, which is no valid operation.
      ...tabs[0],
      defaultTabs: tabs,
    });
  };
  const html = () => {
    page ??= render();
    return page;
  };
  return { serverWillStart: async () => ({ renderLandingPage: async () => ({ html }) }) };
}
