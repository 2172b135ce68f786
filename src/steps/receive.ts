// receive: the one strict parse, and the upstream that the path names. Refuses what is ambiguous or mounted nowhere.

import type { Call } from '../domain/call.ts';
import type { Received } from '../domain/stages.ts';
import { GatewayError } from '../errors.ts';

export function receive(call: Call): Received {
  const arrived = call.parse();
  const mount = call.runtime.mounts.get(call.subcall?.mount ?? arrived.mount);
  if (mount === undefined) {
    call.reach({ call, arrived });
    throw new GatewayError('not_found', 'Nothing is mounted under the first segment of this path.');
  }
  if (call.upgrade !== undefined && (mount.kind === 'shared' || !mount.webSocket)) {
    // Its mount is not noted: an upgrade is no message of the mount's protocol, so the answer is told in HTTP's words.
    call.reach({ call, arrived });
    throw new GatewayError('upgrade_refused', 'This upstream takes no upgrades.');
  }
  return call.reach({ call, arrived, request: arrived, mount });
}
