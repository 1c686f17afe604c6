import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** `npm run demo` serves what is built here; `vite` itself asks the supergraph of a demo that runs beside it. */
export default defineConfig({
  plugins: [react()],
  server: { proxy: { '/graphql': 'http://127.0.0.1:4000' } },
  // Everything is a file of this origin, so that a strict Content-Security-Policy lets it through.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
