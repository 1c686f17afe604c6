import { type StoresCommand, withStores } from './with-stores.js';

/** `mediagraph migrate`: brings the database's schema up to date, as `serve` does at its start. Resolves to the exit status. */
export function migrateCommand(command: StoresCommand): Promise<number> {
  return withStores(command, async ({ database }) => {
    command.stdout.write(`the schema is up to date (${database.engine})\n`);
  });
}
