import { Unrenderable } from '../renderer.js';
import { SOURCE_FILE } from './job-folder.js';
import { type Job, runForJob, type Workshop } from './workshop.js';

/** More than any document has. */
const MAX_PAGES = 1_000_000;

/** How many pages poppler counts in a job's document; null: none, or it does not open. */
export async function pagesOf(pdfinfo: string, job: Job, workshop: Workshop): Promise<number | null> {
  try {
    const printed = await runForJob(pdfinfo, [SOURCE_FILE], job, workshop);
    // What the document says of itself stands before it, and may have lines like this one.
    const pages = Number(/^Pages: +(\d{1,9})$/m.exec(printed.slice(printed.lastIndexOf('\nPages:') + 1))?.[1]);
    return pages > 0 && pages <= MAX_PAGES ? pages : null;
  } catch (thrown) {
    if (thrown instanceof Unrenderable) return null;
    throw thrown;
  }
}
