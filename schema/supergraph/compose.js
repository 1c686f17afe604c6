// @ts-check
/*
 * Composes the subgraphs that rover.yaml names into supergraph.graphql, as `rover supergraph compose` does.
 *
 *   node schema/supergraph/compose.js            writes the file
 *   node schema/supergraph/compose.js --check    writes nothing; status 1 unless the file holds what would be written
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { run } from './serve-subgraph.js';

const CONFIGURATION = new URL('rover.yaml', import.meta.url);
const SUPERGRAPH = new URL('supergraph.graphql', import.meta.url);
const HEADER = '# Composed from rover.yaml by `npm run supergraph`; changes by hand are overwritten.\n\n';

const configuration = z.object({
  subgraphs: z.record(z.string(), z.object({ routing_url: z.string(), schema: z.object({ file: z.string() }) })),
});

await run(async () => {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
  const supergraph = HEADER + (await compose());
  if (!values.check) return writeFile(SUPERGRAPH, supergraph);
  if ((await text(SUPERGRAPH)) !== supergraph)
    throw new Error(
      'schema/supergraph/supergraph.graphql differs from its subgraphs; write it anew: npm run supergraph',
    );
});

/** @throws {Error} with every error of the composition */
async function compose() {
  const { subgraphs } = configuration.parse(parseYaml(await text(CONFIGURATION)));
  const services = Object.entries(subgraphs).map(async ([name, { routing_url: url, schema }]) => ({
    name,
    url,
    typeDefs: parse(await text(new URL(schema.file, CONFIGURATION))),
  }));
  const { errors, supergraphSdl } = composeServices(await Promise.all(services));
  if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
  return `${supergraphSdl.trim()}\n`;
}

/** @type {(file: URL) => Promise<string>} */
async function text(file) {
  // A checkout on Windows may have changed the line ends.
  return (await readFile(file, 'utf8')).replaceAll('\r\n', '\n');
}
