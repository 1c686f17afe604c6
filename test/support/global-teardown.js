/** jest's global teardown; see global-setup.js. */
export default () => globalThis.removeMadeOnce();
