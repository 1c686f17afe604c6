/** The server that the demo shows. The command `mediagraph demo` provides it. */
export interface DemoServer {
  /** The address on which it listens. */
  readonly url: string;
  /** Resolves when everything that was listed or delivered so far is recorded and stored. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** What the demo needs from the program that loads it. */
export interface DemoHost {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): void };
  /**
   * @param config as in a configuration file
   * @param options.log receives the log's lines, from level `warn`
   * @param options.exampleVariables the variables of the explorer's example operations
   */
  startServer(
    config: Readonly<Record<string, unknown>>,
    options: {
      readonly log: { write(line: string): void };
      readonly exampleVariables: Readonly<Record<string, unknown>>;
    },
  ): Promise<DemoServer>;
  /** Resolves at the first SIGTERM or SIGINT. */
  untilSignal(): Promise<void>;
}
