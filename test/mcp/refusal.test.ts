import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { renderMcpRefusal } from '../../src/mcp/refusal.ts';
import { mcpOf } from '../support/mcp-message.ts';

const pending = new GatewayError('approval_pending', 'A person has to decide on this call.', {
  holdId: 'hold_1',
  retryAfter: 30,
});

describe('renderMcpRefusal', () => {
  it('answers a tool call with a result that says what happened and what to do', () => {
    const answer = renderMcpRefusal(pending, { mcp: mcpOf({ method: 'tools/call', id: 7 }) });
    expect(answer).toMatchObject({ status: 200, contentType: 'application/json' });
    expect(JSON.parse(answer?.body ?? '')).toEqual({
      jsonrpc: '2.0',
      id: 7,
      result: {
        isError: true,
        content: [
          {
            type: 'text',
            text: 'A person has to decide on this call. Nothing was executed. The hold is hold_1. Send the identical request again later. Do not rephrase it or look for another way. Wait at least 30 seconds before you ask again.',
          },
        ],
        _meta: {
          'countersign/code': 'approval_pending',
          'countersign/hold': 'hold_1',
          'countersign/status': '/countersign/v1/holds/hold_1',
          'countersign/retryAfter': 30,
        },
      },
    });
  });

  it('sends a client of protocol 2026-07-28 away with a requestState alone, and words any other ending as a complete result', () => {
    const transport = { stateless: true, streams: true, continues: false };
    const pending = new GatewayError('approval_pending', 'A person has to decide on this call.', {
      holdId: 'hold_1',
      retryAfter: 3,
    });
    const said = (error: GatewayError, more: object = {}) =>
      JSON.parse(
        renderMcpRefusal(
          error,
          { mcp: { method: 'tools/call', id: 7, ...transport, ...more } },
          (id) => `state of ${id}`,
        )?.body ?? '',
      ).result;
    expect(said(pending)).toMatchObject({ resultType: 'input_required', requestState: 'state of hold_1' });
    expect(said(pending)).not.toHaveProperty('inputRequests');
    // It would lose the answers that it brought for the server.
    expect(said(pending, { continues: true })).toMatchObject({ resultType: 'complete', isError: true });
    expect(said(new GatewayError('approval_denied', 'No.'))).toMatchObject({ resultType: 'complete', isError: true });
  });

  it('answers other requests with a JSON-RPC error', () => {
    const body = JSON.parse(
      renderMcpRefusal(new GatewayError('denied', 'Rule x denies it.'), {
        mcp: mcpOf({ method: 'resources/read', id: 'a' }),
      })?.body ?? '',
    );
    expect(body).toMatchObject({ jsonrpc: '2.0', id: 'a', error: { code: -32000, data: { code: 'denied' } } });
    expect(body.error.message).toMatch(/Rule x denies it\. Nothing was executed\./);
  });

  it.each([
    ['a notification', { mcp: mcpOf({ method: 'tools/call' }) }],
    ['a response', { mcp: mcpOf({ id: 7 }) }],
    ['an event stream', {}],
  ])('leaves %s to the problem document', (_what, action) => {
    expect(renderMcpRefusal(pending, action)).toBeUndefined();
  });
});
