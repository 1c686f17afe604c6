/** The file that an inspection thread runs. It lies beside this one in the sources and in the build. */
export const INSPECTION_WORKER = new URL('./worker.js', import.meta.url);
