/** `deploy/compose.yaml` and its shared folder: the Compose specification, and what the files say about each other. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Ajv } from 'ajv';
import { z } from 'zod';
import { checked, DEPLOY, documentsOf, ROOT, textOf, VERSION, variablesOf } from './files.js';

const COMPOSE = 'compose.yaml';
const SHARED_FOLDER = 'compose.shared-folder.yaml';

const names = z.union([z.array(z.string()), z.record(z.string(), z.unknown()).transform(Object.keys)]);
const service = z.looseObject({
  image: z.string(),
  read_only: z.boolean().optional(),
  restart: z.string(),
  cap_drop: z.array(z.string()).optional(),
  cap_add: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  stop_grace_period: z.string().optional(),
  ports: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  volumes: z.array(z.union([z.string(), z.looseObject({ target: z.string() })])).default([]),
  networks: names,
  depends_on: names.default([]),
  healthcheck: z.looseObject({}).optional(),
  command: z.array(z.string()).optional(),
});
const composed = z
  .looseObject({
    services: z.record(z.string(), service),
    networks: z.record(z.string(), z.looseObject({ internal: z.boolean().optional() })),
    volumes: z.record(z.string(), z.unknown()),
  })
  .parse(documentsOf(COMPOSE)[0]);
const services = Object.entries(composed.services);
const configuration = z
  .looseObject({
    metrics: z.object({ port: z.number() }),
    storage: z.looseObject({ root: z.string(), s3: z.looseObject({ endpoint: z.string(), bucket: z.string() }) }),
  })
  .parse(documentsOf('mediagraph.yaml')[0]);

/** What `.env` has after the README's commands. */
const ENV = {
  MEDIAGRAPH_PUBLIC_URL: 'https://media.example.com',
  MEDIAGRAPH_SIGNING_KEY: 'a'.repeat(64),
  MEDIAGRAPH_API_KEY_SHA256: '0'.repeat(64),
  POSTGRES_PASSWORD: 'b'.repeat(48),
  S3_ACCESS_KEY_ID: 'c'.repeat(20),
  S3_SECRET_ACCESS_KEY: 'd'.repeat(48),
};

function validator() {
  const schema = JSON.parse(readFileSync(`${ROOT}test/unit/deploy/compose-spec/compose-spec.json`, 'utf8'));
  // The https form of the address of draft 7, which is the one that Ajv implements.
  return new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile({ ...schema, $schema: undefined });
}

/** Sources of mounts that are files of this repository, with their targets. */
function mountedFiles(): Array<[source: string, target: string]> {
  const all = [COMPOSE, SHARED_FOLDER].flatMap((file) => [...textOf(file).matchAll(/(\.\/[\w./-]+):(\/[\w./-]+):ro/g)]);
  return all.map(([, source = '', target = '']) => [source, target]);
}

describe('the Compose files', () => {
  it('follow the Compose specification', () => {
    const validate = validator();
    for (const file of [COMPOSE, SHARED_FOLDER]) {
      validate(documentsOf(file)[0]);
      expect([file, validate.errors]).toEqual([file, null]);
    }
    expect(validate({ services: { nginx: { image: 'nginx', tmpsf: ['/tmp'] } } })).toBe(false);
  });

  it('give each service no more than it needs', () => {
    for (const [name, { read_only, cap_drop, cap_add, security_opt }] of services)
      expect([name, read_only, cap_drop, cap_add.length, security_opt]).toEqual([
        name,
        true,
        ['ALL'],
        // Its entry point changes the owner of the volume and the user.
        name === 's3' ? 3 : 0,
        ['no-new-privileges:true'],
      ]);
  });

  it('pin the images, and restart what should run', () => {
    const once = ['migrate', 'bucket'];
    for (const [name, { image, restart, healthcheck }] of services) {
      expect([name, image]).toEqual([name, expect.stringMatching(/^[a-z/-]+:v?\d+\.\d+[\w.-]*$/)]);
      expect([name, restart]).toEqual([name, once.includes(name) ? 'no' : 'unless-stopped']);
      // The image of Mediagraph has one.
      expect([name, healthcheck !== undefined || once.includes(name) || image.startsWith('mediagraph:')]).toEqual([
        name,
        true,
      ]);
    }
  });

  it('publish nginx, and Grafana on this machine only', () => {
    const published = services.flatMap(([name, { ports }]) => ports.map((port) => [name, port]));
    expect(published).toEqual([
      ['nginx', `\${NGINX_PUBLISH:-127.0.0.1:8080}:8080`],
      ['grafana', `127.0.0.1:\${GRAFANA_PORT:-3000}:3000`],
    ]);
    const onData = services.filter(([, { networks }]) => networks.includes('data')).map(([name]) => name);
    expect(composed.networks.data?.internal).toBe(true);
    expect(onData).not.toContain('nginx');
    for (const name of ['postgres', 's3']) expect([name, composed.services[name]?.networks]).toEqual([name, ['data']]);
  });

  it('name services, networks, volumes and files that exist', () => {
    for (const [name, { networks, depends_on, volumes }] of services) {
      expect([name, networks.filter((network) => !(network in composed.networks))]).toEqual([name, []]);
      expect([name, depends_on.filter((needed) => !(needed in composed.services))]).toEqual([name, []]);
      const named = volumes.flatMap((volume) =>
        typeof volume === 'string' ? (/^(\w+):/.exec(volume)?.[1] ?? []) : [],
      );
      expect([name, named.filter((volume) => !(volume in composed.volumes))]).toEqual([name, []]);
    }
    expect(mountedFiles().filter(([source]) => !existsSync(join(DEPLOY, source)))).toEqual([]);
    expect(mountedFiles().length).toBeGreaterThan(8);
    const changed = z
      .object({ services: z.record(z.string(), z.unknown()) })
      .loose()
      .parse(documentsOf(SHARED_FOLDER)[0]);
    expect(Object.keys(changed.services).filter((name) => !(name in composed.services))).toEqual([]);
  });

  it('run the version of this package, and wait longer than a drain takes', () => {
    const ours = services.filter(([, { image }]) => image.startsWith('mediagraph:'));
    expect(ours.map(([name, { image }]) => [name, image])).toEqual(
      ['mediagraph-a', 'mediagraph-b', 'migrate'].map((name) => [name, `mediagraph:${VERSION}`]),
    );
    for (const [, { stop_grace_period = '' }] of ours)
      expect(Number.parseInt(stop_grace_period, 10)).toBeGreaterThan(30);
  });

  it('take secrets from .env, and say which one is missing', () => {
    const variables = [...variablesOf(textOf(COMPOSE)), ...variablesOf(textOf(SHARED_FOLDER))];
    const example = new Map(
      [...textOf('.env.example').matchAll(/^#? ?([A-Z_0-9]+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
    );
    const required = new Set(variables.filter(([, rest]) => rest.startsWith(':?')).map(([name]) => name));
    expect([...required].filter((name) => !example.has(name))).toEqual([]);
    const secrets = [...example].filter(([, value]) => value === '').map(([name]) => name);
    expect(secrets.length).toBeGreaterThan(5);
    expect(secrets.filter((name) => !required.has(name ?? ''))).toEqual([]);
    // No value of a secret stands in a file.
    for (const [name, { environment }] of services)
      for (const [key, value] of Object.entries(environment))
        if (/PASSWORD|SECRET|KEY/.test(key))
          expect([name, key, value]).toEqual([name, key, expect.stringMatching(/^\$\{\w+:\?/)]);
    expect(textOf('.gitignore').split('\n')).toEqual(expect.arrayContaining(['.env', 'channels.env']));
  });
});

describe('the README', () => {
  const hasPrograms = spawnSync('sh', ['-c', 'command -v openssl sed cp chmod sha256sum cut']).status === 0;
  (hasPrograms ? it : it.skip)('has commands that make every secret (needs openssl)', async () => {
    const [, commands = ''] = /^ {3}```sh\n([\s\S]*?)^ {3}```$/m.exec(textOf('README.md')) ?? [];
    const folder = mkdtempSync(join(tmpdir(), 'mediagraph-compose-'));
    try {
      copyFileSync(`${DEPLOY}.env.example`, join(folder, '.env.example'));
      const printed = execFileSync('sh', ['-euc', commands], { cwd: folder }).toString();
      const text = readFileSync(join(folder, '.env'), 'utf8');
      const values = Object.fromEntries(
        [...text.matchAll(/^([A-Z_0-9]+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
      );
      expect(Object.entries(values).filter(([, value]) => value === '')).toEqual([]);
      expect(await checked('mediagraph.yaml', values)).toEqual([0, expect.stringContaining('configuration is valid')]);
      const key = /^the API key: (\S+)$/m.exec(printed)?.[1] ?? '';
      expect(values.MEDIAGRAPH_API_KEY_SHA256).toBe(createHash('sha256').update(key).digest('hex'));
      expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('mediagraph.yaml', () => {
  it('is a valid configuration with the variables that the Compose file passes', async () => {
    const passed = composed.services['mediagraph-a']?.environment ?? {};
    expect(Object.keys(passed).sort()).toEqual(Object.keys(ENV).sort());
    const changed = z
      .looseObject({
        services: z.looseObject({ migrate: z.looseObject({ environment: z.record(z.string(), z.string()) }) }),
      })
      .parse(documentsOf(SHARED_FOLDER)[0]).services.migrate.environment;
    for (const env of [ENV, { ...ENV, ...changed }])
      expect(await checked('mediagraph.yaml', env)).toEqual([0, expect.stringContaining('configuration is valid')]);
    const [status, faults] = await checked('mediagraph.yaml', {});
    expect(status).toBe(2);
    for (const name of Object.keys(ENV)) expect(faults).toContain(`the environment variable ${name} is not set`);
  });

  it('agrees with the services that it names', () => {
    const { endpoint, bucket } = configuration.storage.s3;
    const bucketUrl = composed.services.bucket?.environment.S3_BUCKET_URL;
    expect(bucketUrl).toBe(`${endpoint}/${bucket}`);
    expect(new URL(endpoint).hostname in composed.services).toBe(true);
    expect(textOf('mediagraph.yaml')).toContain('@postgres:5432/mediagraph');
    expect(composed.services.postgres?.environment).toMatchObject({
      POSTGRES_USER: 'mediagraph',
      POSTGRES_DB: 'mediagraph',
    });
  });

  it('has its folder where nginx looks for files', () => {
    const image = existsSync(`${ROOT}Dockerfile`) ? readFileSync(`${ROOT}Dockerfile`, 'utf8') : null;
    const folder = /^VOLUME (\S+)$/m.exec(image ?? 'VOLUME /app/data')?.[1] ?? '';
    expect(textOf(SHARED_FOLDER)).toContain(`media:${folder}`);
    const root = join(dirname(folder), configuration.storage.root);
    const alias = /alias (\S+);/.exec(textOf('offload/internal.conf'))?.[1];
    expect(alias).toBe(root.replace(folder, '/var/lib/mediagraph').concat('/'));
    const user = /^USER (\d+):(\d+)$/m.exec(image ?? 'USER 10001:10001');
    expect(textOf(SHARED_FOLDER)).toContain(`group_add: ["${user?.[2]}"]`);
  });
});

describe('Prometheus and Grafana', () => {
  it('find every replica by the name that nginx uses', () => {
    const [scraped] = z
      .looseObject({
        scrape_configs: z.array(
          z.object({
            job_name: z.string(),
            dns_sd_configs: z.array(z.looseObject({ names: z.array(z.string()), port: z.number() })),
          }),
        ),
      })
      .parse(documentsOf('prometheus/prometheus.yaml')[0]).scrape_configs;
    expect(scraped?.dns_sd_configs).toEqual([
      { names: ['mediagraph'], type: 'A', port: configuration.metrics.port, refresh_interval: '10s' },
    ]);
    expect(textOf('nginx/mediagraph.conf')).toContain('server mediagraph:4000 resolve');
    for (const name of ['mediagraph-a', 'mediagraph-b'])
      expect(
        z
          .looseObject({ services: z.record(z.string(), z.looseObject({ networks: z.unknown() })) })
          .parse(documentsOf(COMPOSE)[0]).services[name]?.networks,
      ).toEqual({
        front: { aliases: ['mediagraph'] },
        data: {},
        monitoring: { aliases: ['mediagraph'] },
      });
  });

  it('load the alerts and the dashboard', () => {
    const targets = new Map(mountedFiles());
    expect(targets.get('./prometheus/alerts.yaml')).toBe('/etc/prometheus/alerts.yaml');
    expect(documentsOf('prometheus/prometheus.yaml')[0]).toMatchObject({ rule_files: ['alerts.yaml'] });
    const [provider] = z
      .looseObject({ providers: z.array(z.looseObject({ options: z.object({ path: z.string() }) })) })
      .parse(documentsOf('grafana/provisioning/dashboards/mediagraph.yaml')[0]).providers;
    expect(dirname(targets.get('./grafana/mediagraph.json') ?? '')).toBe(provider?.options.path);
    expect(documentsOf('grafana/provisioning/datasources/prometheus.yaml')[0]).toMatchObject({
      datasources: [{ url: 'http://prometheus:9090', isDefault: true }],
    });
    expect(statSync(`${DEPLOY}grafana/mediagraph.json`).size).toBeGreaterThan(0);
  });

  const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
  (hasPromtool ? it : it.skip)('have a configuration that Prometheus accepts (needs promtool)', () => {
    const printed = execFileSync('promtool', ['check', 'config', `${DEPLOY}prometheus/prometheus.yaml`]).toString();
    expect(printed).toContain('SUCCESS');
  });
});
