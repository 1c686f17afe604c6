// @ts-check
/* The yardstick of `bench:start`: Apollo Server as the first page of its documentation sets it up. */
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';

const server = new ApolloServer({
  typeDefs: 'type Query { hello: String }',
  resolvers: { Query: { hello: () => 'world' } },
});
const port = Number(process.argv[2]);
await startStandaloneServer(server, { listen: { host: '127.0.0.1', port } });
