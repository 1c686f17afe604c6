import { useApolloClient } from '@apollo/client/react';
import { useEffect, useRef, useState } from 'react';
import { type Fault, faultOfThrown } from '../faults.js';
import { formatDate } from '../format.js';
import { capitalised, kindWord, type Media, scopeWords } from '../model.js';
import { AddMessageDocument, type MediaDeletionScope, type MessageDirection } from '../operations.generated.js';
import type { Contact } from './conversation-view.js';
import { AlertIcon, ClockIcon, TrashIcon } from './icons.js';
import { Notice } from './notice.js';

interface GoneTileProps {
  readonly media: Media;
  readonly direction: MessageDirection;
  readonly contact: Contact;
  readonly conversationId: string;
  /** Where it was deleted, if that was on this page. */
  readonly deletedAt: MediaDeletionScope | null;
  readonly onRequested: () => void;
}

/** There is nothing to show: why, and what one can do about it. */
export function GoneTile({ media, direction, contact, conversationId, deletedAt, onRequested }: GoneTileProps) {
  const client = useApolloClient();
  const [fault, setFault] = useState<Fault | null>(null);
  const tile = useRef<HTMLDivElement>(null);
  const { status, kind, filename } = media;
  // The pressed button is gone, so the focus for the keyboard moves here.
  useEffect(() => {
    if (deletedAt !== null && document.activeElement === document.body) tile.current?.focus();
  }, [deletedAt]);
  const name = filename ?? capitalised(kindWord(kind));
  const isTheirs = direction === 'INBOUND';
  const ask = async () => {
    const input = { conversationId, text: `Could you send us the ${kindWord(kind)} once more, please?` };
    try {
      await client.mutate({ mutation: AddMessageDocument, variables: { input } });
      setFault(null);
      onRequested();
    } catch (thrown) {
      setFault(faultOfThrown(thrown));
    }
  };
  return (
    <div ref={tile} className="gone" data-status={status} tabIndex={-1}>
      {status === 'FAILED' ? <AlertIcon /> : status === 'DELETED' ? <TrashIcon /> : <ClockIcon />}
      <div>
        <p className="gone-name">{name}</p>
        <p>{deletedAt ? `Deleted ${scopeWords(deletedAt)}.` : wordsFor(media, isTheirs, contact)}</p>
        {isTheirs && status !== 'DELETED' && (
          <button type="button" className="button quiet" onClick={() => void ask()}>
            Ask for it again
          </button>
        )}
        {fault && <Notice fault={fault} />}
      </div>
    </div>
  );
}

function wordsFor({ status, kind, expiresAt }: Media, isTheirs: boolean, { name }: Contact): string {
  switch (status) {
    case 'EXPIRED':
      return expiresAt === null
        ? 'No longer available: its time was over before it could be kept.'
        : `No longer available: it was there until ${formatDate(expiresAt)}.`;
    case 'DELETED':
      return `This ${kindWord(kind)} was deleted.`;
    default:
      return isTheirs
        ? `The provider would not hand over what ${name} sent. It is not tried again.`
        : 'This upload did not get through. Nothing of it was kept; attach it once more.';
  }
}
