import { useMutation } from '@apollo/client/react';
import { type FormEvent, useId, useState } from 'react';
import { faultOfThrown } from '../faults.js';
import { AddMessageDocument } from '../operations.generated.js';
import { AttachDialog } from './attach-dialog.js';
import type { Channel, Contact } from './conversation-view.js';
import { LinkIcon, SendIcon } from './icons.js';
import { Notice } from './notice.js';

interface ComposerProps {
  readonly conversationId: string;
  readonly channel: Channel | null;
  readonly contact: Contact;
  readonly onSent: () => void;
}

const ASK_FOR_PHOTO = 'Could you send us a photo, please?';

export function Composer({ conversationId, channel, contact, onSent }: ComposerProps) {
  const [text, setText] = useState('');
  const [isAttaching, setAttaching] = useState(false);
  const [addMessage, { loading, error }] = useMutation(AddMessageDocument);
  const textId = useId();
  const send = async (words: string) => {
    await addMessage({ variables: { input: { conversationId, text: words } } });
    onSent();
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() === '') return;
    await send(text.trim());
    setText('');
  };
  return (
    <footer className="composer">
      {error && <Notice fault={faultOfThrown(error)} />}
      <div className="quick">
        <button
          type="button"
          className="chip"
          disabled={loading}
          onClick={() => void send(ASK_FOR_PHOTO).catch(() => {})}
        >
          Ask for a photo
        </button>
        {channel && (
          <button type="button" className="chip" onClick={() => setAttaching(true)}>
            <LinkIcon /> Attach by link
          </button>
        )}
      </div>
      <form onSubmit={(event) => void submit(event).catch(() => {})}>
        <label className="visually-hidden" htmlFor={textId}>
          Message to {contact.name}
        </label>
        <input
          id={textId}
          type="text"
          value={text}
          onChange={(event) => setText(event.target.value)}
          placeholder="Write a message"
          autoComplete="off"
        />
        <button type="submit" className="send" disabled={loading} aria-label="Send">
          <SendIcon />
        </button>
      </form>
      {isAttaching && channel && (
        <AttachDialog
          conversationId={conversationId}
          channel={channel}
          onSent={onSent}
          onClose={() => setAttaching(false)}
        />
      )}
    </footer>
  );
}
