import { Directive, Field, ID, ObjectType } from 'type-graphql';

/**
 * A message of the supergraph, to which this subgraph contributes the media. The subgraph that owns it has the
 * descriptions. The id is "<channelId>:<providerMessageId>", separated by the first colon; an id in another form is the
 * provider's bare message id. Resolved from a `MessageSource`, which returns the id unchanged; `MessageResolver` has the
 * other fields.
 */
@ObjectType('Message', { simpleResolvers: true })
@Directive('@key(fields: "id")')
@Directive('@key(fields: "channelId providerMessageId")')
export class MessageType {
  @Field(() => ID)
  id!: string;
}
