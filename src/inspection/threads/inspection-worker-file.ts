/** The file that an inspection thread runs: beside this one, whether that is a source or was built. */
export const INSPECTION_WORKER = new URL('./worker.js', import.meta.url);
