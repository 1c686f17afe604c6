import type { ReadyMedia } from '../model.js';
import { DownloadIcon } from './icons.js';
import { Modal } from './modal.js';
import { placeholderOf } from './placeholder.js';

interface LightboxProps {
  readonly media: ReadyMedia;
  readonly words: string;
  readonly onClose: () => void;
}

/** The whole picture. */
export function Lightbox({ media, words, onClose }: LightboxProps) {
  const { url, downloadUrl, width, height, thumbHash } = media;
  const placeholder = placeholderOf(thumbHash);
  return (
    <Modal title={words} className="lightbox" onClose={onClose}>
      <img
        src={url}
        alt={words}
        width={width ?? undefined}
        height={height ?? undefined}
        style={placeholder ? { backgroundImage: `url(${placeholder})` } : undefined}
      />
      {downloadUrl !== null && (
        <a className="button quiet" href={downloadUrl}>
          <DownloadIcon /> Save
        </a>
      )}
    </Modal>
  );
}
