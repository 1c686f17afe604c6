import { useMemo, useState } from 'react';
import type { ReadyMedia } from '../model.js';
import type { Contact } from './conversation-view.js';
import { frameOf } from './frame.js';
import { Lightbox } from './lightbox.js';
import { placeholderOf } from './placeholder.js';

interface PictureProps {
  readonly media: ReadyMedia;
  readonly contact: Contact;
  readonly keepsFrame: boolean;
}

/** A still that opens the whole picture; before it, what its ThumbHash tells of it. */
export function Picture({ media, contact, keepsFrame }: PictureProps) {
  const { thumbHash, thumbnailUrl, url, caption, filename } = media;
  const [isOpen, setOpen] = useState(false);
  const placeholder = useMemo(() => placeholderOf(thumbHash), [thumbHash]);
  const words = caption ?? filename ?? `Photo, ${contact.name}`;
  return (
    <>
      <button type="button" className="picture" style={frameOf(media, keepsFrame)} onClick={() => setOpen(true)}>
        {placeholder && <img className="placeholder" src={placeholder} alt="" />}
        <img src={thumbnailUrl ?? url} alt={words} decoding="async" />
        <span className="visually-hidden">Open the photo</span>
      </button>
      {isOpen && <Lightbox media={media} words={words} onClose={() => setOpen(false)} />}
    </>
  );
}
