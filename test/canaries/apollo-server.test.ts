/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { ApolloServer, type ApolloServerOptionsWithGateway, type ApolloServerPlugin, HeaderMap } from '@apollo/server';
import { ApolloServerPluginInlineTrace } from '@apollo/server/plugin/inlineTrace';
import { buildSchema, GraphQLError, type ValidationRule } from 'graphql';

interface Context {
  readonly name: string;
}
type Gateway = ApolloServerOptionsWithGateway<Context>['gateway'];
type Executor = NonNullable<Awaited<ReturnType<Gateway['load']>>['executor']>;

const schema = buildSchema('type Query { answer: String }');

function gatewayOver(executor: Executor): Gateway {
  return {
    load: async () => ({ executor }),
    onSchemaLoadOrUpdate: (callback) => {
      callback({ apiSchema: schema, coreSupergraphSdl: '' });
      return () => {};
    },
    stop: async () => {},
  };
}

interface Ask {
  readonly executor: Executor;
  readonly context?: Context;
  readonly plugins?: Array<ApolloServerPlugin<Context>>;
  readonly validationRules?: ValidationRule[];
  readonly headers?: ReadonlyArray<[string, string]>;
}

async function ask({ executor, context = { name: 'one' }, plugins = [], validationRules, headers = [] }: Ask) {
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const options = { gateway: gatewayOver(executor), plugins, validationRules, logger, stopOnTerminationSignals: false };
  const server = new ApolloServer<Context>(options);
  await server.start();
  const { status, body } = await server.executeHTTPGraphQLRequest({
    httpGraphQLRequest: {
      method: 'POST',
      headers: new HeaderMap([['content-type', 'application/json'], ...headers]),
      search: '',
      body: { query: '{ answer }' },
    },
    context: async () => context,
  });
  await server.stop();
  if (body.kind !== 'complete') throw new Error('expected a complete answer');
  return { status, ...JSON.parse(body.string) };
}

it('Apollo Server executes by the executor of its gateway, with the context that plugins have', async () => {
  const asked: Array<Parameters<Executor>[0]> = [];
  const contexts: unknown[] = [];
  const seeContext: ApolloServerPlugin<Context> = {
    requestDidStart: async () => ({
      willSendResponse: async ({ contextValue, response: { body } }) => {
        contexts.push(contextValue);
        if (body.kind === 'single') body.singleResult.extensions = { changed: true };
      },
    }),
  };
  const executor: Executor = async (request) => {
    asked.push(request);
    return { data: { answer: 'ours' } };
  };
  const answer = await ask({ executor, plugins: [seeContext] });
  expect(answer).toEqual({ data: { answer: 'ours' }, extensions: { changed: true } });
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatchObject({
    queryHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    document: { kind: 'Document' },
  });
  expect(contexts[0]).toBe(asked[0]?.context);
});

it('Apollo Server answers with the error that unexpectedErrorProcessingRequest throws', async () => {
  const replace: ApolloServerPlugin<Context> = {
    unexpectedErrorProcessingRequest: async () => {
      throw new GraphQLError('another', { extensions: { code: 'OURS', http: { status: 400 } } });
    },
  };
  const validationRules: ValidationRule[] = [
    () => {
      throw new RangeError('a rule fails');
    },
  ];
  const answer = await ask({ executor: async () => ({ data: null }), plugins: [replace], validationRules });
  expect(answer).toMatchObject({ status: 400, errors: [{ message: 'another', extensions: { code: 'OURS' } }] });
});

it('the inline trace is a plugin object whose listeners can be left out one by one', async () => {
  const trace: ApolloServerPlugin<Context> = ApolloServerPluginInlineTrace();
  const executor: Executor = async () => ({ data: { answer: null } });
  const headers: Array<[string, string]> = [['apollo-federation-include-trace', 'ftv1']];
  const withSending = (sends: boolean): ApolloServerPlugin<Context> => ({
    ...trace,
    requestDidStart: async (request) => {
      const listener = await trace.requestDidStart?.(request);
      if (!listener) return;
      return {
        ...listener,
        executionDidStart: async (executed) => ({ ...(await listener.executionDidStart?.(executed)) }),
        willSendResponse: async (answered) => {
          if (sends) await listener.willSendResponse?.(answered);
        },
      };
    },
  });
  const extensions = async (sends: boolean) =>
    (await ask({ executor, headers, plugins: [withSending(sends)] })).extensions;
  expect(await extensions(true)).toEqual({ ftv1: expect.any(String) });
  expect(await extensions(false)).toBeUndefined();
});
