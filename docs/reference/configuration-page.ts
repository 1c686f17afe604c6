import { withoutEffectYet } from '../../src/config/config.js';
import { GENERATED, linkTo, page, table } from './markdown.js';
import { readSettings, type Setting, type SettingGroup } from './setting.js';

const INTRODUCTION = `# Configuration

The configuration is one YAML or JSON file. Its path is the option \`--config FILE\` or the environment variable \`MEDIA_CONFIG\`.
Every key except \`channels\` has a default. This page is generated from the schema that validates the file.

- The server replaces \`\${VAR}\` and \`\${VAR:-default}\` in values with environment variables, so the file need not contain secrets.
- A duration has a unit: \`500ms\`, \`10s\`, \`5m\`, \`1h\`, \`30d\`. A size is a number of bytes or has a unit: \`4096\`, \`100MB\`
  (10^6), \`64MiB\` (2^20). A number or a boolean may be a text, because a replaced variable is always a text.
- An unknown key is a fault. The server reports every fault with its path and exits with status 2 before it listens.
- \`config.example.yaml\` is a complete file to start from.`;

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
    'These keys are valid for each entry of `channels`. Its key `provider` selects one of the sections below.',
    settingTable(everyChannel),
    ...ofChannels.map(groupText),
    '[providers.md](providers.md) explains where to find each credential and where to enter each webhook.',
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
  return withoutEffectYet(document).length > 0
    ? `${description} **This key has no effect in this version.**`
    : description;
}
