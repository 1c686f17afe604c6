import { Client } from '../client.js';
import { Nginx } from '../nginx.js';
import { S3TestServer } from '../s3.js';
import { ClusterProviders } from './cluster-providers.js';
import { OwnPostgres } from './own-postgres.js';
import type { ProvidersFacts } from './providers-protocol.js';
import { Replica, replicaPorts } from './replica.js';

const REPLICAS = 3;

interface Closable {
  close(): Promise<void>;
}

/**
 * Three replicas of the server on one PostgreSQL and one S3 server, nginx in front, the providers behind: all of them
 * processes of their own.
 */
export class Cluster {
  private constructor(
    readonly postgres: OwnPostgres,
    readonly store: S3TestServer,
    readonly providers: ClusterProviders,
    readonly facts: ProvidersFacts,
    readonly replicas: readonly Replica[],
    /** Speaks to nginx. */
    readonly client: Client,
    private readonly parts: readonly Closable[],
  ) {}

  /** @param programs the folder of PostgreSQL's programs */
  static async start(programs: string): Promise<Cluster> {
    const parts: Closable[] = [];
    const keep = async <Part extends Closable>(starting: Promise<Part>): Promise<Part> => {
      const part = await starting;
      parts.push(part);
      return part;
    };
    try {
      const starting = [
        keep(OwnPostgres.start(programs)),
        keep(S3TestServer.startStandIn()),
        ClusterProviders.start().then(async ([providers, facts]) => {
          await keep(Promise.resolve(providers));
          return [providers, facts] as const;
        }),
      ] as const;
      await Promise.allSettled(starting);
      const [postgres, store, [providers, facts]] = await Promise.all(starting);
      const ports = await replicaPorts(REPLICAS);
      const nginx = await keep(Nginx.balancing(ports.map((port) => `127.0.0.1:${port}`)));
      const { channels } = facts;
      const common = { databaseUrl: postgres.url, store: store.options, channels, publicUrl: nginx.url };
      const replicas: Replica[] = [];
      for (const [index, port] of ports.entries())
        replicas.push(await keep(Replica.make({ ...common, name: `replica ${index + 1}`, port })));
      // The first one makes the tables.
      const [first, ...others] = replicas;
      await first?.start();
      await Promise.all(others.map((replica) => replica.start()));
      await Promise.all(replicas.map((replica) => replica.answers()));
      const client = await keep(Promise.resolve(new Client(nginx.url)));
      return new Cluster(postgres, store, providers, facts, replicas, client, parts);
    } catch (thrown) {
      await closeAll(parts);
      throw thrown;
    }
  }

  close(): Promise<void> {
    return closeAll(this.parts);
  }
}

/** The last first, and all of them whatever happens to one. */
async function closeAll(parts: readonly Closable[]): Promise<void> {
  const faults: unknown[] = [];
  for (const part of [...parts].reverse()) await part.close().catch((thrown: unknown) => faults.push(thrown));
  if (faults.length > 0) throw new AggregateError(faults, 'parts of the cluster could not be closed');
}
