import type { Locator } from 'playwright-core';
import sharp from 'sharp';

export async function hrefOf(link: Locator): Promise<string> {
  return (await link.getAttribute('href')) ?? 'no link';
}

/** The number of colours of an element on the screen. */
export async function coloursOf(shown: Locator): Promise<number> {
  const image = sharp(await shown.screenshot({ timeout: 30_000 }));
  const { data } = await image
    .resize(32, 32, { fit: 'fill' })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return new Set(Array.from({ length: data.length / 3 }, (_, at) => data.readUIntBE(at * 3, 3))).size;
}

/** Records layout shifts without user input (Layout Instability API). */
export function watchShifts(): void {
  const shifts: unknown[] = [];
  Reflect.set(self, '__shifts', shifts);
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if (Reflect.get(entry, 'hadRecentInput') === false) shifts.push(Reflect.get(entry, 'value'));
  });
  observer.observe({ type: 'layout-shift', buffered: true });
}

/** Plays for a moment, then jumps near the end and back to the middle; waits for events alone. */
export async function play(element: Element) {
  if (!(element instanceof HTMLMediaElement)) throw new Error('expected a player');
  const event = (type: string) =>
    new Promise<void>((resolve, reject) => {
      element.addEventListener(type, () => resolve(), { once: true });
      element.addEventListener('error', () => reject(new Error(element.error?.message)), { once: true });
    });
  element.muted = true;
  await element.play();
  while (element.currentTime <= 0.1) await event('timeupdate');
  const advanced = element.currentTime > 0.1;
  element.pause();
  const seekedTo: number[] = [];
  for (const part of [0.9, 0.5]) {
    const seeked = event('seeked');
    element.currentTime = element.duration * part;
    await seeked;
    seekedTo.push(Math.round((element.currentTime / element.duration) * 10) / 10);
  }
  return { advanced, seekedTo };
}

/** Texts on the screen whose contrast is below that of WCAG 2.1 AA, 4.5 to 1. */
export function faintTexts(): string[] {
  type Colour = [red: number, green: number, blue: number, alpha: number];
  const parse = (text: string): Colour => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    return [red, green, blue, alpha];
  };
  const luminance = ([red, green, blue]: Colour) => {
    const linear = [red, green, blue].map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
  };
  const groundOf = (element: Element): Colour => {
    for (let at: Element | null = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint: string[] = [];
  while (walker.nextNode()) {
    const { parentElement: element, textContent: text } = walker.currentNode;
    if (!element?.checkVisibility() || !text?.trim() || element.closest('.visually-hidden, noscript, title')) continue;
    const [one, other] = [parse(getComputedStyle(element).color), groundOf(element)].map(luminance);
    const [light, dark] = [Math.max(one ?? 0, other ?? 0), Math.min(one ?? 0, other ?? 0)];
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) faint.push(`${text.trim()}: ${contrast.toFixed(2)}`);
  }
  return faint;
}
