/** A message's id in GraphQL. Its form is public, so any client of the subgraph can build it. */
export function messageIdOf(channelId: string, providerMessageId: string): string {
  return `${channelId}:${providerMessageId}`;
}
