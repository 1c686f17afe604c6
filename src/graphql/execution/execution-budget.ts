import { GraphQLError, type GraphQLResolveInfo } from 'graphql';
import { MediagraphError, toError } from '../../model/errors.js';
import type { ProviderCallAllowance } from '../../providers/provider-adapter.js';

/** Of one operation. */
export interface BudgetLimits {
  /** Fields that it answers with: aliases times list items times fields. */
  readonly maxNodes: number;
  /** Questions to providers. */
  readonly maxProviderCalls: number;
  readonly maxAnswerBytes: number;
}

type Path = GraphQLResolveInfo['path'];

/** Fields that are answered before other requests have their turn: some ten milliseconds, where each signs a URL. */
const NODES_PER_TURN = 4_000;
/** So that many large operations at once do not add up to a long turn. */
const LEAST_NODES_PER_TURN = 250;
/** What stands in an error beside its message, at least. */
const BYTES_PER_ERROR = 160;

/** Of the errors of one operation; executors make one of their own for each. */
const ERRORS_WITH_STACK = 1_000;

/** While an operation fails by the thousand, errors are made without stacks: these would fill the memory. */
class Stacks {
  #leftOutBy = 0;
  #limit = Error.stackTraceLimit;

  leaveOut(): void {
    if (this.#leftOutBy === 0) this.#limit = Error.stackTraceLimit;
    this.#leftOutBy += 1;
    Error.stackTraceLimit = 0;
  }

  take(): void {
    this.#leftOutBy -= 1;
    if (this.#leftOutBy === 0) Error.stackTraceLimit = this.#limit;
  }
}

const stacks = new Stacks();

/** Operations of the process that wait for a turn. */
let waitingOperations = 0;

interface Waiting {
  readonly nodes: number;
  readonly go: () => void;
}

/**
 * What one operation may cost, counted before the work: each list adds what its items will hold as soon as its length is
 * known. Beyond the budget no list has items any more, and the whole answer is one QUERY_TOO_COMPLEX: `refusal`. Large
 * answers are made in turns, between which the process serves others.
 */
export class ExecutionBudget implements ProviderCallAllowance {
  #nodes = 0;
  #bytes = 0;
  #errors = 0;
  #calls = 0;
  #inTurn = 0;
  readonly #waiting: Waiting[] = [];
  #firstWaiting = 0;
  #refusal: GraphQLError | null = null;
  #tooManyCalls: MediagraphError | null = null;

  constructor(private readonly limits: BudgetLimits) {}

  /** What the operation is answered with in place of its result; null: it is within its budget. */
  get refusal(): GraphQLError | null {
    return this.#refusal;
  }

  get maxAnswerBytes(): number {
    return this.limits.maxAnswerBytes;
  }

  /** Counted so far. */
  get nodes(): number {
    return this.#nodes;
  }

  get maxNodes(): number {
    return this.limits.maxNodes;
  }

  /** @returns whether so many fields more are within the budget */
  take(nodes: number, path?: Path): boolean {
    this.#nodes += nodes;
    if (this.#nodes > this.limits.maxNodes)
      this.#refuse(`expected an answer of at most ${this.limits.maxNodes} fields, got a query for more`, path);
    return this.#refusal === null;
  }

  /** Each error is a part of the answer, too. @returns what was thrown, to be thrown on */
  failed<Thrown>(thrown: Thrown): Thrown {
    this.#errors += 1;
    if (this.#errors === ERRORS_WITH_STACK) stacks.leaveOut();
    this.#add(BYTES_PER_ERROR + (thrown instanceof Error ? thrown.message.length : 0));
    return thrown;
  }

  /** The operation is executed. */
  end(): void {
    if (this.#errors >= ERRORS_WITH_STACK) stacks.take();
    this.#errors = 0;
  }

  /** A text that was made for the answer alone, as links are. @returns the same */
  made(text: string): string {
    this.#add(text.length);
    return text;
  }

  /** The answer is longer than one may be. */
  tooLong(): void {
    this.#refuse(`expected an answer of at most ${this.limits.maxAnswerBytes} bytes, got a longer one`);
  }

  grant(calls: number): number {
    const granted = Math.min(calls, this.limits.maxProviderCalls - this.#calls);
    this.#calls += granted;
    return granted;
  }

  get exhausted(): MediagraphError {
    this.#tooManyCalls ??= new MediagraphError(
      'QUERY_TOO_COMPLEX',
      `expected a query that asks providers at most ${this.limits.maxProviderCalls} times, got one that would ask more often`,
    );
    return this.#tooManyCalls;
  }

  /** null: at once. */
  turn(nodes: number): Promise<void> | null {
    const isFree = this.#firstWaiting === this.#waiting.length;
    if (isFree && (this.#inTurn === 0 || this.#inTurn + nodes <= NODES_PER_TURN)) {
      this.#inTurn += nodes;
      return null;
    }
    return new Promise((go) => {
      this.#waiting.push({ nodes, go });
      if (!isFree) return;
      waitingOperations += 1;
      setImmediate(this.#next);
    });
  }

  /** A list whose length is counted, for the executor: at once, or in turns. */
  handOut<Item>(
    list: readonly Item[],
    nodesEach: number,
  ): readonly Item[] | Promise<readonly Item[]> | ReadonlyArray<Item | Promise<Item | Error | null>> {
    const nodes = list.length * nodesEach;
    if (nodes > NODES_PER_TURN)
      return this.inTurns(
        list,
        () => nodesEach,
        (item) => item,
      );
    const turn = this.turn(nodes);
    return turn ? turn.then(() => (this.#refusal ? [] : list)) : list;
  }

  /**
   * A list whose items are made in turns. Items of a later turn are promises, which never reject: what goes wrong is an
   * Error in its place.
   */
  inTurns<Given, Item>(
    given: readonly Given[],
    nodesOf: (given: Given) => number,
    make: (given: Given) => Item | Promise<Item>,
  ): Array<Item | Promise<Item | Error | null>> {
    const items: Array<Item | Promise<Item | Error | null>> = [];
    let part: Given[] = [];
    let nodes = 0;
    const handOver = () => {
      const turn = this.turn(nodes);
      for (const one of part)
        items.push(turn ? turn.then(() => (this.#refusal ? null : make(one))).catch(toError) : make(one));
      [part, nodes] = [[], 0];
    };
    for (const one of given) {
      part.push(one);
      nodes += nodesOf(one);
      if (nodes >= NODES_PER_TURN) handOver();
    }
    handOver();
    return items;
  }

  readonly #next = (): void => {
    this.#inTurn = 0;
    const most = Math.max(LEAST_NODES_PER_TURN, NODES_PER_TURN / waitingOperations);
    do {
      const waiting = this.#waiting[this.#firstWaiting];
      if (!waiting) break;
      this.#firstWaiting += 1;
      this.#inTurn += waiting.nodes;
      waiting.go();
    } while (this.#inTurn < most);
    if (this.#firstWaiting < this.#waiting.length) setImmediate(this.#next);
    else {
      this.#waiting.length = 0;
      this.#firstWaiting = 0;
      waitingOperations -= 1;
    }
  };

  // So that an answer ends long before its end, when that is bound to be too far away.
  #add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.limits.maxAnswerBytes) this.tooLong();
  }

  #refuse(message: string, path?: Path): void {
    this.#refusal ??= new GraphQLError(message, {
      path: pathOf(path),
      originalError: new MediagraphError('QUERY_TOO_COMPLEX', message),
    });
  }
}

function pathOf(path: Path | undefined): Array<string | number> | undefined {
  if (!path) return undefined;
  const keys: Array<string | number> = [];
  for (let at: Path | undefined = path; at; at = at.prev) keys.push(at.key);
  return keys.reverse();
}
