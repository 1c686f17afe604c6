/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { outputOf } from '../support/node-script.js';

const SCRIPT = `
  import { PGlite } from '@electric-sql/pglite';
  const engine = new PGlite('memory://');
  await engine.waitReady;
  const message = (kind, body) => {
    const bytes = Buffer.from(body, 'latin1');
    const head = Buffer.from(kind + '\\0\\0\\0\\0', 'latin1');
    head.writeInt32BE(bytes.length + 4, 1);
    return Buffer.concat([head, bytes]);
  };
  const exchange = async (...messages) => Buffer.from(await engine.execProtocolRaw(Buffer.concat(messages))).toString('latin1');
  const kinds = (answer) => { let all = ''; for (let at = 0; at < answer.length; at += 1 + Buffer.from(answer, 'latin1').readInt32BE(at + 1)) all += answer[at]; return all; };
  const sync = message('S', '');
  const said = [];
  said.push(kinds(await exchange(message('Q', 'rollback\\0'))).at(-1));
  said.push(kinds(await exchange(message('Q', 'discard all\\0'))));
  const statement = await exchange(
    message('P', 'name\\0select 1\\0\\0\\0'), message('B', '\\0name\\0\\0\\0\\0\\0\\0\\0'), message('D', 'P\\0'), message('E', '\\0\\0\\0\\0\\0'), sync);
  said.push(kinds(statement));
  said.push(kinds(await exchange(message('B', '\\0name\\0\\0\\0\\0\\0\\0\\0'), message('E', '\\0\\0\\0\\0\\0'), sync)));
  said.push(kinds(await exchange(message('P', '\\0no statement\\0\\0\\0'), sync)));
  await engine.close();
  console.log(JSON.stringify(said));`;

it('PGlite answers whole protocol messages without a startup message, and one session keeps prepared statements', async () => {
  // ReadyForQuery; CommandComplete; Parse-, BindComplete, RowDescription, DataRow, CommandComplete; ErrorResponse.
  expect(JSON.parse(await outputOf(SCRIPT))).toEqual(['Z', 'CZ', '12TDCZ', '2DCZ', 'EZ']);
}, 60_000);
