// receive: the one strict parse, and the upstream that the path names. Refuses what is ambiguous or mounted nowhere.

import type { Call, Received } from '../domain/stages.ts';
import { GatewayError } from '../errors.ts';

export function receive(call: Call): Received {
  const request = call.parse();
  call.facts.request = request;
  const mount = call.runtime.mounts.get(call.subcall?.mount ?? request.mount);
  if (mount === undefined)
    throw new GatewayError('not_found', 'Nothing is mounted under the first segment of this path.');
  if (call.upgrade !== undefined && !mount.webSocket)
    throw new GatewayError('upgrade_refused', 'This upstream takes no upgrades.');
  call.mount = mount;
  return { call, request, mount };
}
