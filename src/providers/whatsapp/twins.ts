import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { MultipartFile } from '../../net/client/multipart.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import type { ProviderFaults } from '../toolkit/provider-call.js';
import type { WhatsAppChannel } from './settings.js';
import { chakraUpload, cloudUpload, publicMediaUrl } from './wire.js';

/** What Meta's Cloud API and Chakra's pass-through of it do not have in common. */
export interface Twin {
  /** Origins besides the channel's own that get its credentials, unless the configuration names others. */
  readonly mediaOrigins: readonly string[];
  /** The number that goes with calls about a media, so that Meta answers for its media alone; absent: none does. */
  readonly phoneNumberId?: string;
  /** Of a media, to be asked for its metadata; without the number. */
  metadataPath(mediaId: string): string;
  /** Opens a media in one step, for when the address in its metadata fails, or wants credentials that this channel lacks. */
  bytesPath?(mediaId: string): string;
  readonly uploads?: UploadEndpoint;
  /** Without the number. */
  deletionPath?(mediaId: string): string;
}

/** Where files are posted to. */
export interface UploadEndpoint {
  readonly path: string;
  fieldsOf(file: MultipartFile): Readonly<Record<string, string | MultipartFile>>;
  /** What a send call takes, of an answer with status 200. @throws MediagraphError for a refusal, or another shape */
  readAnswer(response: BufferedResponse, asked: string): string;
}

export function twinOf({ provider, options }: WhatsAppChannel, http: ProviderHttpClient, faults: ProviderFaults): Twin {
  if (provider === 'whatsapp-cloud') {
    const { apiVersion, phoneNumberId } = options;
    const mediaPath = (mediaId: string) => http.pathOf(apiVersion, mediaId);
    return {
      phoneNumberId,
      mediaOrigins: ['https://lookaside.fbsbx.com'],
      metadataPath: mediaPath,
      deletionPath: mediaPath,
      uploads: {
        path: http.pathOf(apiVersion, phoneNumberId, 'media'),
        fieldsOf: (file) => ({ messaging_product: 'whatsapp', type: file.mimeType, file }),
        readAnswer: (response, asked) => faults.parse(response, cloudUpload, asked).id,
      },
    };
  }
  const path = (...segments: string[]) => http.pathOf('v1', 'whatsapp', options.apiVersion, 'media', ...segments);
  return {
    mediaOrigins: [],
    metadataPath: (mediaId) => path(mediaId),
    // "Show Whatsapp Media API". An address at Meta's lookaside origin wants Meta's token, which Chakra keeps.
    bytesPath: (mediaId) => path(mediaId, 'show'),
    ...(options.pluginId !== undefined && {
      uploads: {
        path: http.pathOf('v1', 'ext', 'plugin', 'whatsapp', options.pluginId, 'upload-public-media'),
        fieldsOf: (file) => ({ filename: file.filename, file }),
        readAnswer: (response, asked) => publicUrlOf(response, asked, faults),
      },
    }),
  };
}

function publicUrlOf(response: BufferedResponse, asked: string, faults: ProviderFaults): string {
  const { _data: data, _errors: errors } = faults.parse(response, chakraUpload, asked);
  if (errors && errors.length > 0)
    throw faults.error('PROVIDER_REJECTED', `expected ${asked}, got a refusal of the provider`, {
      upstreamStatus: response.statusCode,
    });
  const url = publicMediaUrl.safeParse(data?.publicMediaUrl);
  if (!url.success) throw faults.protocol(asked, 'no http or https URL of the media', { upstreamStatus: 200 });
  return url.data;
}
