import { withoutEffectYet } from '../../src/config/config.js';
import { GENERATED, linkTo, page, table } from './markdown.js';
import { readSettings, type Setting, type SettingGroup } from './setting.js';

const INTRODUCTION = `# Configuration

One file, YAML or JSON, named with \`--config FILE\` or in the variable \`MEDIA_CONFIG\`. Every key has a default except
\`channels\`. This page is written from the schema that checks the file.

- \`\${VAR}\` and \`\${VAR:-default}\` are replaced from the environment, inside values only. No secret need stand in the file.
- A duration carries its unit: \`500ms\`, \`10s\`, \`5m\`, \`1h\`, \`30d\`. A size is a number of bytes or carries a unit: \`4096\`,
  \`100MB\` (10^6), \`64MiB\` (2^20). Numbers and booleans may be texts, since a replaced variable always is.
- An unknown key is a fault. All faults are told at once, each with its path, and the process exits with status 2 before it
  listens. \`mediagraph check-config --config FILE\` does that and nothing else.
- \`config.example.yaml\` is a whole file to start from.`;

/** docs/configuration.md */
export function configurationPage(): string {
  const { sections, everyChannel, channels } = readSettings();
  const ofChannels = channels.map((group) => ({ ...group, name: `Channels of ${group.name}` }));
  const contents = [...sections, { name: 'Every channel' }, ...ofChannels].map(({ name }) => `- ${linkTo(name)}`);
  return page([
    GENERATED,
    INTRODUCTION,
    contents.join('\n'),
    ...sections.map(groupText),
    '## Every channel',
    'Keys of each entry of `channels`, besides `provider`, which selects the keys of the sections below.',
    settingTable(everyChannel),
    ...ofChannels.map(groupText),
    'Where each credential is found, and which webhook to enter where: [providers.md](providers.md).',
  ]);
}

function groupText({ name, description, settings }: SettingGroup): string {
  return page([`## ${name}`, description, settingTable(settings)]).trimEnd();
}

function settingTable(settings: readonly Setting[]): string {
  return table(
    ['key', 'value', 'default', 'what it does'],
    settings.map((setting) => [
      `\`${setting.path.replace(/^channels\[\]\./, '')}\``,
      setting.form,
      fallbackOf(setting),
      descriptionOf(setting),
    ]),
  );
}

function fallbackOf({ fallback, isRequired }: Setting): string {
  if (fallback !== null) return `\`${fallback.replace(/^"(.*)"$/, '$1')}\``;
  return isRequired ? 'required' : '';
}

function descriptionOf({ path, description }: Setting): string {
  const document = path.split('.').reduceRight<unknown>((value, key) => ({ [key]: value }), 'given');
  return withoutEffectYet(document).length > 0 ? `${description} **Without effect in this version.**` : description;
}
