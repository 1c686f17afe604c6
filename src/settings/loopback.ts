import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Whether only this machine can reach a server that listens on `host`. Of names, only `localhost` is known to be loopback. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) === 0) {
    return address.toLowerCase() === 'localhost';
  }
  return ipaddr.process(address).range() === 'loopback';
}
