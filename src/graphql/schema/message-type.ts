import { Directive, Field, ID, ObjectType } from 'type-graphql';

/**
 * A message of the supergraph. Another subgraph owns it and describes it, so nothing is described here; this one contributes
 * its media. The id is "<channelId>:<providerMessageId>", where the first colon separates; one in another form is taken for
 * a provider's bare message id. The fields are in `MessageResolver`, but for the id, which is
 * returned as it was given. Sources are `MessageSource`.
 */
@ObjectType('Message', { simpleResolvers: true })
@Directive('@key(fields: "id")')
@Directive('@key(fields: "channelId providerMessageId")')
export class MessageType {
  @Field(() => ID)
  id!: string;
}
