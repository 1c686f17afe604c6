/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { Kysely, PostgresDialect, type PostgresPoolClient, sql } from 'kysely';

it('Kysely logs every statement, those of transactions too, before its caller learns of the end', async () => {
  const order: string[] = [];
  const client = {
    query: async (text: string) => {
      if (text === 'fails') throw new Error('refused');
      return { command: 'SELECT', rowCount: 0, rows: [] };
    },
    release: () => {},
  } as unknown as PostgresPoolClient;
  const kysely = new Kysely<object>({
    dialect: new PostgresDialect({ pool: { connect: async () => client, end: async () => {} } }),
    log: ({ level, query }) => void order.push(`${level}: ${query.sql}`),
  });
  await kysely.transaction().execute(async (transaction) => {
    await sql`select 1`.execute(transaction);
    order.push('caller');
  });
  order.push('caller');
  await sql`fails`.execute(kysely).catch(() => order.push('caller'));
  expect(order).toEqual([
    'query: begin',
    'query: select 1',
    'caller',
    'query: commit',
    'caller',
    'error: fails',
    'caller',
  ]);
});
