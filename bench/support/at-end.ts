const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

const cleanUps = new Set<() => Promise<void>>();

/**
 * Registers a clean-up that runs when this process is ended from outside.
 * @returns a function that runs it at the ordinary end; it runs once
 */
export function atEnd(cleanUp: () => Promise<void>): () => Promise<void> {
  const once = async () => {
    if (cleanUps.delete(once)) await cleanUp();
  };
  cleanUps.add(once);
  return once;
}

for (const [signal, status] of Object.entries(SIGNALS)) {
  process.once(signal, () => {
    // What is under way fails when its database goes; this says why.
    process.stderr.write(`ended by ${signal}\n`);
    void Promise.allSettled([...cleanUps].map((cleanUp) => cleanUp())).then(() => process.exit(status));
  });
}
