import { once } from 'node:events';
import { createServer } from 'node:net';

/** @throws Error, as `listen` does, when the server could not listen there */
export async function assertPortIsFree({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): Promise<void> {
  const trial = createServer();
  trial.listen({ host, port, exclusive: true });
  await once(trial, 'listening');
  trial.close();
  await once(trial, 'close');
}
