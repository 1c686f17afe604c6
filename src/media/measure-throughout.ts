import { essenceOf } from '../model/mime-type.js';
import type { MeasuredSource } from './measure-window.js';
import type { Found } from './measures.js';

/** What all of the bytes tell where the headers do not tell the length, or not for sure; null: nothing more. */
export async function measureThroughout(source: MeasuredSource, headers: Found): Promise<Found | null> {
  return headers.isGuess === true && essenceOf(source.mimeType) === '' ? headers : null;
}
