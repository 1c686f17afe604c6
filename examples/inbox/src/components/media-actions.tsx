import { useState } from 'react';
import { formatDuration, formatSize } from '../format.js';
import { capitalised, kindWord, type ReadyMedia } from '../model.js';
import type { MediaDeletionScope } from '../operations.generated.js';
import { DeleteDialog } from './delete-dialog.js';
import { DownloadIcon, TrashIcon } from './icons.js';

interface MediaActionsProps {
  readonly media: ReadyMedia;
  readonly onDeleted: (scope: MediaDeletionScope) => void;
}

/** Below a media: what it is, and what one can do with it. */
export function MediaActions({ media, onDeleted }: MediaActionsProps) {
  const [isDeleting, setDeleting] = useState(false);
  const { kind, filename, sizeBytes, durationSeconds, downloadUrl } = media;
  const name = filename ?? capitalised(kindWord(kind));
  const facts = [
    capitalised(kindWord(kind)),
    durationSeconds !== null && formatDuration(durationSeconds),
    sizeBytes !== null && formatSize(sizeBytes),
  ];
  return (
    <>
      <span className="facts">{facts.filter(Boolean).join(' · ')}</span>
      {downloadUrl !== null && (
        <a className="icon-button" href={downloadUrl} aria-label={`Save ${name}`} title="Save">
          <DownloadIcon />
        </a>
      )}
      <button
        type="button"
        className="icon-button"
        onClick={() => setDeleting(true)}
        aria-label={`Delete ${name}`}
        title="Delete"
      >
        <TrashIcon />
      </button>
      {isDeleting && <DeleteDialog media={media} onDeleted={onDeleted} onClose={() => setDeleting(false)} />}
    </>
  );
}
