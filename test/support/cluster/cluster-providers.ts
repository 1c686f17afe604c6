import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { AskedOfProviders, ProvidersCalls, ProvidersFacts, ReceivedPhoto } from './providers-protocol.js';

const PROCESS = fileURLToPath(new URL('./providers-process.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** The providers of a cluster and the source of its uploads, in a process of their own. */
export class ClusterProviders {
  readonly #pending = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #calls = 0;
  #complaints = '';

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.resume();
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text;
    });
    child.on('message', (message) => this.#settle(message));
    child.once('exit', () => this.#rejectAll());
  }

  static async start(): Promise<[ClusterProviders, ProvidersFacts]> {
    const execArgv = ['--import', '@swc-node/register/esm-register'];
    const options = { execArgv, cwd: ROOT, silent: true, serialization: 'advanced' } as const;
    const providers = new ClusterProviders(fork(PROCESS, [], options));
    try {
      return [providers, await providers.#call<ProvidersFacts>('start')];
    } catch (thrown) {
      await providers.close();
      throw thrown;
    }
  }

  /** Lets a provider receive photo number `index`. Nothing announces it yet. */
  receive(photo: Parameters<ProvidersCalls['receive']>[0]): Promise<ReceivedPhoto> {
    return this.#call('receive', photo);
  }

  asked(): Promise<AskedOfProviders> {
    return this.#call('asked');
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    if (this.child.connected) this.child.disconnect();
    else this.child.kill('SIGKILL');
    await ended;
  }

  #call<Result>(name: keyof ProvidersCalls, argument?: unknown): Promise<Result> {
    this.#calls += 1;
    const id = this.#calls;
    const replied = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
    this.child.send({ id, name, argument }, (error) => {
      if (error) this.#settle({ id, error: error.message });
    });
    // The process is this project's own, and its protocol is typed on both sides.
    return replied as Promise<Result>;
  }

  #settle(message: unknown): void {
    if (!isReply(message)) return;
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.error === undefined) pending?.resolve(message.result);
    else pending?.reject(new Error(`the providers failed: ${message.error}`));
  }

  #rejectAll(): void {
    for (const { reject } of this.#pending.values()) reject(new Error(`the providers ended: ${this.#complaints}`));
    this.#pending.clear();
  }
}

function isReply(message: unknown): message is Reply {
  return typeof message === 'object' && message !== null && 'id' in message && typeof message.id === 'number';
}
