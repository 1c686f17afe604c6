import type { DocumentNode } from 'graphql';
import { LRUCache } from 'lru-cache';
import { parsedWeightOf } from './document-weight.js';

/** Keeps some thousands of documents of usual size. */
const MAX_PARSED_BYTES = 32_000_000;

/** Parsed and checked documents, for Apollo Server, whose own store counts characters: a document holds fifty times as much. */
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
