import { type FieldNode, Kind, parse, type SelectionSetNode } from 'graphql';
import { createSubgraphSchema, printSubgraphSdl } from '../../../src/graphql/build-schema.js';
import { type TestBed, useBeds } from '../../support/test-bed.js';

const FORM = { costDirectives: true } as const;

interface Priced {
  readonly type: string;
  readonly weight: number;
  readonly size: number | null;
}

/** The price of every field, by its type and its name. */
function prices(): ReadonlyMap<string, Priced> {
  const found = new Map<string, Priced>();
  for (const definition of parse(printSubgraphSdl(FORM)).definitions) {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION) continue;
    for (const { name, type, directives = [] } of definition.fields ?? []) {
      const argumentOf = (directive: string) => {
        const value = directives.find((one) => one.name.value === directive)?.arguments?.[0]?.value;
        return value?.kind === Kind.INT ? Number(value.value) : null;
      };
      let inner = type;
      while (inner.kind !== Kind.NAMED_TYPE) inner = inner.type;
      found.set(`${definition.name.value}.${name.value}`, {
        type: inner.name.value,
        // Routers count one for an object, and nothing for a scalar or an enum.
        weight:
          argumentOf('cost') ??
          (createSubgraphSchema(FORM).getType(inner.name.value)?.astNode?.kind === Kind.OBJECT_TYPE_DEFINITION ? 1 : 0),
        size: argumentOf('listSize'),
      });
    }
  }
  return found;
}

/** The cost of a selection, as Apollo Router documents it ("Demand Control", "Calculating cost"). */
function costOf(type: string, { selections }: SelectionSetNode, priced: ReadonlyMap<string, Priced>): number {
  return selections
    .filter((selection): selection is FieldNode => selection.kind === Kind.FIELD)
    .reduce((sum, { name, selectionSet }) => {
      const field = priced.get(`${type}.${name.value}`);
      if (!field) throw new Error(`expected a field ${type}.${name.value}`);
      const within = selectionSet ? costOf(field.type, selectionSet, priced) : 0;
      return sum + (field.size ?? 1) * (field.weight + within);
    }, 0);
}

describe('the costs of the schema', () => {
  const beds = useBeds();

  it('price every field of an object', () => {
    for (const [name, { weight }] of prices()) expect([name, weight]).toEqual([name, 1]);
  });

  it('are not below what limits.maxNodes counts', async () => {
    const query = '{ messagesWithMedia(ids: $ids) { id channelId } mediaChannels { id capabilities { upload } } }';
    const text = query.replace('{', 'query($ids: [ID!]!) {');
    const ids = Array.from({ length: 100 }, (_, index) => `wa:m${index}`);
    const [definition] = parse(text).definitions;
    if (definition?.kind !== Kind.OPERATION_DEFINITION) throw new Error('expected an operation');
    const cost = costOf('Query', definition.selectionSet, prices());
    const bed = await beds.own({ config: { limits: { maxNodes: cost } } });
    expect((await bed.query(text, { ids })).errors).toEqual([]);
  });

  it('change nothing for clients', async () => {
    const bed: TestBed = await beds.own({ config: { federation: FORM } });
    const { data, errors } = await bed.query('{ mediaChannels { id } _service { sdl } }');
    expect(errors).toEqual([]);
    expect(JSON.stringify(data)).toContain('federation/v2.9');
    expect(printSubgraphSdl()).not.toMatch(/@cost|@listSize|v2\.9/);
  });
});
