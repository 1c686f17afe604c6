/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { buildSchema, GraphQLError, parse } from 'graphql';
import { makeServer } from 'graphql-ws';
import { until } from '../support/eventually.js';

class Formatted extends GraphQLError {
  override toJSON() {
    return { message: 'as formatted' };
  }
}

it('graphql-ws counts an operation before onSubscribe, and sends errors as their toJSON says', async () => {
  const schema = buildSchema('type Query { answer: String }');
  const counts: number[] = [];
  const server = makeServer<Record<string, unknown>, object>({
    schema,
    onSubscribe: ({ subscriptions }, id) => {
      counts.push(Object.keys(subscriptions).length);
      if (id === 'refused') return [new Formatted('raw')];
      return { schema, document: parse('{ answer }') };
    },
    execute: async () => ({ data: null, errors: [new Formatted('raw')] }),
  });
  const sent: Array<{ type: string; payload?: unknown }> = [];
  let read: (text: string) => Promise<void> = async () => {};
  const protocol = 'graphql-transport-ws';
  const send = async (text: string) => void sent.push(JSON.parse(text));
  const onMessage = (callback: typeof read) => {
    read = callback;
  };
  const onClosed = server.opened({ protocol, send, onMessage, close: () => {} }, {});
  await read(JSON.stringify({ type: 'connection_init' }));
  const payload = { query: '{ answer }' };
  await read(JSON.stringify({ id: 'refused', type: 'subscribe', payload }));
  await read(JSON.stringify({ id: 'executed', type: 'subscribe', payload }));
  await until('all messages', () => sent.some(({ type }) => type === 'complete'));
  expect(counts).toEqual([1, 1]);
  expect(sent.slice(1, 3)).toMatchObject([
    { type: 'error', payload: [{ message: 'as formatted' }] },
    { type: 'next', payload: { errors: [{ message: 'as formatted' }] } },
  ]);
  await onClosed(1000, '');
});
