/**
 * The kinds of background work:
 * `webhook` reads a stored webhook body, `copy` stores a provider's bytes here, `upload` carries out `uploadMediaFromUrl`,
 * `deletion` finishes a deletion that a crash interrupted, `removal` removes what a deleted media leaves (bytes, CDN),
 * `inspection` looks at bytes that were stored before they were looked at, `sweep` expires media and removes orphans.
 */
export const JOB_KINDS = ['webhook', 'copy', 'upload', 'deletion', 'removal', 'inspection', 'sweep'] as const;
export type JobKind = (typeof JOB_KINDS)[number];
