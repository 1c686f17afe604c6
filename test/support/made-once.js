/** Where the global setup put what it made: variables of the environment, since test files run in processes of their own. */
export const TEMPLATE_VARIABLE = 'MEDIAGRAPH_TEST_DATABASE_TEMPLATE';
/** `main.js` of the compiled modules, beside which each module is a file. */
export const MAIN_VARIABLE = 'MEDIAGRAPH_TEST_MAIN';
/** How the names of all databases begin that the run makes on a server. */
export const DATABASES_VARIABLE = 'MEDIAGRAPH_TEST_DATABASES';
/** `main.js` of the bundle, as it is delivered. */
export const PROGRAM_VARIABLE = 'MEDIAGRAPH_TEST_PROGRAM';
