import { parentPort, workerData } from 'node:worker_threads';
import { type FoundPattern, judgePatterns } from './super-linear.js';

/** Judges its share of the patterns. */
const patterns: readonly FoundPattern[] = workerData;
parentPort?.postMessage(judgePatterns(patterns));
