// The members of MCP's params, in all its revisions, as its schema writes them. Rules and the gateway read them by
// these names alone, so a member that some server would take for one of them is refused; any other member goes on as it
// is, is bound by an approval and shown to reviewers.

import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { checkSpelling, spellings } from './rpc.ts';

const PARAMS = spellings(
  '_meta name arguments task uri cursor ref argument context level taskId protocolVersion capabilities ' +
    'clientInfo requestId reason progressToken ' +
    'progress total message requestState inputResponses subscriptions resourceSubscriptions notifications taskIds',
);
const META = spellings(
  'progressToken traceparent tracestate baggage io.modelcontextprotocol/protocolVersion ' +
    'io.modelcontextprotocol/clientInfo ' +
    'io.modelcontextprotocol/clientCapabilities io.modelcontextprotocol/related-task io.modelcontextprotocol/logLevel countersign/task',
);
const WITHIN = {
  _meta: META,
  ref: spellings('type name uri'),
  argument: spellings('name value'),
  context: spellings('arguments'),
  task: spellings('ttl'),
};

/** Throws `bad_rpc`. */
export function checkMembers(params: JsonObject): void {
  checkSpelling(params, PARAMS);
  for (const [member, known] of Object.entries(WITHIN)) {
    const value = params[member];
    if (isJsonObject(value)) checkSpelling(value, known);
  }
}
