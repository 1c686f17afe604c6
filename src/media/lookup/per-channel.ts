import type { ChannelId, TenantId } from '../../model/channel.js';
import { toError } from '../../model/errors.js';
import type { ChannelDirectory, ConnectedChannel } from '../../providers/channel-directory.js';
import type { ProviderCallAllowance } from '../../providers/provider-adapter.js';

/**
 * Makes one call per channel for all its items, concurrently for all channels. Results are aligned with the items. A
 * channel that fails, or that belongs to another tenant, fails only its own items.
 */
export async function askPerChannel<Item extends { readonly channelId: ChannelId }, Answer>(
  channels: ChannelDirectory,
  tenant: TenantId,
  items: readonly Item[],
  ask: (channel: ConnectedChannel, items: readonly Item[]) => Promise<ReadonlyArray<Answer | Error>>,
): Promise<Array<Answer | Error>> {
  const indexesByChannel = new Map<ChannelId, number[]>();
  items.forEach(({ channelId }, index) => {
    const indexes = indexesByChannel.get(channelId);
    if (indexes) indexes.push(index);
    else indexesByChannel.set(channelId, [index]);
  });
  const answers = new Array<Answer | Error>(items.length);
  const askChannel = async ([channelId, indexes]: [ChannelId, number[]]): Promise<void> => {
    const ofChannel = indexes.map((index) => items[index]).filter((item) => item !== undefined);
    const get = () => channels.get(tenant, channelId);
    const answered = await askSafely(() => ask(get(), ofChannel), ofChannel.length);
    indexes.forEach((index, position) => {
      answers[index] = answered[position] ?? new Error('an adapter returned fewer results than requested');
    });
  };
  await Promise.all([...indexesByChannel].map(askChannel));
  return answers;
}

/** Makes one provider call for each item, up to the operation's allowance. The other items fail. */
export async function askWithin<Item, Answer>(
  calls: ProviderCallAllowance | undefined,
  items: readonly Item[],
  ask: (granted: readonly Item[]) => Promise<ReadonlyArray<Answer | Error>> | undefined,
): Promise<ReadonlyArray<Answer | Error>> {
  const granted = calls?.grant(items.length) ?? items.length;
  const answers = granted > 0 ? ((await ask(items.slice(0, granted))) ?? []) : [];
  if (!calls || granted === items.length) return answers;
  const { exhausted } = calls;
  return items.map((_, index) => (index < granted ? (answers[index] ?? exhausted) : exhausted));
}

async function askSafely<Answer>(
  ask: () => Promise<ReadonlyArray<Answer | Error>>,
  count: number,
): Promise<ReadonlyArray<Answer | Error>> {
  try {
    return await ask();
  } catch (thrown) {
    return new Array<Error>(count).fill(toError(thrown));
  }
}
