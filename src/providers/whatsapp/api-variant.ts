import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { MultipartFile } from '../../net/client/multipart.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import type { CredentialsCheckOptions } from '../toolkit/credentials-check.js';
import { graphVerdict } from '../toolkit/graph-error.js';
import type { ProviderFaults } from '../toolkit/provider-call.js';
import type { WhatsAppChannel } from './settings.js';
import { chakraUpload, cloudUpload, publicMediaUrl } from './wire.js';

/** A media id that Meta does not issue. */
const NO_MEDIA = '0';

/** The differences between Meta's Cloud API and Chakra's pass-through of it. */
export interface ApiVariant {
  /** Origins besides the channel's own that receive its credentials, unless the configuration overrides them. */
  readonly mediaOrigins: readonly string[];
  /**
   * The phone number id that is sent with calls about a media, so that Meta returns media of this number only; absent
   * means none.
   */
  readonly phoneNumberId?: string;
  /** The call that checks the credentials. */
  readonly credentials: Pick<CredentialsCheckOptions, 'path' | 'isAcceptance'>;
  /** The path of a media's metadata, without the phone number id. */
  metadataPath(mediaId: string): string;
  /**
   * The path that returns the bytes in one step, for when the URL in the metadata fails or requires credentials that
   * this channel does not have.
   */
  bytesPath?(mediaId: string): string;
  readonly uploads?: UploadEndpoint;
  /** The path of a deletion, without the phone number id. */
  deletionPath?(mediaId: string): string;
}

/** The endpoint that receives uploads. */
export interface UploadEndpoint {
  readonly path: string;
  fieldsOf(file: MultipartFile): Readonly<Record<string, string | MultipartFile>>;
  /**
   * Reads the reference for send calls from a response with status 200.
   * @throws MediagraphError for a refusal or another shape
   */
  readAnswer(response: BufferedResponse, subject: string): string;
}

export function apiVariantOf(
  { provider, options }: WhatsAppChannel,
  http: ProviderHttpClient,
  faults: ProviderFaults,
): ApiVariant {
  if (provider === 'whatsapp-cloud') {
    const { apiVersion, phoneNumberId } = options;
    const mediaPath = (mediaId: string) => http.pathOf(apiVersion, mediaId);
    return {
      phoneNumberId,
      mediaOrigins: ['https://lookaside.fbsbx.com'],
      credentials: { path: `${http.pathOf(apiVersion, phoneNumberId)}?fields=id` },
      metadataPath: mediaPath,
      deletionPath: mediaPath,
      uploads: {
        path: http.pathOf(apiVersion, phoneNumberId, 'media'),
        fieldsOf: (file) => ({ messaging_product: 'whatsapp', type: file.mimeType, file }),
        readAnswer: (response, subject) => faults.parse(response, cloudUpload, subject).id,
      },
    };
  }
  const path = (...segments: string[]) => http.pathOf('v1', 'whatsapp', options.apiVersion, 'media', ...segments);
  return {
    mediaOrigins: [],
    // No call without a media is documented. The id does not exist, and Meta's answer to it comes through Chakra's
    // credentials. Meta may count it as a failed look-up, of which it permits about twenty an hour.
    credentials: {
      path: path(NO_MEDIA),
      isAcceptance: (response) => response.statusCode < 500 && graphVerdict(response) === 'absent',
    },
    metadataPath: (mediaId) => path(mediaId),
    // "Show Whatsapp Media API". A URL at Meta's lookaside origin requires Meta's token, which only Chakra has.
    bytesPath: (mediaId) => path(mediaId, 'show'),
    ...(options.pluginId !== undefined && {
      uploads: {
        path: http.pathOf('v1', 'ext', 'plugin', 'whatsapp', options.pluginId, 'upload-public-media'),
        fieldsOf: (file) => ({ filename: file.filename, file }),
        readAnswer: (response, subject) => publicUrlOf(response, subject, faults),
      },
    }),
  };
}

function publicUrlOf(response: BufferedResponse, subject: string, faults: ProviderFaults): string {
  const { _data: data, _errors: errors } = faults.parse(response, chakraUpload, subject);
  if (errors && errors.length > 0)
    throw faults.error('PROVIDER_REJECTED', `expected ${subject}, got a refusal by the provider`, {
      upstreamStatus: response.statusCode,
    });
  const url = publicMediaUrl.safeParse(data?.publicMediaUrl);
  if (!url.success) throw faults.protocol(subject, 'no http or https URL of the media', { upstreamStatus: 200 });
  return url.data;
}
