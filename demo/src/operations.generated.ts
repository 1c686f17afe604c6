/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
/** Where the media was deleted. */
export type MediaDeletionScope =
  /** In this server only, including bytes, thumbnails and links, because the provider does not support deletion of this media. */
  | 'LOCAL'
  /** At the provider and in this server. */
  | 'PROVIDER';

/** The kind of attachment that the sender chose. A picture that was sent as a document is a DOCUMENT. */
export type MediaKind =
  | 'AUDIO'
  | 'DOCUMENT'
  | 'IMAGE'
  | 'OTHER'
  | 'STICKER'
  | 'VIDEO';

/** A messaging provider. */
export type MediaProvider =
  | 'CHAKRA'
  | 'GUPSHUP'
  | 'KIRIM'
  | 'SIGNALWIRE'
  | 'TWILIO'
  | 'WA_GATEWAY'
  | 'WHATSAPP_CLOUD';

/** The state of a media. */
export type MediaStatus =
  /** The media was deleted by deleteMedia or at the provider. */
  | 'DELETED'
  /** The time expiresAt has passed. */
  | 'EXPIRED'
  /** The server could not fetch the bytes. failure contains the reason. */
  | 'FAILED'
  /** The media is known, but its bytes are not available yet. */
  | 'PENDING'
  /** The bytes are available at url. */
  | 'READY';

/** How the server passes an upload to the provider. */
export type MediaUploadMode =
  /** The server sends the bytes to the provider. */
  | 'BYTES'
  /** The server keeps the upload. The provider sends messages with its URL. */
  | 'NONE'
  /** The provider downloads the file from a URL of this server. */
  | 'URL';

export type ChannelsQueryVariables = Exact<{ [key: string]: never; }>;


export type ChannelsQuery = { readonly mediaChannels: ReadonlyArray<{ readonly id: string, readonly provider: MediaProvider, readonly capabilities: { readonly listsMedia: boolean, readonly upload: MediaUploadMode, readonly maxUploadBytes: number, readonly uploadMimeTypes: ReadonlyArray<string>, readonly deletesAtProvider: boolean, readonly receivesWebhooks: boolean } }> };

export type DeleteMediaMutationVariables = Exact<{
  id: string;
}>;


export type DeleteMediaMutation = { readonly deleteMedia: { readonly scope: MediaDeletionScope, readonly media: { readonly id: string, readonly status: MediaStatus, readonly url: string | null } } };

export type EntitiesQueryVariables = Exact<{
  representations?: ReadonlyArray<{ readonly __typename: string; readonly [key: string]: unknown }> | { readonly __typename: string; readonly [key: string]: unknown };
}>;


export type EntitiesQuery = { readonly _entities: ReadonlyArray<
    | { readonly __typename: 'Media', readonly id: string, readonly kind: MediaKind, readonly mimeType: string | null, readonly url: string | null }
    | { readonly __typename: 'MediaChannel' }
    | { readonly __typename: 'Message', readonly id: string, readonly media: ReadonlyArray<{ readonly id: string, readonly kind: MediaKind, readonly mimeType: string | null, readonly url: string | null }> | null }
   | null> };

export type MediaByIdQueryVariables = Exact<{
  id?: string;
}>;


export type MediaByIdQuery = { readonly media: { readonly id: string, readonly status: MediaStatus, readonly kind: MediaKind, readonly mimeType: string | null, readonly sizeBytes: number | null, readonly caption: string | null, readonly width: number | null, readonly height: number | null, readonly durationSeconds: number | null, readonly thumbHash: string | null, readonly url: string | null, readonly urlExpiresAt: string | null, readonly provider: MediaProvider, readonly providerMediaId: string | null, readonly thumbnail: string | null, readonly playable: string | null, readonly download: string | null, readonly message: { readonly id: string, readonly channelId: string, readonly providerMessageId: string } | null } | null };

export type MediaUpdatedSubscriptionVariables = Exact<{
  messageIds?: ReadonlyArray<string> | string;
}>;


export type MediaUpdatedSubscription = { readonly mediaUpdated: { readonly id: string, readonly status: MediaStatus, readonly kind: MediaKind, readonly url: string | null, readonly urlExpiresAt: string | null, readonly message: { readonly id: string } | null } };

export type MessagesWithMediaQueryVariables = Exact<{
  ids?: ReadonlyArray<string> | string;
}>;


export type MessagesWithMediaQuery = { readonly messagesWithMedia: ReadonlyArray<{ readonly id: string, readonly channelId: string, readonly media: ReadonlyArray<{ readonly id: string, readonly provider: MediaProvider, readonly status: MediaStatus, readonly kind: MediaKind, readonly mimeType: string | null, readonly sizeBytes: number | null, readonly filename: string | null, readonly caption: string | null, readonly createdAt: string | null, readonly width: number | null, readonly height: number | null, readonly durationSeconds: number | null, readonly thumbHash: string | null, readonly thumbnailUrl: string | null, readonly url: string | null, readonly urlExpiresAt: string | null }> | null } | null> };

export type UploadMediaFromUrlMutationVariables = Exact<{
  url: string;
  channelId?: string;
  filename?: string | null | undefined;
  mimeType?: string | null | undefined;
  messageId?: string | null | undefined;
  idempotencyKey?: string | null | undefined;
}>;


export type UploadMediaFromUrlMutation = { readonly uploadMediaFromUrl: { readonly replayed: boolean, readonly media: { readonly id: string, readonly status: MediaStatus, readonly kind: MediaKind, readonly mimeType: string | null, readonly sizeBytes: number | null, readonly sha256: string | null, readonly filename: string | null, readonly url: string | null, readonly urlExpiresAt: string | null, readonly providerMediaId: string | null } } };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}

export const ChannelsDocument = new TypedDocumentString(`
    query Channels {
  mediaChannels {
    id
    provider
    capabilities {
      listsMedia
      upload
      maxUploadBytes
      uploadMimeTypes
      deletesAtProvider
      receivesWebhooks
    }
  }
}
    `) as unknown as TypedDocumentString<ChannelsQuery, ChannelsQueryVariables>;
export const DeleteMediaDocument = new TypedDocumentString(`
    mutation DeleteMedia($id: ID!) {
  deleteMedia(input: {id: $id}) {
    scope
    media {
      id
      status
      url
    }
  }
}
    `) as unknown as TypedDocumentString<DeleteMediaMutation, DeleteMediaMutationVariables>;
export const EntitiesDocument = new TypedDocumentString(`
    query Entities($representations: [_Any!]! = [{__typename: "Message", id: "support:msg_01HXN6EH31F653QDC288ERZHTG"}, {__typename: "Message", channelId: "sms", providerMessageId: "0a059168-ead0-41af-9d1f-000000000001"}, {__typename: "Message", id: "cloud:wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ4Q0Y2MUM0RUU2NkRDQTlEQTAyNAA="}, {__typename: "Media", id: "AQdzdXBwb3J0Hm1zZ18wMUhYTjZFSDMxRjY1M1FEQzI4OEVSWkhUR1PrNQ8"}]) {
  _entities(representations: $representations) {
    __typename
    ... on Message {
      id
      media {
        id
        kind
        mimeType
        url
      }
    }
    ... on Media {
      id
      kind
      mimeType
      url
    }
  }
}
    `) as unknown as TypedDocumentString<EntitiesQuery, EntitiesQueryVariables>;
export const MediaByIdDocument = new TypedDocumentString(`
    query MediaById($id: ID! = "AQdzdXBwb3J0Hm1zZ18wMUhYTjZFSDMxRjY1M1FEQzI4OEVSWkhUR1PrNQ8") {
  media(id: $id) {
    id
    status
    kind
    mimeType
    sizeBytes
    caption
    width
    height
    durationSeconds
    thumbHash
    thumbnail: thumbnailUrl(width: 320, height: 320, fit: COVER)
    url
    urlExpiresAt
    playable: url(prefer: PLAYABLE)
    download: url(disposition: ATTACHMENT, expiresIn: 600)
    provider
    providerMediaId
    message {
      id
      channelId
      providerMessageId
    }
  }
}
    `) as unknown as TypedDocumentString<MediaByIdQuery, MediaByIdQueryVariables>;
export const MediaUpdatedDocument = new TypedDocumentString(`
    subscription MediaUpdated($messageIds: [ID!]! = ["support:msg_01HXN6EH31F653QDC288ERZHTG", "cloud:wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ4Q0Y2MUM0RUU2NkRDQTlEQTAyNAA="]) {
  mediaUpdated(messageIds: $messageIds) {
    id
    status
    kind
    url
    urlExpiresAt
    message {
      id
    }
  }
}
    `) as unknown as TypedDocumentString<MediaUpdatedSubscription, MediaUpdatedSubscriptionVariables>;
export const MessagesWithMediaDocument = new TypedDocumentString(`
    query MessagesWithMedia($ids: [ID!]! = ["support:msg_01HXN6EH31F653QDC288ERZHTG", "support:msg_01HX4PDY6SFAXBQBNMH1W3P3K7", "support:msg_01HXV98NGXWNH0VQC34N5HV5MT", "support:msg_01HXWV8M2PBMQH1T1KEF7TT8PG", "support:msg_01HXEAB7TP55S7KM0HN6G2J9PB", "sms:0a059168-ead0-41af-9d1f-000000000001", "mms:MMb526aef1a341cfe6e5c377ed4c222888", "chakra:wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ0QzVDNUYzNTYxRjdDNzA0RUFCQQA=", "cloud:wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ4Q0Y2MUM0RUU2NkRDQTlEQTAyNAA=", "gateway:3EB000D42E0345AC9416", "gupshup:wamid.HBgLMTY1MDU1NTEyMzQVAgASGBREMzg1QzJEMkU3MEQ0M0JDOEE3MwA=", "sales:msg_01HXWKRK54JH6AZ5PKGZ63Y0CN"]) {
  messagesWithMedia(ids: $ids) {
    id
    channelId
    media {
      id
      provider
      status
      kind
      mimeType
      sizeBytes
      filename
      caption
      createdAt
      width
      height
      durationSeconds
      thumbHash
      thumbnailUrl(width: 160)
      url
      urlExpiresAt
    }
  }
}
    `) as unknown as TypedDocumentString<MessagesWithMediaQuery, MessagesWithMediaQueryVariables>;
export const UploadMediaFromUrlDocument = new TypedDocumentString(`
    mutation UploadMediaFromUrl($url: URL!, $channelId: ID! = "cloud", $filename: String, $mimeType: String, $messageId: ID, $idempotencyKey: String) {
  uploadMediaFromUrl(
    input: {channelId: $channelId, url: $url, filename: $filename, mimeType: $mimeType, messageId: $messageId, idempotencyKey: $idempotencyKey}
  ) {
    replayed
    media {
      id
      status
      kind
      mimeType
      sizeBytes
      sha256
      filename
      url
      urlExpiresAt
      providerMediaId
    }
  }
}
    `) as unknown as TypedDocumentString<UploadMediaFromUrlMutation, UploadMediaFromUrlMutationVariables>;