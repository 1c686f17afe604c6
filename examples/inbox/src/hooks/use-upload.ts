import { useApolloClient } from '@apollo/client/react';
import { useRef, useState } from 'react';
import { type Fault, faultOfThrown } from '../faults.js';
import { AddMessageDocument, UploadMediaDocument } from '../operations.generated.js';

export interface UploadInput {
  readonly url: string;
  readonly filename: string | null;
}

interface UploadTarget {
  readonly conversationId: string;
  readonly channelId: string;
}

/** What was begun: a message to attach to, and a name for this input, under which it is never uploaded twice. */
interface Attempt {
  readonly messageId: string;
  readonly input: UploadInput;
  readonly idempotencyKey: string;
}

/**
 * Uploads a file by its address and attaches it to a new message. Answers when the server has the file or goes on without
 * us (PENDING), null when it refused; what is tried again goes to the same message.
 */
export function useUpload({ conversationId, channelId }: UploadTarget) {
  const client = useApolloClient();
  const attempt = useRef<Attempt | null>(null);
  const [isWorking, setWorking] = useState(false);
  const [fault, setFault] = useState<Fault | null>(null);

  async function begin(input: UploadInput): Promise<Attempt> {
    const last = attempt.current;
    const isSame = last?.input.url === input.url && last.input.filename === input.filename;
    if (last && isSame) return last;
    const messageId = last?.messageId ?? (await addMessage());
    attempt.current = { messageId, input, idempotencyKey: crypto.randomUUID() };
    return attempt.current;
  }

  async function addMessage(): Promise<string> {
    const { data } = await client.mutate({ mutation: AddMessageDocument, variables: { input: { conversationId } } });
    if (!data) throw new Error('expected a new message');
    return data.addMessage.id;
  }

  async function upload(input: UploadInput) {
    setWorking(true);
    setFault(null);
    try {
      const { messageId, idempotencyKey } = await begin(input);
      const variables = { input: { channelId, ...input, messageId, idempotencyKey } };
      const { data } = await client.mutate({ mutation: UploadMediaDocument, variables });
      return data?.uploadMediaFromUrl.media ?? null;
    } catch (thrown) {
      setFault(faultOfThrown(thrown));
      return null;
    } finally {
      setWorking(false);
    }
  }

  return { upload, isWorking, fault };
}
