// `countersign check --online`: a sandbox must not lead to the machine of an upstream that is none, under another name.
// Resolves the names of all upstreams; connects to nothing.

import { lookup } from 'node:dns/promises';
import type { Config } from '../config/schema.ts';

/** A sentence for each sandbox that shares an address and port with an upstream that is no sandbox. */
export async function sharedAddresses({ upstreams }: Pick<Config, 'upstreams'>): Promise<readonly string[]> {
  const found = await Promise.all(
    Object.entries(upstreams).flatMap(([name, entry]) =>
      'url' in entry ? [addressesOf(entry.url).then((addresses) => ({ name, addresses, of: entry.environment }))] : [],
    ),
  );
  const others = found.filter(({ of }) => of !== 'sandbox');
  return found.flatMap(({ name, addresses, of }) => {
    if (of !== 'sandbox') return [];
    const other = others.find((each) => each.addresses.some((address) => addresses.includes(address)));
    if (other === undefined) return [];
    return `upstreams.${name}.environment: Give the sandbox an address of its own: \`upstreams.${other.name}\`, which is no sandbox, resolves to the same. Or remove \`environment: sandbox\`.`;
  });
}

/** `address port`, each. A name that does not resolve has none: nothing can be reached by it. */
async function addressesOf(url: string): Promise<readonly string[]> {
  const { protocol, hostname, port } = new URL(url);
  const own = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  const found = await lookup(hostname.replace(/^\[|\]$/g, ''), { all: true }).catch(() => []);
  return found.map(({ address }) => `${address} ${own}`);
}
