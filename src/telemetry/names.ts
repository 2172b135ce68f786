// Names of spans, attributes, metrics and events: the contract with dashboards and alert rules.
// HTTP names follow the stable OpenTelemetry semantic conventions; `mcp.*` and `gen_ai.*` are kept here because the
// conventions package has dropped them. No name carries a body, an argument, a header value or a token.

export const SPAN = {
  request: 'countersign.approval.request',
  review: 'countersign.approval.review',
  close: 'countersign.approval.close',
  release: 'countersign.release',
  mint: 'countersign.credential.mint',
  revoke: 'countersign.credential.revoke',
} as const;

export const ATTR = {
  method: 'http.request.method',
  route: 'http.route',
  status: 'http.response.status_code',
  scheme: 'url.scheme',
  path: 'url.path',
  query: 'url.query',
  clientAddress: 'client.address',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  error: 'error.type',

  rpcMethod: 'mcp.method.name',
  rpcSession: 'mcp.session.id',
  rpcVersion: 'mcp.protocol.version',
  rpcId: 'jsonrpc.request.id',
  tool: 'gen_ai.tool.name',
  operation: 'gen_ai.operation.name',

  decision: 'countersign.decision',
  upstream: 'countersign.upstream',
  callId: 'countersign.call.id',
  agent: 'countersign.agent.id',
  agentKey: 'countersign.agent.key',
  task: 'countersign.task.id',
  taskRoot: 'countersign.task.root',
  action: 'countersign.action.digest',
  policy: 'countersign.policy.digest',
  rules: 'countersign.rule.ids',
  meters: 'countersign.meters',
  novel: 'countersign.novel',
  reasons: 'countersign.decision.reasons',
  data: 'countersign.action.data',
  effect: 'countersign.action.operation',
  environment: 'countersign.action.environment',
  reversible: 'countersign.action.reversible',
  destination: 'countersign.action.destination',
  resources: 'countersign.resource.ids',
  tainted: 'countersign.tainted',
  marked: 'countersign.marked',
  hold: 'countersign.hold.id',
  outcome: 'countersign.hold.outcome',
  expiry: 'countersign.hold.expiry',
  state: 'countersign.hold.state',
  verdict: 'countersign.vote.decision',
  reviewer: 'countersign.reviewer.ref',
  credential: 'countersign.credential.id',
  provider: 'countersign.credential.provider',
  ttl: 'countersign.credential.ttl',
  revocability: 'countersign.credential.revocability',
  auditSeq: 'countersign.audit.seq',
  approvalTrace: 'countersign.approval.trace_id',
  callTrace: 'countersign.call.trace_id',
  link: 'countersign.link',

  certificate: 'countersign.certificate',
  channel: 'countersign.notification.channel',
  delivery: 'countersign.notification.outcome',
  issuer: 'countersign.issuer',
  ok: 'countersign.ok',
  signal: 'countersign.telemetry.signal',
  reason: 'countersign.telemetry.reason',
  violation: 'countersign.violation.of',
  suspended: 'countersign.suspension.of',
} as const;

export const METRIC = {
  serverDuration: 'http.server.request.duration',
  clientDuration: 'http.client.request.duration',
  decisions: 'countersign.decisions',
  holdsActive: 'countersign.holds.active',
  holdDuration: 'countersign.hold.duration',
  mintDuration: 'countersign.credential.mint.duration',
  revocations: 'countersign.credential.revocations',
  auditDuration: 'countersign.audit.append.duration',
  tokensRefused: 'countersign.tokens.refused',
  reviewDecisions: 'countersign.review.decisions',
  reviewDuration: 'countersign.review.duration',
  reviewHasty: 'countersign.review.hasty',
  violations: 'countersign.violations',
  suspensions: 'countersign.suspensions.active',
  notifications: 'countersign.notifications',
  certificateRemaining: 'countersign.certificate.remaining',
  keys: 'countersign.identity.keys',
  keysAge: 'countersign.identity.keys.age',
  dropped: 'countersign.telemetry.dropped',
  exportFailures: 'countersign.telemetry.export.failures',
} as const;

/** Log records with an event name (`eventName`), written beside the span of the same moment. */
export type EventName =
  | 'countersign.call.held'
  | 'countersign.call.denied'
  | 'countersign.call.released'
  | 'countersign.call.completed'
  | 'countersign.approval.decided'
  | 'countersign.credential.issued'
  | 'countersign.credential.revoked'
  | 'countersign.credential.revoke_failed'
  | 'countersign.violation'
  | 'countersign.audit.checkpoint';
