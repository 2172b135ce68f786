// Turns each server of a shared mount into an upstream of its own beside the mount. It gets the keys of the mount, and
// a name that no request can have (domain/server-names.ts). From here on, a server is treated like any upstream.

import { sharedServerName } from '../domain/server-names.ts';
import type { UpstreamEntry } from './upstreams.ts';

/** Every upstream by its name: those of the file, and the servers of each mount as `mount/server`. */
export function spellOut(upstreams: Readonly<Record<string, UpstreamEntry>>): Record<string, UpstreamEntry> {
  return Object.fromEntries(
    Object.entries(upstreams).flatMap(([name, entry]): [string, UpstreamEntry][] => {
      if (!('servers' in entry)) return [[name, entry]];
      const { servers, serversWithinMs: _, ...shared } = entry;
      return [
        [name, entry],
        ...Object.entries(servers).map(([server, own]): [string, UpstreamEntry] => [
          sharedServerName(name, server),
          { ...shared, ...own },
        ]),
      ];
    }),
  );
}
