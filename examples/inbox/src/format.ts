/** What people read: in the language of the page. */

const UNITS = ['B', 'kB', 'MB', 'GB'] as const;

/** As providers state their limits: `23.9 kB`. */
export function formatSize(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${UNITS[power]}`;
}

/** `0:02`, `12:40`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

const LANGUAGE = 'en-GB';
const TIME = new Intl.DateTimeFormat(LANGUAGE, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(LANGUAGE, { weekday: 'long', day: 'numeric', month: 'long' });
const DATE = new Intl.DateTimeFormat(LANGUAGE, { day: 'numeric', month: 'long' });
const SHORT_DATE = new Intl.DateTimeFormat(LANGUAGE, { day: 'numeric', month: 'short' });
const RELATIVE = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: 'auto' });

export function formatTime(iso: string): string {
  return TIME.format(new Date(iso));
}

export function formatDate(iso: string): string {
  return DATE.format(new Date(iso));
}

/** `Today`, `Yesterday`, `Saturday 14 November`. */
export function formatDay(iso: string, now = new Date()): string {
  const date = new Date(iso);
  const days = Math.round((startOfDay(date) - startOfDay(now)) / 86_400_000);
  if (days < -1) return DAY.format(date);
  const words = RELATIVE.format(days, 'day');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Time today, else the day: what a list has room for. */
export function formatWhen(iso: string, now = new Date()): string {
  return startOfDay(new Date(iso)) === startOfDay(now) ? formatTime(iso) : SHORT_DATE.format(new Date(iso));
}

function startOfDay(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}
