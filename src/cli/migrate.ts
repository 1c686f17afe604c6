import { type StoresCommand, withStores } from './with-stores.js';

/** `mediagraph migrate`: updates the database's schema, as `serve` does when it starts. Resolves to the exit status. */
export function migrateCommand(command: StoresCommand): Promise<number> {
  return withStores(command, async ({ database }) => {
    command.stdout.write(`the schema is up to date (${database.engine})\n`);
  });
}
