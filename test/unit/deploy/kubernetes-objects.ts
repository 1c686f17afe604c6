import { readdirSync } from 'node:fs';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { Job } from 'kubernetes-models/batch/v1/Job';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import { z } from 'zod';
import { DEPLOY, documentsOf } from './files.js';

const FOLDER = 'kubernetes/';

interface Model {
  readonly apiVersion: string;
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: each model has its own type of data.
  new (data?: any): { validate(): void };
}

const MODELS: readonly Model[] = [
  Deployment,
  HorizontalPodAutoscaler,
  Ingress,
  Job,
  Namespace,
  NetworkPolicy,
  PodDisruptionBudget,
  Secret,
  Service,
  ServiceAccount,
  ServiceMonitor,
];

const object = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    namespace: z.string().optional(),
  }),
  spec: z.looseObject({}).optional(),
});
export type KubernetesObject = z.output<typeof object>;

const kustomization = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  resources: z.array(z.string()),
  patches: z
    .array(z.object({ path: z.string(), target: z.object({ kind: z.string(), name: z.string() }) }))
    .default([]),
});

/** The objects of the manifests in a folder below `kubernetes/`, by their files. */
export function objectsIn(folder: string, files: readonly string[]): Array<[file: string, object: KubernetesObject]> {
  return files.flatMap((name) => {
    const file = `${folder}${name}`;
    return documentsOf(FOLDER + file).map((document): [string, KubernetesObject] => [file, object.parse(document)]);
  });
}

export function kustomizationOf(folder: string) {
  return kustomization.parse(documentsOf(`${FOLDER}${folder}kustomization.yaml`)[0]);
}

export function filesIn(folder: string): string[] {
  return readdirSync(`${DEPLOY}${FOLDER}${folder}`).filter((name) => name.endsWith('.yaml'));
}

/** What Kubernetes would refuse or silently drop: violations of the schema, and fields that it does not have. */
export function faultsOf(document: KubernetesObject): string[] {
  const { apiVersion, kind } = document;
  const model = MODELS.find((known) => known.apiVersion === apiVersion && known.kind === kind);
  if (model === undefined) return [`no model of ${apiVersion} ${kind}`];
  const reads = new Reads();
  const instance = new model(document);
  try {
    model.prototype.validate.call(reads.of(instance));
  } catch (thrown) {
    return [thrown instanceof Error ? thrown.message : String(thrown)];
  }
  return reads.missed(document, '');
}

/**
 * Records which fields of an object are read. The validators have been compiled from schemas that allow further fields, as the
 * API server does, and they read exactly the fields that the schemas describe.
 */
class Reads {
  readonly #byPath = new Set<string>();

  of<Value>(value: Value, path = ''): Value {
    if (typeof value !== 'object' || value === null) return value;
    return new Proxy(value, {
      get: (target, key) => {
        const at = `${path}/${String(key)}`;
        this.#byPath.add(at);
        return this.of(Reflect.get(target, key), at);
      },
    });
  }

  missed(value: unknown, path: string): string[] {
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, item]) => {
      const at = `${path}/${key}`;
      return this.#byPath.has(at) ? this.missed(item, at) : [`unknown field ${at}`];
    });
  }
}
