import { describe, expect, it } from 'vitest';
import { guardedLookup, type Resolve, refuseUpstreamUrl } from '../../src/upstream/address-guard.ts';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { createRig, outgoing, recordingSink } from './harness.ts';

/** A name service that gives these answers in turn. */
function answering(...rounds: string[][]): Resolve {
  let round = 0;
  return (_name, _options, callback) => {
    const addresses = rounds[Math.min(round++, rounds.length - 1)] ?? [];
    setImmediate(
      callback,
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
}

function look(url: string, addresses: string[], allowPrivateAddresses = false): Promise<string> {
  const lookup = guardedLookup({ url, allowPlaintext: true, allowPrivateAddresses }, answering(addresses));
  return new Promise((resolve) =>
    lookup(new URL(url).hostname, {}, (error, address) =>
      resolve(error === null ? String(address) : String(error.code)),
    ),
  );
}

describe('the addresses that an upstream’s name may have', () => {
  it.each([
    ...[
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '127.0.0.1',
      '127.9.9.9',
      '169.254.169.254',
      '100.64.0.1',
      '100.100.100.200',
      '0.0.0.0',
    ],
    ...['198.18.0.1', '224.0.0.1', '255.255.255.255', '192.0.0.192', '168.63.129.16'],
    ...[
      '::1',
      '::',
      'fe80::1',
      'fe80::1%eth0',
      'fc00::1',
      'fd00:ec2::254',
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:a9fe:a9fe',
      '::ffff:10.0.0.1',
      '::127.0.0.1',
    ],
    ...['64:ff9b::169.254.169.254', '64:ff9b::a00:1', '2002:7f00:1::', '2001:0:1::'],
    // Kind: an IPv4 address that a translator or a tunnel takes out of an IPv6 one.
    ...[
      '::ffff:0:127.0.0.1',
      '::ffff:0:10.0.0.1',
      '::ffff:0:8.8.8.8',
      '::169.254.169.254',
      '2002:a9fe:a9fe::1',
      '2002:a00:1::',
      '64:ff9b:1::127.0.0.1',
    ],
    ...[
      '64:ff9b:1:a9fe:a9:fe00::',
      '64:ff9b:1:7f:0:100::',
      '64:ff9b:1:0:7f:0:100::',
      '2001:0:5601:5601:0:0:5601:5601',
      '2001::7f00:1:0:0:0',
      'fd00:ec2::23',
    ],
    ...['2606:4700::5efe:127.0.0.1', '2606:4700::200:5efe:10.0.0.1'],
  ])('refuses %s', async (address) => {
    expect(await look('https://api.example', [address])).toBe('upstream_address_refused');
    expect(await look('https://api.example', ['93.184.216.34', address])).toBe('upstream_address_refused');
    expect(await look('https://api.example', [address], true)).toBe(address);
  });

  it.each(['93.184.216.34', '8.8.8.8', '172.32.0.1', '2606:4700::1111', '64:ff9b::8.8.8.8', '::ffff:8.8.8.8'])(
    'accepts %s',
    async (address) => {
      expect(await look('https://api.example', [address])).toBe(address);
    },
  );

  it('keeps localhost on this host', async () => {
    expect(await look('http://localhost:1', ['127.0.0.1'])).toBe('127.0.0.1');
    expect(await look('http://api.localhost:1', ['::1'])).toBe('::1');
    expect(await look('http://localhost:1', ['93.184.216.34'])).toBe('upstream_address_refused');
  });

  it('connects nowhere when the answer turns inside between two connections', async () => {
    const upstream = await startRawUpstream((socket) => socket.end(rawAnswer('ok', ['connection: close'])));
    const url = `http://rebinding.example:${upstream.port}`;
    // The first answer is let through by opting in; the second rig stands for the same name a moment later, without the
    // opt-in.
    await using trusting = createRig(
      url,
      { allowPlaintext: true, allowPrivateAddresses: true },
      answering(['127.0.0.1']),
    );
    expect(await trusting.forwarder.send(outgoing({ url }), recordingSink())).toMatchObject({ status: 200 });
    await using guarded = createRig(url, { allowPlaintext: true }, answering(['127.0.0.1']));
    await expect(guarded.forwarder.send(outgoing({ url }), recordingSink())).rejects.toMatchObject({
      code: 'upstream_address_refused',
    });
    expect(guarded.counted).toEqual(['upstream_address_refused']);
    expect(upstream.received).toHaveLength(1);
    await upstream.close();
  });
});

// Kind: an address that is special in whatever spelling carries it, and refused even where private ones are allowed.
describe('the addresses that no opt-in allows', () => {
  const special = (address: string): Promise<string> => {
    const rules = {
      url: 'https://hook.example',
      allowPlaintext: false,
      allowPrivateAddresses: true,
      neverSpecial: true,
    };
    const lookup = guardedLookup(rules, answering([address]));
    return new Promise((resolve) =>
      lookup('hook.example', {}, (error, found) => resolve(error === null ? String(found) : String(error.code))),
    );
  };

  it.each([
    ...['0.0.0.0', '100.100.100.200', '192.0.0.192', '168.63.129.16', '224.0.0.1', '255.255.255.255', 'fe80::1'],
    ...[
      '169.254.169.254',
      '::ffff:0:169.254.169.254',
      '::169.254.169.254',
      '2002:a9fe:a9fe::',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b:1::a9fe:a9fe',
    ],
    ...[
      '64:ff9b:1:a9fe:a9:fe00::',
      '2001:0:a9fe:a9fe::',
      '2001::5601:5601',
      'fd00:ec2::23',
      'fd00:ec2::253',
      'fd20:ce::254',
      'ff02::1',
      '2606:4700::5efe:a9fe:a9fe',
      '::ffff:0:0.0.0.0',
    ],
  ])('are as special as %s', async (address) => {
    expect(await special(address)).toBe('upstream_address_refused');
    if (address.includes(':'))
      expect(refuseUpstreamUrl({ url: `https://[${address}]`, allowPlaintext: false })).toMatch(/metadata/);
  });

  it('are not private ones, nor any other', async () => {
    for (const address of [
      '10.0.0.1',
      'fd00:1::1',
      '2002:a00:1::',
      '::ffff:0:10.0.0.1',
      '2606:4700::1111',
      '2606:4700:a9fe:a9fe::',
      '64:ff9b::8.8.8.8',
    ]) {
      expect(await special(address)).toBe(address);
    }
  });

  it('leave plain http to this very machine, not to what is translated to it', () => {
    for (const host of ['[::ffff:0:127.0.0.1]', '[::127.0.0.1]', '[64:ff9b::127.0.0.1]', '[2002:7f00:1::]']) {
      expect(refuseUpstreamUrl({ url: `http://${host}:1`, allowPlaintext: false })).toMatch(/Plain http/);
    }
    expect(refuseUpstreamUrl({ url: 'http://[::ffff:127.0.0.1]:1', allowPlaintext: false })).toBeUndefined();
  });
});

describe('the URLs that an upstream may have', () => {
  const refuse = (url: string, extra = {}) => refuseUpstreamUrl({ url, allowPlaintext: false, ...extra });

  it('accepts https anywhere and plain http on this host', () => {
    for (const url of [
      'https://api.example',
      'https://10.0.0.1/base',
      'http://127.0.0.1:3001/mcp',
      'http://[::1]:1',
      'http://localhost:1',
      'http://0x7f.1',
      'http://2130706433',
    ]) {
      expect(refuse(url)).toBeUndefined();
    }
    expect(refuse('http://tools:3001', { allowPlaintext: true })).toBeUndefined();
    expect(refuse('http://169.254.1.1', { allowPlaintext: true, allowPrivateAddresses: true })).toBeUndefined();
  });

  it.each([
    ...[
      'http://api.example',
      'http://10.0.0.1',
      'ftp://api.example',
      'not a url',
      'https://user:pass@api.example',
      'https://api.example/?a=b',
      'https://api.example/#a',
    ],
    ...[
      'https://169.254.169.254',
      'https://[::ffff:169.254.169.254]',
      'https://0xa9fea9fe',
      'https://2852039166',
      'https://0.0.0.0',
      'https://[fe80::1]',
      'https://[fd00:ec2::254]',
    ],
  ])('refuses %s', (url) => {
    expect(refuse(url)).toMatch(/\.$/);
  });
});
