import { z } from 'zod';
import { database } from '../database/settings.js';
import { delivery } from '../delivery/settings.js';
import { federation, limits } from '../graphql/settings.js';
import { mirror, retention, upload } from '../media/settings.js';
import { network } from '../net/settings.js';
import { channels, providers } from '../providers/settings.js';
import { rendering } from '../rendering/settings.js';
import { auth, server, tenants } from '../server/settings.js';
import { storage } from '../storage/settings.js';
import { log, metrics, tracing } from '../telemetry/settings.js';

/** The whole file. A duration or a size has its unit in its name after parsing. */
export const configSchema = z.strictObject({
  server,
  log,
  metrics,
  auth,
  database,
  storage,
  delivery,
  rendering,
  mirror,
  upload,
  network,
  retention,
  tenants,
  limits,
  federation,
  tracing,
  providers,
  channels,
});
