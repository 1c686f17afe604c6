/** `deploy/kubernetes`: the schemas of the API, and what the files say about each other. */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { METRICS, type MetricDefinition } from '../../../src/telemetry/instruments/metric-list.js';
import { checked, DEPLOY, documentsOf, textOf, VERSION } from './files.js';
import { faultsOf, filesIn, type KubernetesObject, kustomizationOf, objectsIn } from './kubernetes-objects.js';

const DRAIN_S = 25;
/** Not manifests, but what the tools around them read. */
const OTHER_FILES = ['kustomization.yaml', 'config.yaml', 'autoscaler-patch.yaml', 'adapter-values.yaml'];

const base = kustomizationOf('');
const component = kustomizationOf('prometheus/');
const objects = [
  ...objectsIn('', base.resources),
  ...objectsIn('prometheus/', component.resources),
  ...objectsIn('examples/', filesIn('examples/')),
];

function only(kind: string): KubernetesObject & { readonly spec: Readonly<Record<string, unknown>> } {
  const found = objects.filter(([, object]) => object.kind === kind);
  if (found.length !== 1 || !found[0]) throw new Error(`expected one ${kind}, got ${found.length}`);
  const [, object] = found[0];
  return { ...object, spec: object.spec ?? {} };
}

const secretReference = z.object({ name: z.string(), key: z.string() });
const container = z.looseObject({
  image: z.string(),
  args: z.array(z.string()),
  env: z.array(z.object({ name: z.string(), valueFrom: z.object({ secretKeyRef: secretReference }) })),
  envFrom: z.array(z.object({ secretRef: z.object({ name: z.string(), optional: z.boolean() }) })),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]),
  lifecycle: z
    .looseObject({ preStop: z.object({ exec: z.object({ command: z.tuple([z.literal('sleep'), z.string()]) }) }) })
    .optional(),
  securityContext: z.unknown(),
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })),
});
const pod = z.looseObject({
  terminationGracePeriodSeconds: z.number().optional(),
  automountServiceAccountToken: z.boolean(),
  securityContext: z.unknown(),
  containers: z.tuple([container]),
  volumes: z.array(z.looseObject({ name: z.string(), configMap: z.object({ name: z.string() }).optional() })),
});
const template = z.looseObject({ metadata: z.object({ labels: z.record(z.string(), z.string()) }), spec: pod });

function templateOf(kind: 'Deployment' | 'Job') {
  return z.looseObject({ template }).parse(only(kind).spec).template;
}

function containerOf(kind: 'Deployment' | 'Job') {
  return templateOf(kind).spec.containers[0];
}

describe('the manifests', () => {
  it('are objects that Kubernetes accepts, without unknown fields', () => {
    expect(objects.map(([file, object]) => [file, object.kind, faultsOf(object)])).toEqual(
      objects.map(([file, object]) => [file, object.kind, []]),
    );
    expect(objects.length).toBeGreaterThan(11);
  });

  it('are held to the schemas', () => {
    const deployment = only('Deployment');
    const changed = (spec: Readonly<Record<string, unknown>>) => ({
      ...deployment,
      spec: { ...deployment.spec, ...spec },
    });
    expect(faultsOf(deployment)).toEqual([]);
    expect(faultsOf(changed({ minReadySecond: 5 }))).toEqual(['unknown field /spec/minReadySecond']);
    expect(faultsOf(changed({ minReadySeconds: 'five' }))).toEqual([expect.stringContaining('minReadySeconds')]);
    expect(faultsOf(changed({ selector: undefined }))).toEqual([expect.stringContaining('selector')]);
    expect(faultsOf({ ...deployment, kind: 'Deploymnet' })).toHaveLength(1);
  });

  it('are all listed, and the examples are not', () => {
    for (const [folder, { resources }] of [
      ['', base],
      ['prometheus/', component],
    ] as const)
      expect(filesIn(folder).filter((name) => !OTHER_FILES.includes(name))).toEqual([...resources].sort());
    expect([base.kind, component.kind]).toEqual(['Kustomization', 'Component']);
    for (const { path, target } of component.patches) {
      expect(existsSync(`${DEPLOY}kubernetes/prometheus/${path}`)).toBe(true);
      expect(only(target.kind).metadata.name).toBe(target.name);
    }
  });

  it('run the version of this package', () => {
    const { images, configMapGenerator } = z
      .looseObject({
        images: z.tuple([z.object({ name: z.string(), newName: z.string(), newTag: z.string() })]),
        configMapGenerator: z.tuple([z.looseObject({ name: z.string(), files: z.array(z.string()) })]),
      })
      .parse(base);
    expect(images[0]).toMatchObject({ name: 'mediagraph', newTag: VERSION });
    // A Job that has run cannot be changed, so an upgrade needs another name.
    expect(only('Job').metadata.name).toBe(`mediagraph-migrate-${VERSION}`);
    for (const kind of ['Deployment', 'Job'] as const) {
      expect(containerOf(kind).image).toBe('mediagraph');
      const { volumes } = templateOf(kind).spec;
      expect(volumes.find(({ name }) => name === 'config')?.configMap?.name).toBe(configMapGenerator[0].name);
    }
    expect(configMapGenerator[0].files).toEqual(['config.yaml']);
    expect([containerOf('Deployment').args, containerOf('Job').args]).toEqual([['serve'], ['migrate']]);
  });
});

describe('the pods', () => {
  it('meet the restricted Pod Security Standard, on a read-only file system', () => {
    for (const kind of ['Deployment', 'Job'] as const) {
      const { spec } = templateOf(kind);
      expect(spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10_001,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(spec.automountServiceAccountToken).toBe(false);
      const { securityContext, volumeMounts } = spec.containers[0];
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(volumeMounts.map(({ mountPath }) => mountPath)).toEqual(['/etc/mediagraph', '/app/data', '/tmp']);
    }
  });

  it('have the time that a drain takes', () => {
    const { terminationGracePeriodSeconds = 0, containers } = templateOf('Deployment').spec;
    const beforeS = Number(containers[0].lifecycle?.preStop.exec.command[1]);
    expect(terminationGracePeriodSeconds).toBeGreaterThan(beforeS + DRAIN_S);
  });

  it('get every variable of the configuration from the example of the Secret', async () => {
    const { env, envFrom } = containerOf('Deployment');
    expect([containerOf('Job').env, containerOf('Job').envFrom]).toEqual([env, envFrom]);
    const secrets = new Map(
      objects
        .filter(([, { kind }]) => kind === 'Secret')
        .map(([, secret]) => [
          secret.metadata.name,
          z.looseObject({ stringData: z.record(z.string(), z.string()) }).parse(secret).stringData,
        ]),
    );
    const values = Object.fromEntries(
      env.map(({ name, valueFrom: { secretKeyRef } }) => [
        name,
        secrets.get(secretKeyRef.name)?.[secretKeyRef.key] ?? '',
      ]),
    );
    expect(Object.values(values)).not.toContain('');
    expect(Object.keys(values)).toHaveLength(Object.keys(secrets.get('mediagraph') ?? {}).length);
    expect(envFrom.map(({ secretRef }) => secrets.has(secretRef.name))).toEqual([true]);
    expect(await checked('kubernetes/config.yaml', values)).toEqual([
      0,
      expect.stringContaining('configuration is valid'),
    ]);
    const [status, faults] = await checked('kubernetes/config.yaml', {});
    expect(status).toBe(2);
    for (const name of Object.keys(values)) expect(faults).toContain(`the environment variable ${name} is not set`);
  });
});

describe('the objects agree in', () => {
  const selector = { 'app.kubernetes.io/name': 'mediagraph', 'app.kubernetes.io/component': 'server' };

  it('labels', () => {
    expect(templateOf('Deployment').metadata.labels).toEqual(selector);
    expect(only('Deployment').spec.selector).toEqual({ matchLabels: selector });
    expect(only('Service').spec.selector).toEqual(selector);
    expect(only('PodDisruptionBudget').spec.selector).toEqual({ matchLabels: selector });
    expect(only('ServiceMonitor').spec.selector).toEqual({ matchLabels: selector });
    expect(only('Service').metadata.labels).toEqual(selector);
    // The migration needs the network as well, and requests must not reach it.
    const { matchLabels } = z
      .object({ matchLabels: z.record(z.string(), z.string()) })
      .parse(only('NetworkPolicy').spec.podSelector);
    expect(templateOf('Job').metadata.labels).toMatchObject(matchLabels);
    expect(templateOf('Job').metadata.labels).not.toMatchObject(selector);
    expect(selector).toMatchObject(matchLabels);
  });

  it('ports', () => {
    const { metrics } = z
      .looseObject({ metrics: z.object({ port: z.number() }) })
      .parse(documentsOf('kubernetes/config.yaml')[0]);
    const ports = containerOf('Deployment').ports;
    expect(ports).toEqual([
      { name: 'http', containerPort: 4000 },
      { name: 'metrics', containerPort: metrics.port },
    ]);
    const served = z
      .array(z.looseObject({ name: z.string(), targetPort: z.string() }))
      .parse(only('Service').spec.ports);
    expect(served.map(({ name, targetPort }) => [name, targetPort])).toEqual(ports.map(({ name }) => [name, name]));
    expect(only('ServiceMonitor').spec.endpoints).toEqual([expect.objectContaining({ port: 'metrics' })]);
    const admitted = z
      .array(z.looseObject({ ports: z.array(z.looseObject({ port: z.number() })) }))
      .parse(only('NetworkPolicy').spec.ingress);
    expect(admitted.flatMap(({ ports: open }) => open.map(({ port }) => port))).toEqual(
      ports.map(({ containerPort }) => containerPort),
    );
    const paths = [...textOf('kubernetes/examples/ingress.yaml').matchAll(/- path: (\S+)/g)].map(([, path]) => path);
    expect(paths).toEqual(['/graphql', '/media/', '/webhooks/']);
    expect(JSON.stringify(only('Ingress').spec)).not.toMatch(/"name":"(?!mediagraph"|http")/);
  });

  it('names and metrics of the autoscaler', () => {
    expect(only('HorizontalPodAutoscaler').spec.scaleTargetRef).toEqual({
      apiVersion: only('Deployment').apiVersion,
      kind: 'Deployment',
      name: only('Deployment').metadata.name,
    });
    const external = z.object({
      op: z.literal('add'),
      path: z.literal('/spec/metrics/-'),
      value: z.object({
        type: z.literal('External'),
        external: z.object({
          metric: z.object({ name: z.string(), selector: z.object({ matchLabels: z.object({ kind: z.string() }) }) }),
          target: z.object({ type: z.literal('Value'), value: z.string() }),
        }),
      }),
    });
    const added = z.array(external).parse(documentsOf('kubernetes/prometheus/autoscaler-patch.yaml')[0]);
    const scaler = only('HorizontalPodAutoscaler');
    const metrics = [...z.array(z.unknown()).parse(scaler.spec.metrics), ...added.map(({ value }) => value)];
    expect(faultsOf({ ...scaler, spec: { ...scaler.spec, metrics } })).toEqual([]);
    const { rules } = z
      .object({
        rules: z.object({
          external: z.array(
            z.looseObject({ seriesQuery: z.string(), name: z.object({ as: z.string() }), metricsQuery: z.string() }),
          ),
        }),
      })
      .parse(documentsOf('kubernetes/prometheus/adapter-values.yaml')[0]);
    const definitions: Readonly<Record<string, MetricDefinition>> = METRICS;
    for (const { value } of added) {
      const { name, selector: chosen } = value.external.metric;
      expect(definitions[name]?.labels?.kind).toContain(`\`${chosen.matchLabels.kind}\``);
      expect(rules.external.find((rule) => rule.name.as === name)?.seriesQuery).toMatch(new RegExp(`^${name}\\{`));
    }
    for (const { metricsQuery } of rules.external)
      for (const [name] of metricsQuery.matchAll(/mediagraph_\w+/g)) expect(definitions[name]).toBeDefined();
  });
});
