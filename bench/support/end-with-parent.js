// Preloaded into every server under test (`node --import`): a benchmark that is killed leaves no server behind.
process.once('disconnect', () => process.exit(0));
// The channel itself must not keep a server alive that has drained.
process.channel?.unref();
