import { ApolloProvider } from '@apollo/client/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.js';
import { createApolloClient } from './client.js';
import { AnnouncerProvider } from './hooks/announcer.js';
import './styles/base.css';
import './styles/layout.css';
import './styles/media.css';
import './styles/modal.css';

const root = document.getElementById('root');
if (!root) throw new Error('expected an element with the id "root" in the page');

createRoot(root).render(
  <StrictMode>
    <ApolloProvider client={createApolloClient()}>
      <AnnouncerProvider>
        <App />
      </AnnouncerProvider>
    </ApolloProvider>
  </StrictMode>,
);
