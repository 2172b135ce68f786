// What the end of a task reaches besides its holds: streams and WebSocket connections of the tasks below it, and of no
// other. Kind of fault: a call that was opened before the end and goes on after it.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { rule } from '../support/config.ts';
import { freshGatewayTest } from '../support/gateway-test.ts';
import { answered } from './held.ts';

freshGatewayTest(
  'cuts the streams and WebSocket connections of all below it, and no others',
  async ({ environment, closes }) => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n');
    });
    await closes(server, (opened) => {
      opened.closeAllConnections();
      opened.close();
    });
    const sockets = new WebSocketServer({ server });
    await closes(sockets, (opened) => opened.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const env = await environment({
      upstreams: { live: { url, websocket: true } },
      rules: [rule.allow('live', { upstream: 'live' }), rule.allow('sockets', { upstream: 'live', upgrade: true })],
    });
    const open = async (body: object) =>
      String((await answered(env.call('/countersign/v1/tasks', { method: 'POST', body }))).json.id);
    const root = await open({ objective: 'all of it' });
    const [child, sibling] = [await open({ objective: 'a part', parent: root }), await open({ objective: 'another' })];
    const follow = async (task: string) => {
      const response = await env.call('/live/events', { headers: { 'countersign-task': task } });
      const reader = response.body?.getReader();
      await reader?.read();
      return reader as NonNullable<typeof reader>;
    };
    const [cut, kept] = [await follow(child), await follow(sibling)];
    const authorization = `Bearer ${await env.token('agent-1')}`;
    const socket = new WebSocket(`ws://127.0.0.1:${env.ports.agents}/live/socket`, {
      headers: { authorization, 'countersign-task': child },
    });
    await once(socket, 'open');
    const closed = once(socket, 'close');

    expect((await env.call(`/countersign/v1/tasks/${root}`, { method: 'DELETE' })).status).toBe(200);
    await expect(cut.read()).rejects.toThrow();
    await closed;
    expect(await Promise.race([kept.read(), Promise.resolve('open')])).toBe('open');
    await kept.cancel();
  },
);
