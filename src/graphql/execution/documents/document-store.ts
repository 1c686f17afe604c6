import type { DocumentNode } from 'graphql';
import { LRUCache } from 'lru-cache';
import { parsedWeightOf } from './document-weight.js';

/** Enough for some thousands of documents of usual size. */
const MAX_PARSED_BYTES = 32_000_000;

/**
 * Parsed and validated documents for Apollo Server, bounded by their memory. Apollo's own store counts characters, and a
 * document takes fifty times as many bytes.
 */
export class DocumentStore {
  readonly #documents: LRUCache<string, DocumentNode>;

  constructor(maxBytes = MAX_PARSED_BYTES) {
    this.#documents = new LRUCache({ maxSize: maxBytes, sizeCalculation: parsedWeightOf });
  }

  async get(key: string): Promise<DocumentNode | undefined> {
    return this.#documents.get(key);
  }

  async set(key: string, document: DocumentNode): Promise<void> {
    this.#documents.set(key, document);
  }

  async delete(key: string): Promise<boolean> {
    return this.#documents.delete(key);
  }
}
