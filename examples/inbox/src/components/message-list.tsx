import { Fragment, useLayoutEffect, useRef } from 'react';
import type { Fault } from '../faults.js';
import { formatDay } from '../format.js';
import type { Message } from '../model.js';
import type { Contact } from './conversation-view.js';
import { MessageBubble } from './message-bubble.js';

interface MessageListProps {
  /** null: not here yet. */
  readonly messages: readonly Message[] | null;
  readonly faultAt: (index: number) => Fault;
  readonly contact: Contact;
  readonly conversationId: string;
  readonly onRetry: () => void;
}

/** Nearer to the end than this, in pixels, the list follows what is new. */
const FOLLOWS_WITHIN = 160;

export function MessageList({ messages, faultAt, contact, conversationId, onRetry }: MessageListProps) {
  const list = useRef<HTMLElement>(null);
  const follows = useRef(true);
  useLayoutEffect(() => {
    const element = list.current;
    if (!element) return;
    // A new message, or a page that takes another shape.
    const observer = new ResizeObserver(() => {
      if (follows.current) element.scrollTop = element.scrollHeight;
    });
    for (const sized of [element, ...element.children]) observer.observe(sized);
    return () => observer.disconnect();
  }, []);
  const scrolled = () => {
    const element = list.current;
    if (element) follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOWS_WITHIN;
  };
  // Sent without words, and nothing came of its media, or nothing yet.
  const shown = messages?.flatMap((message, index) => {
    const fault = message.media === null ? faultAt(index) : null;
    return message.text !== null || message.media?.length !== 0 ? [{ message, fault }] : [];
  });
  return (
    <section ref={list} className="messages" aria-label="Messages" onScroll={scrolled} aria-busy={!messages}>
      <ol>
        {shown?.map(({ message, fault }, index) => {
          const day = formatDay(message.sentAt);
          const before = shown[index - 1]?.message;
          return (
            <Fragment key={message.id}>
              {(!before || formatDay(before.sentAt) !== day) && <li className="day">{day}</li>}
              <MessageBubble
                message={message}
                fault={fault}
                contact={contact}
                conversationId={conversationId}
                onRetry={onRetry}
              />
            </Fragment>
          );
        })}
      </ol>
    </section>
  );
}
