import { type DocumentNode, parse, validate } from 'graphql';
import { createSubgraphSchema } from '../../../src/graphql/build-schema.js';
import { CompiledExecutor } from '../../../src/graphql/execution/compiled-executor.js';
import { DocumentStore } from '../../../src/graphql/execution/documents/document-store.js';
import { compiledWeightOf, fieldsOfDocument } from '../../../src/graphql/execution/documents/document-weight.js';

const schema = createSubgraphSchema({});

/** A document with a name and a number of fields. */
function documentOf(name: string, fields: number): DocumentNode {
  const selected = Array.from({ length: fields - 1 }, () => 'subgraph: __typename');
  const document = parse(`query ${name} { _service { sdl } ${selected.join(' ')} }`);
  expect(validate(schema, document)).toEqual([]);
  return document;
}

async function execute(executor: CompiledExecutor, document: DocumentNode, hash: string): Promise<void> {
  const { data } = await executor.execute({
    document,
    documentHash: hash,
    operationName: undefined,
    variables: {},
    context: {},
  });
  expect(data).toHaveProperty('_service');
}

describe('cached documents', () => {
  it('weigh as much as their fields, with those of fragments at every spread', () => {
    const document = parse(`{ ...A ...A x { ...B } } fragment A on Query { a { ...B } } fragment B on X { b c }`);
    // A and its B twice, and x with one more B.
    expect(fieldsOfDocument(document)).toBe(2 * 3 + 3);
    expect(compiledWeightOf(document, 300)).toBeGreaterThan(compiledWeightOf(document, 3) + 250_000);
  });

  it('are bounded by their weight when they are compiled', async () => {
    const maxBytes = 2_000_000;
    const executor = new CompiledExecutor(schema, { maxBytes });
    for (let index = 0; index < 60; index += 1) {
      await execute(executor, documentOf(`Q${index}`, 100), `hash ${index}`);
      expect(executor.keptBytes).toBeLessThanOrEqual(maxBytes);
    }
    expect(executor.keptBytes).toBeGreaterThan(maxBytes / 2);
  });

  it('are executed without the cache when one is heavier than the limit', async () => {
    const executor = new CompiledExecutor(schema, { maxBytes: 10_000 });
    await execute(executor, documentOf('Large', 100), 'large');
    await execute(executor, documentOf('Large', 100), 'large');
    expect(executor.keptBytes).toBe(0);
  });

  it('are bounded by their weight when they are parsed', async () => {
    const store = new DocumentStore(1_000_000);
    for (let index = 0; index < 30; index += 1) await store.set(`${index}`, documentOf(`Q${index}`, 100));
    const kept = await Promise.all(Array.from({ length: 30 }, (_, index) => store.get(`${index}`)));
    const count = kept.filter((document) => document !== undefined).length;
    expect(count).toBeGreaterThan(1);
    expect(count).toBeLessThan(10);
    expect(kept.at(-1)).toBeDefined();
  });
});
