// @fastify/http-proxy with nothing but its own job.
import proxy from '@fastify/http-proxy';
import fastify from 'fastify';

const app = fastify({ keepAliveTimeout: 60_000 });
await app.register(proxy, { upstream: process.argv[2] as string });
const address = await app.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`port ${new URL(address).port}\n`);
