/** The server that the demo shows, as the command `mediagraph demo` hands it over. */
export interface DemoServer {
  /** The address that it listens on. */
  readonly url: string;
  /** Resolves when everything that was listed or delivered so far is recorded and kept. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** What the demo needs of the program that loads it. */
export interface DemoHost {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): void };
  /**
   * @param config as in a configuration file
   * @param options.log where the log's lines go, at level `warn`
   * @param options.exampleVariables of the explorer's example operations
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
