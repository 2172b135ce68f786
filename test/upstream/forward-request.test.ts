// What an upstream receives of a call: the target, the fields and the body as they were decided, and nothing else.

import { describe, expect, it } from 'vitest';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { type CallParts, createRig, outgoing, recordingSink, refusalOf } from './harness.ts';

const SECRET = 'ghs_0123456789abcdefABCDEF+/=';

/** Sends one call to an upstream that answers `ok` and gives what the upstream received. */
async function receivedFrom(parts: Omit<CallParts, 'url'>, extra = {}): Promise<string> {
  const upstream = await startRawUpstream(rawAnswer('ok'));
  await using rig = createRig(upstream.origin, extra);
  try {
    await rig.forwarder.send(outgoing({ url: upstream.origin, ...parts }), recordingSink());
    return (upstream.received[0] ?? '').replace(`127.0.0.1:${upstream.port}`, 'UPSTREAM');
  } finally {
    await upstream.close();
  }
}

describe('what the upstream receives', () => {
  it('gets the exact target and none of the agent’s host, framing, identity or proxy fields', async () => {
    const received = await receivedFrom(
      {
        target: '/v1/items/%7Ea;x=1?q=%20a&b',
        headers: [
          ...[
            'host',
            'gateway.example',
            'authorization',
            'Bearer agent',
            'cookie',
            'a=b',
            'x-api-key',
            'k',
            'x-agent-token',
            't',
          ],
          ...[
            'connection',
            'keep-alive, x-nominated',
            'x-nominated',
            'gone',
            'keep-alive',
            'timeout=5',
            'te',
            'trailers',
            'upgrade',
            'h2c',
            'http2-settings',
            'A',
          ],
          ...[
            'x-forwarded-for',
            '1.2.3.4',
            'x_forwarded_for',
            '1.2.3.4',
            'forwarded',
            'for=x',
            'via',
            '1.1 x',
            'x-real-ip',
            '1.1.1.1',
            'expect',
            '100-continue',
          ],
          ...[
            'traceparent',
            '00-aa-bb-01',
            'tracestate',
            'a=b',
            'baggage',
            'c=d',
            'countersign-task',
            't',
            'countersign_task',
            't',
          ],
          ...['x-http-method-override', 'DELETE', 'content-length', '0', 'proxy-authorization', 'Basic x'],
          ...['accept', 'application/json', 'x-note', 'one', 'x-note', 'two', 'accept-encoding', 'gzip'],
        ],
      },
      { agentToken: 'x-agent-token' },
    );
    expect(received).toBe(
      [
        ...['GET /v1/items/%7Ea;x=1?q=%20a&b HTTP/1.1', 'host: UPSTREAM', 'connection: keep-alive'],
        ...['accept: application/json', 'x-note: one', 'x-note: two', 'accept-encoding: gzip', '', ''],
      ].join('\r\n'),
    );
  });

  it('gets the approved bytes with their length, and of a held call only the bound fields and the media type', async () => {
    const received = await receivedFrom({
      method: 'POST',
      headers: ['content-type', 'text/plain', 'x-unbound', 'no', 'if-match', 'no'],
      body: '{"a":1}',
      action: { boundHeaders: ['if-match', '"v1"'], contentType: 'application/json' },
      outgoing: { boundHeadersOnly: true },
    });
    expect(received).toBe(
      'POST / HTTP/1.1\r\nhost: UPSTREAM\r\nconnection: keep-alive\r\nif-match: "v1"\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}',
    );
  });

  it('gets no length and no transfer-encoding with a GET, HEAD or DELETE that has no body, and length 0 with a POST', async () => {
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS'])
      expect(await receivedFrom({ method })).not.toMatch(/content-length|transfer-encoding/i);
    expect(await receivedFrom({ method: 'POST' })).toContain('\r\ncontent-length: 0\r\n');
  });

  it('gets the injected credential in place of the agent’s field, once', async () => {
    const received = await receivedFrom({
      headers: ['authorization', 'Bearer agent', 'private-key', 'agent', 'accept-encoding', 'gzip, br'],
      injection: { in: 'header', name: 'Private-Key', value: SECRET },
      secrets: [SECRET],
    });
    expect(received).toBe(
      `GET / HTTP/1.1\r\nhost: UPSTREAM\r\nconnection: keep-alive\r\naccept-encoding: identity\r\nprivate-key: ${SECRET}\r\n\r\n`,
    );
  });

  it('gets a query credential appended and encoded', async () => {
    const injection = { in: 'query', name: 'api key', value: 'a&b=c d#é' } as const;
    expect(await receivedFrom({ target: '/x', injection })).toMatch(/^GET \/x\?api%20key=a%26b%3Dc%20d%23%C3%A9 HTTP/);
    expect(await receivedFrom({ target: '/x?y=1', injection })).toMatch(
      /^GET \/x\?y=1&api%20key=a%26b%3Dc%20d%23%C3%A9 HTTP/,
    );
  });

  it('gets the gateway’s own fields instead of the agent’s', async () => {
    const own = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const received = await receivedFrom({
      headers: ['traceparent', 'forged', 'x-own', 'forged'],
      outgoing: { requestHeaders: ['traceparent', own, 'x-own', 'ours'] },
    });
    expect(received).toContain(`\r\ntraceparent: ${own}\r\nx-own: ours\r\n`);
    expect(received).not.toContain('forged');
  });

  it('gets nothing when the query already has the credential’s parameter, however it is spelled', async () => {
    const upstream = await startRawUpstream(rawAnswer('ok'));
    for (const target of ['/?key=x', '/?a=1&KEY=x', '/?%6bey', '/?a;key=1', '/?key[]=1', '/?+key=1']) {
      const injection = { in: 'query', name: 'key', value: SECRET } as const;
      expect(await refusalOf({ url: upstream.origin, target, injection })).toMatchObject({ code: 'bad_request' });
    }
    for (const target of ['//evil.example/x', 'http://evil.example/', '/a#b', 'a']) {
      expect(await refusalOf({ url: upstream.origin, target })).toMatchObject({ code: 'bad_path' });
    }
    const broken = { in: 'header', name: 'x-key', value: 'a\r\nx: y' } as const;
    const error = await refusalOf({ url: upstream.origin, injection: broken });
    expect(error).toMatchObject({ code: 'credential_unavailable' });
    expect(error.message).not.toContain('a\r\n');
    expect(upstream.received).toEqual([]);
    await upstream.close();
  });

  it('gets nothing when the action is for another authority than the configured one', async () => {
    const upstream = await startRawUpstream(rawAnswer('ok'));
    expect(await refusalOf({ url: upstream.origin, action: { authority: 'elsewhere.example' } })).toMatchObject({
      code: 'upstream_unreachable',
    });
    expect(await refusalOf({ url: upstream.origin, action: { upstream: 'removed' } })).toMatchObject({
      code: 'upstream_unreachable',
    });
    expect(upstream.received).toEqual([]);
    await upstream.close();
  });
});
