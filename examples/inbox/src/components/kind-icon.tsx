import type { MediaKind } from '../operations.generated.js';
import { DocumentIcon, FilmIcon, PhotoIcon, SoundIcon } from './icons.js';

export function KindIcon({ kind }: { readonly kind: MediaKind }) {
  switch (kind) {
    case 'IMAGE':
    case 'STICKER':
      return <PhotoIcon />;
    case 'AUDIO':
      return <SoundIcon />;
    case 'VIDEO':
      return <FilmIcon />;
    case 'DOCUMENT':
    case 'OTHER':
      return <DocumentIcon />;
  }
}
