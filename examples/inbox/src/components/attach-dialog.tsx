import { type FormEvent, useId } from 'react';
import { formatSize } from '../format.js';
import { useAnnounce } from '../hooks/announcer.js';
import { useUpload } from '../hooks/use-upload.js';
import type { Channel } from './conversation-view.js';
import { Modal } from './modal.js';
import { Notice } from './notice.js';

interface AttachDialogProps {
  readonly conversationId: string;
  readonly channel: Channel;
  readonly onSent: () => void;
  readonly onClose: () => void;
}

/** A file by its address: the server fetches it, so that nothing goes through this page. */
export function AttachDialog({ conversationId, channel, onSent, onClose }: AttachDialogProps) {
  const announce = useAnnounce();
  const { upload, isWorking, fault } = useUpload({ conversationId, channelId: channel.id });
  const [urlId, nameId, hintId] = [useId(), useId(), useId()];
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const url = String(fields.get('url')).trim();
    const media = await upload({ url, filename: String(fields.get('filename')).trim() || null });
    if (!media) return;
    announce(media.status === 'READY' ? 'The file is attached.' : 'The file is being uploaded.');
    onSent();
    onClose();
  };
  return (
    <Modal title="Attach a file by its link" className="small" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} aria-busy={isWorking}>
        <label htmlFor={urlId}>Link</label>
        <input
          id={urlId}
          name="url"
          type="url"
          required
          placeholder="https://"
          autoComplete="off"
          readOnly={isWorking}
          aria-describedby={hintId}
          aria-invalid={fault !== null && !fault.retryable}
        />
        <p id={hintId} className="hint">
          A public address of the file itself, at most {formatSize(channel.capabilities.maxUploadBytes)}.
        </p>
        <label htmlFor={nameId}>File name (optional)</label>
        <input id={nameId} name="filename" type="text" autoComplete="off" readOnly={isWorking} />
        {fault && <Notice fault={fault} />}
        {isWorking && <progress aria-label="The server fetches the file" />}
        <footer>
          <button type="button" className="button quiet" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button" disabled={isWorking}>
            {isWorking ? 'Fetching …' : fault?.retryable ? 'Try again' : 'Attach'}
          </button>
        </footer>
      </form>
    </Modal>
  );
}
