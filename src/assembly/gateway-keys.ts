// The keys of the gateway itself: the seal of what it keeps or hands out, the keys that it signs tokens with, and its
// SVIDs.

import { dirname, join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { createFileKeyRing, createGatewayIssuer, type GatewayIssuer } from '../credentials/gateway-issuer.ts';
import { createGeneratedKeyRing } from '../credentials/generated-keys.ts';
import { createSealer, type Sealer } from '../credentials/seal.ts';
import type { Clock } from '../domain/clock.ts';
import type { Foundation } from './foundation.ts';
import { createGatewaySvids, type GatewaySvids } from './gateway-svids.ts';
import type { Shutdown } from './shutdown.ts';

export interface GatewayKeys {
  readonly seal: Sealer;
  /** Absent where the configuration has no `signing`. */
  readonly issuer: GatewayIssuer | undefined;
  readonly svids: GatewaySvids;
}

export function openGatewayKeys(config: Config, { clock, log }: Foundation, shutdown: Shutdown): GatewayKeys {
  const seal = createSealer({ keyFile: join(dirname(config.store.path), 'seal.key') });
  const issuer = createIssuer(config, seal, clock);
  const svids = createGatewaySvids({ clock, log });
  shutdown.add(svids.close);
  return { seal, issuer, svids };
}

function createIssuer({ signing, store }: Config, seal: Sealer, clock: Clock): GatewayIssuer | undefined {
  if (signing === undefined) return undefined;
  const { issuer, keys, rotateEveryMs, overlapMs } = signing;
  const path = join(dirname(store.path), 'signing-keys.json');
  return createGatewayIssuer(
    issuer,
    keys === undefined
      ? createGeneratedKeyRing({ path, seal, clock, rotateEveryMs, overlapMs })
      : createFileKeyRing(keys),
    clock,
  );
}
