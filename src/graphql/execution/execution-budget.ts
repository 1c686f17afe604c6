import { GraphQLError, type GraphQLResolveInfo } from 'graphql';
import { MediagraphError, toError } from '../../model/errors.js';
import type { ProviderCallAllowance } from '../../providers/provider-adapter.js';

/** Limits of one operation. */
export interface BudgetLimits {
  /** Fields of the answer: aliases times list items times fields. */
  readonly maxNodes: number;
  /** Calls to providers. */
  readonly maxProviderCalls: number;
  readonly maxAnswerBytes: number;
}

type Path = GraphQLResolveInfo['path'];

/** Fields that are resolved before other requests get a turn: about ten milliseconds if each signs a URL. */
const NODES_PER_TURN = 4_000;
/** The minimum while operations share a turn, so that many large ones do not add up to a long turn. */
const LEAST_NODES_PER_TURN = 250;
/** The minimum length of an error besides its message. */
const BYTES_PER_ERROR = 160;

/** Errors of one operation that are made with a stack. Executors make a further error for each. */
const ERRORS_WITH_STACK = 1_000;

/** Turns stack traces off while an operation fails thousands of times, since the stacks would exhaust the memory. */
class StackTraces {
  #offBy = 0;
  #limit = Error.stackTraceLimit;

  turnOff(): void {
    if (this.#offBy === 0) this.#limit = Error.stackTraceLimit;
    this.#offBy += 1;
    Error.stackTraceLimit = 0;
  }

  turnOn(): void {
    this.#offBy -= 1;
    if (this.#offBy === 0) Error.stackTraceLimit = this.#limit;
  }
}

const stackTraces = new StackTraces();

/** The number of operations in this process that wait for a turn. */
let waitingOperations = 0;

interface WaitingWork {
  readonly nodes: number;
  readonly start: () => void;
}

/**
 * The budget of one operation. Costs are counted before the work: each list adds the fields of its items as soon as its
 * length is known. When the budget is exceeded, all further lists are empty and the whole answer is one
 * QUERY_TOO_COMPLEX, the `refusal`. Large answers are made in turns, between which the process serves other requests.
 */
export class ExecutionBudget implements ProviderCallAllowance {
  #nodes = 0;
  #bytes = 0;
  #errors = 0;
  #calls = 0;
  #inTurn = 0;
  readonly #waiting: WaitingWork[] = [];
  #firstWaiting = 0;
  #refusal: GraphQLError | null = null;
  #tooManyCalls: MediagraphError | null = null;

  constructor(private readonly limits: BudgetLimits) {}

  /** The error that replaces the result; null: the operation is within its budget. */
  get refusal(): GraphQLError | null {
    return this.#refusal;
  }

  get maxAnswerBytes(): number {
    return this.limits.maxAnswerBytes;
  }

  /** The fields counted so far. */
  get nodes(): number {
    return this.#nodes;
  }

  get maxNodes(): number {
    return this.limits.maxNodes;
  }

  /** Counts fields. @returns whether the operation is within its budget */
  take(nodes: number, path?: Path): boolean {
    this.#nodes += nodes;
    if (this.#nodes > this.limits.maxNodes)
      this.#refuse(`expected an answer of at most ${this.limits.maxNodes} fields, got a query for more`, path);
    return this.#refusal === null;
  }

  /** Counts an error, which is a part of the answer, too. @returns the same error, to be thrown again */
  failed<Thrown>(thrown: Thrown): Thrown {
    this.#errors += 1;
    if (this.#errors === ERRORS_WITH_STACK) stackTraces.turnOff();
    this.#add(BYTES_PER_ERROR + (thrown instanceof Error ? thrown.message.length : 0));
    return thrown;
  }

  /** Called when the execution has ended. */
  end(): void {
    if (this.#errors >= ERRORS_WITH_STACK) stackTraces.turnOn();
    this.#errors = 0;
  }

  /** Counts a text that was made for the answer, such as a link. @returns the same text */
  countText(text: string): string {
    this.#add(text.length);
    return text;
  }

  /** Refuses the operation because of the length of its answer. */
  refuseLength(): void {
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

  /** Waits for a turn; null: the work may start at once. */
  turn(nodes: number): Promise<void> | null {
    const isFree = this.#firstWaiting === this.#waiting.length;
    if (isFree && (this.#inTurn === 0 || this.#inTurn + nodes <= NODES_PER_TURN)) {
      this.#inTurn += nodes;
      return null;
    }
    return new Promise((start) => {
      this.#waiting.push({ nodes, start });
      if (!isFree) return;
      waitingOperations += 1;
      setImmediate(this.#startNext);
    });
  }

  /** Hands a counted list to the executor, at once or in turns. */
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
   * Makes the items of a list in turns. Items of a later turn are promises. They never reject: a failed item is an Error
   * in its place.
   */
  inTurns<Source, Item>(
    sources: readonly Source[],
    nodesOf: (source: Source) => number,
    make: (source: Source) => Item | Promise<Item>,
  ): Array<Item | Promise<Item | Error | null>> {
    const items: Array<Item | Promise<Item | Error | null>> = [];
    let part: Source[] = [];
    let nodes = 0;
    const startPart = () => {
      const turn = this.turn(nodes);
      for (const source of part)
        items.push(turn ? turn.then(() => (this.#refusal ? null : make(source))).catch(toError) : make(source));
      [part, nodes] = [[], 0];
    };
    for (const source of sources) {
      part.push(source);
      nodes += nodesOf(source);
      if (nodes >= NODES_PER_TURN) startPart();
    }
    startPart();
    return items;
  }

  readonly #startNext = (): void => {
    this.#inTurn = 0;
    const most = Math.max(LEAST_NODES_PER_TURN, NODES_PER_TURN / waitingOperations);
    do {
      const work = this.#waiting[this.#firstWaiting];
      if (!work) break;
      this.#firstWaiting += 1;
      this.#inTurn += work.nodes;
      work.start();
    } while (this.#inTurn < most);
    if (this.#firstWaiting < this.#waiting.length) setImmediate(this.#startNext);
    else {
      this.#waiting.length = 0;
      this.#firstWaiting = 0;
      waitingOperations -= 1;
    }
  };

  // Texts are counted as they are made, so that an answer that will be too long is refused before it is complete.
  #add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.limits.maxAnswerBytes) this.refuseLength();
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
