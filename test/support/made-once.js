/** Where the global setup put what it made: variables of the environment, since test files run in processes of their own. */
export const TEMPLATE_VARIABLE = 'MEDIAGRAPH_TEST_DATABASE_TEMPLATE';
/** The compiled program's file. */
export const MAIN_VARIABLE = 'MEDIAGRAPH_TEST_MAIN';
