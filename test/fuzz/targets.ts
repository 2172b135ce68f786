// Every parser that an agent, a server or an issuer reaches with bytes of its own.

import type { Target } from './target.ts';
import { cel } from './targets/cel.ts';
import { eventStream } from './targets/event-stream.ts';
import { headerFields } from './targets/header-fields.ts';
import { jsonRpc } from './targets/json-rpc.ts';
import { jwt } from './targets/jwt.ts';
import { requestTarget } from './targets/request-target.ts';
import { strictJson } from './targets/strict-json.ts';
import { x509 } from './targets/x509.ts';

export const TARGETS: readonly Target[] = [
  requestTarget,
  headerFields,
  strictJson,
  jsonRpc,
  jwt,
  x509,
  eventStream,
  cel,
];
