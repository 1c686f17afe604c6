// @ts-check
/*
 * A third subgraph, which refers to Media by its key: notes, in memory.
 *
 *   node schema/supergraph/notes/server.js --port 4002
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { portFrom, run, serveSubgraph } from '../serve-subgraph.js';

/** @typedef {{ id: string, text: string, media: { id: string } }} Note */

/** @type {Map<string, Note>} in the order in which they were written */
const notes = new Map();

const resolvers = {
  Query: { notes: () => [...notes.values()] },
  Mutation: {
    // Whether there is such a media is not this subgraph's to know; its owner answers for it.
    /** @type {(source: unknown, args: { mediaId: string, text: string }) => Note} */
    addNote: (_source, { mediaId, text }) => {
      const note = { id: randomUUID(), text, media: { id: mediaId } };
      notes.set(note.id, note);
      return note;
    },
  },
  Note: {
    /** @type {(reference: { id: string }) => Note | null} */
    __resolveReference: ({ id }) => notes.get(id) ?? null,
  },
  Media: {
    /** @type {(media: { id: string }) => Note[]} */
    notes: ({ id }) => [...notes.values()].filter(({ media }) => media.id === id),
  },
};

await run(async () => {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '4002' } } });
  const sdl = new URL('notes.graphql', import.meta.url);
  await serveSubgraph({ name: 'notes', sdl, resolvers, port: portFrom(values.port) });
});
