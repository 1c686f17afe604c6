/** jest's global teardown; see database-template.js. */
export default () => globalThis.removeDatabaseTemplate();
