// An MCP message as actions have it: of the 2025 revisions, without a stream, unless a test says otherwise.

import type { McpMessage } from '../../src/domain/action.ts';

export const mcpOf = (more: Partial<McpMessage> = {}): McpMessage => ({
  stateless: false,
  streams: false,
  continues: false,
  ...more,
});
