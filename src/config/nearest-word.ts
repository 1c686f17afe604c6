/** The known word that is nearest to `typed`, or null if none is near enough to be meant. */
export function nearestWord(typed: string, known: readonly string[]): string | null {
  const word = typed.toLowerCase();
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const nearest = ranked[0];
  if (!nearest) return null;
  const { candidate, distance } = nearest;
  return distance <= Math.min(2, Math.ceil(candidate.length / 2)) ? candidate : null;
}

/** The Levenshtein distance, computed row by row. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, fromChar] of [...from].entries()) {
    const next = [i + 1];
    for (const [j, toChar] of [...to].entries()) {
      const replace = (row[j] ?? 0) + (fromChar === toChar ? 0 : 1);
      next.push(Math.min(replace, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
