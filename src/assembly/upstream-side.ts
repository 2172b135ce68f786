// The gateway's way to its upstreams: connections, and the credentials that go with calls.

import { credentialRecord } from '../audit/records.ts';
import { type CredentialBroker, createBroker } from '../credentials/broker.ts';
import type { Forwarder, WebSocketPass } from '../domain/upstream.ts';
import { createForwarder } from '../upstream/forward.ts';
import { createTargets, type Targets } from '../upstream/targets.ts';
import { createWebSocketPass } from '../upstream/websocket.ts';
import type { Foundation } from './foundation.ts';
import type { GatewayKeys } from './gateway-keys.ts';
import type { LiveConfig } from './live-config.ts';
import type { Shutdown } from './shutdown.ts';

export interface Connections {
  /** Empty until the first configuration is put in force. */
  readonly targets: Targets;
  readonly forwarder: Forwarder;
  readonly webSockets: WebSocketPass;
}

export function createConnections({ metrics }: Foundation, shutdown: Shutdown): Connections {
  const targets = createTargets(new Map());
  const forwarder = createForwarder({ targets, metrics });
  shutdown.add(forwarder.close);
  const webSockets = createWebSocketPass({ targets, metrics });
  shutdown.add(webSockets.close);
  return { targets, forwarder, webSockets };
}

export function createCredentialBroker(
  { audit, clock, log, metrics, store }: Foundation,
  { seal }: GatewayKeys,
  live: LiveConfig,
  shutdown: Shutdown,
): CredentialBroker {
  const broker = createBroker({
    ...{ seal, clock, log, metrics },
    providers: live.provider,
    ledger: store.credentials,
    // A call's own outcome does not tell everything: what is revoked after a crash, or late, or never, is on record too.
    ended: (event, entry) =>
      void audit.append('credential', clock.now(), credentialRecord(event, entry), 'soon').catch(() => {}),
  });
  shutdown.add(broker.close);
  return broker;
}
