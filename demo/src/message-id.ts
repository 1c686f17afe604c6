/** A message's id in GraphQL, which any client of the subgraph can write. */
export function messageIdOf(channelId: string, providerMessageId: string): string {
  return `${channelId}:${providerMessageId}`;
}
