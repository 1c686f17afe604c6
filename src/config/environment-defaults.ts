import { isMapping } from '../settings/faults.js';

/** Set by the container image, since loopback inside a container cannot be reached from outside it. */
const HOST_VARIABLE = 'MEDIA_HOST';

/** The document with `server.host` from the environment, if the variable is set and the file sets no host. */
export function withEnvironmentDefaults(document: unknown, env: NodeJS.ProcessEnv): unknown {
  const file = document ?? {};
  if (!env[HOST_VARIABLE] || !isMapping(file)) return document;
  const server = file.server ?? {};
  if (!isMapping(server) || server.host !== undefined) return document;
  // The variable is replaced like those in the file, so that a fault of its value is worded in the same way.
  return { ...file, server: { ...server, host: `\${${HOST_VARIABLE}}` } };
}
