// Upstreams that say `environment: sandbox`. The claim lowers what rules and reviewers fear of a call, so it is tested:
// a sandbox shares no address, no credential and no secret with what is not one.

import { reachOfCredential } from '../../credentials/types.ts';
import type { Fault } from '../../settings/faults.ts';
import { destinationsOf, type PlacedUpstream, type Sections } from './sections.ts';

export function* checkSandboxes({ upstreams, credentials }: Sections): Generator<Fault> {
  const all = destinationsOf(upstreams);
  const others = all.filter(({ environment }) => environment !== 'sandbox');
  for (const sandbox of all) {
    if (sandbox.environment !== 'sandbox') continue;
    for (const other of others) {
      const shared = whatIsShared(sandbox, other, credentials);
      if (shared === undefined) continue;
      yield {
        path: [...sandbox.path, 'environment'],
        message:
          `Give the sandbox ${shared} of its own: \`${other.path.join('.')}\`, which is no sandbox, has the same. ` +
          'Or remove `environment: sandbox`.',
      };
      break;
    }
  }
}

/** What two destinations have in common, in words. */
function whatIsShared(
  one: PlacedUpstream,
  other: PlacedUpstream,
  credentials: Sections['credentials'],
): string | undefined {
  if (addressOf(one.url) === addressOf(other.url)) return 'an address (host and port)';
  const [own, foreign] = [one, other].map(({ credential }) => credential);
  if (own !== undefined && own === foreign) return 'a credential';
  const certificates = [one, other].map(({ tls }) => tls?.clientCertificate?.workloadApi);
  if (certificates[0] !== undefined && certificates[0] === certificates[1]) return 'a client certificate';
  const reaches = [own, foreign].map((name) => reachOfNamed(credentials, name));
  return [...(reaches[0] ?? [])].find(([key]) => reaches[1]?.has(key))?.[1];
}

function reachOfNamed(credentials: Sections['credentials'], name: string | undefined): ReadonlyMap<string, string> {
  const settings = name !== undefined && Object.hasOwn(credentials, name) ? credentials[name] : undefined;
  return settings === undefined ? new Map() : reachOfCredential(settings);
}

/** Host and port, with the port spelled out. */
export function addressOf(url: string): string {
  const { protocol, hostname, port } = new URL(url);
  return `${hostname.replace(/\.$/, '')}:${port === '' ? (protocol === 'https:' ? 443 : 80) : port}`;
}
