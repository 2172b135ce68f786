// How a requestState (MCP 2026-07-28, multi round-trip requests) of this gateway's own is told from an upstream's.

export const REQUEST_STATE_PREFIX = 'countersign.v1.';
