// The issuer of the agents' token and the receiver of the spans, in a process of its own: neither is part of what is
// measured. Prints its port and a token.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

const { privateKey, publicKey } = await generateKeyPair('ES256');
const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
const server = createServer((request, response) => {
  request.resume();
  const json = request.url?.endsWith('openid-configuration')
    ? { issuer, jwks_uri: `${issuer}/jwks` }
    : request.url === '/jwks'
      ? { keys: [jwk] }
      : {};
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(json));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;
const issuer = `http://127.0.0.1:${port}`;
const token = await new SignJWT({})
  .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
  .setIssuer(issuer)
  .setSubject('bench')
  .setAudience('https://gateway.example.org')
  .setIssuedAt()
  .setExpirationTime('1h')
  .sign(privateKey);
process.stdout.write(`port ${port} ${token}\n`);
