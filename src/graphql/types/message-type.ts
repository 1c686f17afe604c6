import { Directive, Field, ID, ObjectType } from 'type-graphql';

/** The fields are in `MessageResolver`, but for the id, which is returned as it was given. Sources are `MessageSource`. */
@ObjectType('Message', {
  simpleResolvers: true,
  description: 'A message of the supergraph. Another subgraph owns it; this one contributes its media.',
})
@Directive('@key(fields: "id")')
@Directive('@key(fields: "channelId providerMessageId")')
export class MessageType {
  @Field(() => ID, {
    description:
      '"<channelId>:<providerMessageId>"; the first colon separates. An id in another form is taken for a provider\'s bare message id and returned as it was given.',
  })
  id!: string;
}
