// Preloaded into the MCP reference server, which listens on every interface and would show its environment to the whole
// network: whatever it opens is opened on 127.0.0.1 only.

import { Server } from 'node:net';

const { listen } = Server.prototype;

Server.prototype.listen = function (this: Server, ...args: unknown[]) {
  const [port, ...rest] = args;
  const onPort = typeof port === 'number' || (typeof port === 'string' && /^\d+$/.test(port));
  return Reflect.apply(listen, this, onPort ? [Number(port), '127.0.0.1', ...rest] : args) as Server;
};
