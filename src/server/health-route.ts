import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Something that the process needs to serve its callers. */
export interface Dependency {
  /** As callers read it, such as `database`. */
  readonly name: string;
  /** Resolves when it answers. */
  ping(): Promise<void>;
}

export interface Health {
  /** false while the process starts or drains and should get no new traffic. */
  readonly isReady: () => boolean;
  readonly dependencies: readonly Dependency[];
  /** The key set of the issuer of tokens; null: nothing keeps the process from authenticating its callers. */
  readonly authenticationFault: () => string | null;
}

/** One dependency that is missing, in words that reveal nothing else. */
interface Missing {
  readonly name: string;
  readonly reason: string;
}

/** A dependency that takes longer counts as missing. What it answers later is dropped. */
const ANSWER_WITHIN_MS = 5_000;

/**
 * `/livez`: the process runs. `/readyz`: it accepts requests, or which dependencies are missing. Neither needs
 * credentials or reveals anything else.
 */
export function registerHealthRoutes(http: FastifyInstance, health: Health): void {
  http.get('/livez', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return { status: 'ok' };
  });
  http.get('/readyz', async (request, reply) => {
    const missing = await missingOf(health, request);
    const reasons = health.isReady()
      ? missing.map(({ reason }) => reason)
      : ['the server is starting or stopping', ...missing.map(({ reason }) => reason)];
    reply.code(reasons.length === 0 ? 200 : 503).header('cache-control', 'no-store');
    return reasons.length === 0 ? { status: 'ok' } : { status: 'unavailable', reason: reasons.join('; '), missing };
  });
}

async function missingOf({ dependencies, authenticationFault }: Health, request: FastifyRequest): Promise<Missing[]> {
  const found = await Promise.all(
    dependencies.map(async (dependency) => {
      const fault = await faultOf(dependency, request);
      return fault === null ? [] : [{ name: dependency.name, reason: fault }];
    }),
  );
  const fault = authenticationFault();
  return [...found.flat(), ...(fault === null ? [] : [{ name: 'key set', reason: fault }])];
}

async function faultOf({ name, ping }: Dependency, request: FastifyRequest): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`the ${name} does not answer`), ANSWER_WITHIN_MS);
  });
  const pinged = ping().then(
    () => null,
    (err: unknown) => {
      request.log.warn({ err, dependency: name }, 'a dependency is unavailable');
      return `the ${name} is unavailable`;
    },
  );
  try {
    return await Promise.race([pinged, late]);
  } finally {
    clearTimeout(timer);
  }
}
