/** Where the global setup put what it made: variables of the environment, since test files run in processes of their own. */
export const TEMPLATE_VARIABLE = 'MEDIAGRAPH_TEST_DATABASE_TEMPLATE';
/** `main.js` of the compiled modules, beside which each module is a file. */
export const MAIN_VARIABLE = 'MEDIAGRAPH_TEST_MAIN';
/** `main.js` of the bundle, as it is delivered. */
export const PROGRAM_VARIABLE = 'MEDIAGRAPH_TEST_PROGRAM';
