import { z } from 'zod';
import { configSchema } from '../../src/config/schema.js';
import { asWritten, type Unit } from '../../src/settings/units.js';

/** One key of the configuration, as the schema has it. */
export interface Setting {
  /** Such as `delivery.urlTtl`; `[]` stands for any entry of a list. */
  readonly path: string;
  readonly description: string;
  /** What a value looks like, for people. */
  readonly form: string;
  /** As it would be written into the file; null = it has no default. */
  readonly fallback: string | null;
  readonly isRequired: boolean;
}

export interface Settings {
  /** The sections of the file in their order. */
  readonly sections: readonly SettingGroup[];
  /** What every channel has, whatever its provider. */
  readonly everyChannel: readonly Setting[];
  /** What the channels of each provider have besides, by the provider's name. */
  readonly channels: readonly SettingGroup[];
}

export interface SettingGroup {
  readonly name: string;
  readonly description: string;
  readonly settings: readonly Setting[];
}

/** The parts of JSON Schema that zod writes for this configuration; `form` and `unit` are the schema's own words. */
const nodeSchema = z.object({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  description: z.string().optional(),
  form: z.string().optional(),
  unit: z.enum(['ms', 'bytes', 'mode']).optional(),
  default: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  const: z.string().optional(),
  required: z.array(z.string()).optional(),
  get properties() {
    return z.record(z.string(), nodeSchema).optional();
  },
  get additionalProperties() {
    return z.union([z.boolean(), nodeSchema]).optional();
  },
  get items() {
    return nodeSchema.optional();
  },
  get anyOf() {
    return z.array(nodeSchema).optional();
  },
  get oneOf() {
    return z.array(nodeSchema).optional();
  },
});
type Node = z.infer<typeof nodeSchema>;

export function readSettings(): Settings {
  const root = nodeSchema.parse(
    z.toJSONSchema(configSchema, {
      io: 'input',
      unrepresentable: 'any',
      // zod leaves out defaults of values that are read from another form, "1h" as milliseconds: `written` undoes the reading.
      override: ({ zodSchema, jsonSchema }) => {
        const { def } = zodSchema._zod;
        if (def.type === 'default') jsonSchema.default = def.defaultValue;
      },
    }),
  );
  const { channels, providers, ...sections } = root.properties ?? {};
  if (!channels || !providers) throw new Error('expected a schema with channels and providers');
  const ofProviders = variantsOf(channels.items ?? {}).map((node) => ({
    ...groupOf('channels[]', node),
    name: node.properties?.provider?.const ?? '',
  }));
  const isEverywhere = (setting: Setting) =>
    ofProviders.every(({ settings }) => settings.some((other) => JSON.stringify(other) === JSON.stringify(setting)));
  return {
    sections: [...Object.entries(sections).map(([name, node]) => groupOf(name, node)), policyGroup(providers)],
    everyChannel: ofProviders[0]?.settings.filter(isEverywhere) ?? [],
    channels: ofProviders.map((group) => ({
      ...group,
      settings: group.settings.filter((setting) => !isEverywhere(setting) && setting.path !== 'channels[].provider'),
    })),
  };
}

/** What a default in the schema's own unit looks like in a file. Durations and sizes need no quotes there. */
export function written(value: unknown, unit: Unit | undefined): string {
  const form = asWritten(value, unit);
  return typeof form === 'string' && (unit === 'ms' || unit === 'bytes') ? form : JSON.stringify(form);
}

function groupOf(name: string, node: Node): SettingGroup {
  const { description = '', additionalProperties: entry } = node;
  // The keys of a mapping of names, such as tenants, are the same for every name.
  const isByName = typeof entry === 'object' && entry.properties !== undefined;
  const settings = isByName ? settingsBelow(`${name}.<${name.replace(/s$/, '')}>`, entry) : settingsBelow(name, node);
  return { name, description, settings };
}

// The same keys for each provider: told once.
function policyGroup(providers: Node): SettingGroup {
  const [policies, ...others] = new Set(Object.values(providers.properties ?? {}).map((node) => JSON.stringify(node)));
  if (policies === undefined || others.length > 0) throw new Error('expected the same keys for every provider');
  const { settings } = groupOf('providers.<provider>', nodeSchema.parse(JSON.parse(policies)));
  return { name: 'providers', description: providers.description ?? '', settings };
}

function settingsBelow(path: string, node: Node): Setting[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const own = settingOf(`${path}.${key}`, child, node.required?.includes(key) ?? false);
    // A mapping that must be there says nothing that its keys do not.
    const isSilent = child.description === undefined && objectOf(child) !== null;
    return [...(isSilent ? [] : [own]), ...settingsInside(own.path, child)];
  });
}

function settingsInside(path: string, node: Node): Setting[] {
  const object = objectOf(node);
  if (object) return settingsBelow(path, object);
  const item = variantsOf(node).flatMap(({ items }) => (items ? [items] : []))[0];
  return item?.properties ? settingsBelow(`${path}[]`, item) : [];
}

function settingOf(path: string, node: Node, isRequired: boolean): Setting {
  const { description = '', default: fallback } = node;
  const unit = variantsOf(node).find((variant) => variant.unit)?.unit ?? node.unit;
  const isWritten = fallback !== undefined;
  return { path, description, form: formOf(node), fallback: isWritten ? written(fallback, unit) : null, isRequired };
}

function formOf(node: Node): string {
  if (node.form !== undefined) return node.form;
  if (node.const !== undefined) return `\`${node.const}\``;
  if (node.enum) return node.enum.map((word) => `\`${word}\``).join(', ');
  if (node.anyOf || node.oneOf) return variantsOf(node).map(formOf).join(', or ');
  switch (node.type) {
    case 'null':
      return '`null`';
    case 'object':
      return node.properties ? 'a mapping of the keys below' : 'a mapping of texts';
    case 'array':
      return node.items?.properties ? 'a list of mappings of the keys below' : `a list: ${formOf(node.items ?? {})}`;
    case 'string':
      return 'text';
    default:
      throw new Error(`expected a form in words for ${JSON.stringify(node)}; give it one with .meta({ form })`);
  }
}

function objectOf(node: Node): Node | null {
  return variantsOf(node).find(({ properties }) => properties !== undefined) ?? null;
}

function variantsOf(node: Node): readonly Node[] {
  return node.anyOf ?? node.oneOf ?? [node];
}
