import type { Fault } from '../faults.js';
import { AlertIcon } from './icons.js';

interface NoticeProps {
  readonly fault: Fault;
  readonly onRetry?: () => void;
}

/** What went wrong, where it went wrong, and the way on if there is one. */
export function Notice({ fault, onRetry }: NoticeProps) {
  return (
    <div className="notice" role="alert">
      <AlertIcon />
      <p>{fault.words}</p>
      {fault.retryable && onRetry && (
        <button type="button" className="button quiet" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}
