import {
  type KyselyPlugin,
  type PluginTransformQueryArgs,
  type PluginTransformResultArgs,
  type QueryResult,
  RawNode,
  type RootOperationNode,
  type UnknownRow,
} from 'kysely';
import { z } from 'zod';

const EXPLAIN = 'explain (analyze, buffers, format json) ';

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Loops': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly PlanNode[];
}

/** PostgreSQL docs, EXPLAIN: of an inner node, blocks are those of the nodes below it, too. */
const planNode: z.ZodType<PlanNode> = z.object({
  'Node Type': z.string(),
  'Index Name': z.string().optional(),
  'Relation Name': z.string().optional(),
  'Actual Loops': z.number(),
  'Shared Hit Blocks': z.number(),
  'Shared Read Blocks': z.number(),
  get Plans() {
    return z.array(planNode).optional();
  },
});
const answer = z.tuple([
  z.object({ 'QUERY PLAN': z.tuple([z.object({ Plan: planNode, 'Planning Time': z.number() })]) }),
]);

/** How the engine went about one statement. */
export interface Plan {
  /** From the top: the kind of each node, and how often it ran where that was not once. */
  readonly nodes: readonly string[];
  /** Pages of 8 KB that were looked at, found in the engine's cache or not. */
  readonly pages: number;
  readonly pagesRead: number;
  readonly planningMs: number;
}

/** Has the very statements that come by explained in place of answered: the plan is kept here, and there are no rows. */
export class Explaining implements KyselyPlugin {
  #plan: Plan | null = null;

  /** The plan of the last statement. */
  get plan(): Plan {
    if (!this.#plan) throw new Error('expected a statement to be explained');
    return this.#plan;
  }

  transformQuery({ node }: PluginTransformQueryArgs): RootOperationNode {
    if (!RawNode.is(node)) throw new Error(`expected a statement in SQL, got ${node.kind}`);
    const [first = '', ...others] = node.sqlFragments;
    return RawNode.create([EXPLAIN + first, ...others], node.parameters);
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    const [{ 'QUERY PLAN': explained }] = answer.parse(result.rows);
    const [{ Plan: root, 'Planning Time': planningMs }] = explained;
    const nodes = flat(root);
    this.#plan = {
      nodes: nodes.map(nameOf),
      pages: root['Shared Hit Blocks'] + root['Shared Read Blocks'],
      pagesRead: root['Shared Read Blocks'],
      planningMs,
    };
    return { ...result, rows: [] };
  }
}

function flat(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flat)];
}

function nameOf(node: PlanNode): string {
  const on = node['Index Name'] ?? node['Relation Name'];
  const times = node['Actual Loops'] === 1 ? '' : ` ×${node['Actual Loops']}`;
  return `${node['Node Type']}${on === undefined ? '' : ` ${on}`}${times}`;
}
