// nginx and haproxy as plain proxies on one core each, where they are installed: the outside yardsticks.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PlainProxy {
  readonly command: string;
  readonly args: readonly string[];
  readonly port: number;
}

export async function nginx(upstream: URL): Promise<PlainProxy> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'countersign-nginx-'));
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream u { server ${upstream.host}; keepalive 64; }
  server { listen 127.0.0.1:${port}; keepalive_requests 10000000; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
`,
  );
  return { command: 'nginx', args: ['-c', config], port };
}

export async function haproxy(upstream: URL): Promise<PlainProxy> {
  const port = await freePort();
  const config = join(mkdtempSync(join(tmpdir(), 'countersign-haproxy-')), 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  http-reuse always
  server u ${upstream.host}
`,
  );
  return { command: 'haproxy', args: ['-db', '-f', config], port };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
