import { useMutation } from '@apollo/client/react';
import { faultOfThrown } from '../faults.js';
import { useAnnounce } from '../hooks/announcer.js';
import { capitalised, kindWord, type Media, scopeWords } from '../model.js';
import { DeleteMediaDocument, type MediaDeletionScope } from '../operations.generated.js';
import { Modal } from './modal.js';
import { Notice } from './notice.js';

interface DeleteDialogProps {
  readonly media: Media;
  readonly onDeleted: (scope: MediaDeletionScope) => void;
  readonly onClose: () => void;
}

export function DeleteDialog({ media, onDeleted, onClose }: DeleteDialogProps) {
  const announce = useAnnounce();
  const [deleteMedia, { loading, error }] = useMutation(DeleteMediaDocument);
  const kind = kindWord(media.kind);
  const confirm = async () => {
    // The cache takes the new status over, and the tile with this dialog gives way to one that says so.
    const { data } = await deleteMedia({ variables: { id: media.id } });
    if (!data) return;
    const { scope } = data.deleteMedia;
    onDeleted(scope);
    announce(`${capitalised(kind)} deleted ${scopeWords(scope)}.`);
  };
  return (
    <Modal title={`Delete this ${kind}?`} className="small" onClose={onClose}>
      <p>From then on every link to it is dead, for everybody. This cannot be undone.</p>
      {error && <Notice fault={faultOfThrown(error)} />}
      <footer>
        <button type="button" className="button quiet" onClick={onClose}>
          Keep it
        </button>
        <button
          type="button"
          className="button danger"
          disabled={loading}
          onClick={() => void confirm().catch(() => {})}
        >
          {loading ? 'Deleting …' : error ? 'Try again' : 'Delete'}
        </button>
      </footer>
    </Modal>
  );
}
