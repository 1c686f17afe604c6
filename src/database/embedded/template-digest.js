// @ts-check
/**
 * What the template beside this file was made by. The build writes the digest into the bundle; the sources have no template.
 * @type {string | null}
 */
export const TEMPLATE_DIGEST = null;
