import { Unrenderable } from '../renderer.js';
import { SOURCE_FILE } from './job-folder.js';
import { type Job, runForJob, type Workshop } from './workshop.js';

/** Above any real document. */
const MAX_PAGES = 1_000_000;

/** The number of pages by poppler's pdfinfo. Null: it counts none, or cannot open the document. */
export async function pagesOf(pdfinfo: string, job: Job, workshop: Workshop): Promise<number | null> {
  try {
    const printed = await runForJob(pdfinfo, [SOURCE_FILE], job, workshop);
    // The document's own metadata is printed before the count and may contain such a line, so the last one counts.
    const pages = Number(/^Pages: +(\d{1,9})$/m.exec(printed.slice(printed.lastIndexOf('\nPages:') + 1))?.[1]);
    return pages > 0 && pages <= MAX_PAGES ? pages : null;
  } catch (thrown) {
    if (thrown instanceof Unrenderable) return null;
    throw thrown;
  }
}
