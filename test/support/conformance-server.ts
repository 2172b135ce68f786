// The MCP server that the official conformance scenarios expect (tools, resources and prompts of fixed names), on the
// TypeScript SDK v1, with sessions and resumable streams.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { hostHeaderValidation } from '@modelcontextprotocol/sdk/server/middleware/hostHeaderValidation.js';
import { type EventStore, StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  type CallToolResult,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAA';
const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

function createMcpServer(): McpServer {
  const mcp = new McpServer(
    { name: 'conformance', version: '1.0.0' },
    { capabilities: { tools: {}, logging: {}, completions: {}, prompts: {}, resources: { subscribe: true } } },
  );
  const tool = (name: string, run: () => CallToolResult) => mcp.registerTool(name, { description: name }, run);
  tool('test_simple_text', () => text('This is a simple text response for testing.'));
  tool('test_image_content', () => ({ content: [{ type: 'image', data: PNG, mimeType: 'image/png' }] }));
  tool('test_audio_content', () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }));
  tool('test_embedded_resource', () => ({
    content: [
      {
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      },
    ],
  }));
  tool('test_multiple_content_types', () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      { type: 'image', data: PNG, mimeType: 'image/png' },
      {
        type: 'resource',
        resource: {
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: '{"test":"data","value":123}',
        },
      },
    ],
  }));
  tool('test_error_handling', () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  mcp.registerTool(
    'test_tool_with_logging',
    { description: 'test_tool_with_logging', inputSchema: {} },
    async (_args, extra) => {
      for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data } });
        await pause(20);
      }
      return text('logged');
    },
  );
  mcp.registerTool(
    'test_tool_with_progress',
    { description: 'test_tool_with_progress', inputSchema: {} },
    async (_args, extra) => {
      const progressToken = extra._meta?.progressToken;
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined)
          await extra.sendNotification({
            method: 'notifications/progress',
            params: { progressToken, progress, total: 100 },
          });
        await pause(20);
      }
      return text('done');
    },
  );
  mcp.registerTool(
    'test_sampling',
    { description: 'test_sampling', inputSchema: { prompt: z.string() } },
    async ({ prompt }, extra) => {
      const params = {
        messages: [{ role: 'user' as const, content: { type: 'text' as const, text: prompt } }],
        maxTokens: 100,
      };
      const { content } = await extra.sendRequest(
        { method: 'sampling/createMessage', params },
        CreateMessageResultSchema,
      );
      return text(`LLM response: ${'text' in content ? content.text : ''}`);
    },
  );
  const strings = { username: { type: 'string' as const }, email: { type: 'string' as const } };
  mcp.registerTool(
    'test_elicitation',
    { description: 'test_elicitation', inputSchema: { message: z.string() } },
    async ({ message }, extra) => {
      const params = {
        message,
        requestedSchema: { type: 'object' as const, properties: strings, required: ['username', 'email'] },
      };
      const answer = await extra.sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema);
      return text(`User response: ${JSON.stringify(answer)}`);
    },
  );
  mcp.registerTool(
    'test_elicitation_sep1034_defaults',
    { description: 'test_elicitation_sep1034_defaults', inputSchema: {} },
    async (_args, extra) => {
      const properties = {
        name: { type: 'string' as const, default: 'John Doe' },
        age: { type: 'integer' as const, default: 30 },
        score: { type: 'number' as const, default: 95.5 },
        status: { type: 'string' as const, enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean' as const, default: true },
      };
      const params = { message: 'Please review', requestedSchema: { type: 'object' as const, properties } };
      const { action, content } = await extra.sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema);
      return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`);
    },
  );
  mcp.registerTool('test_reconnection', { description: 'test_reconnection', inputSchema: {} }, async (_args, extra) => {
    extra.closeSSEStream?.();
    await pause(50);
    return text('Reconnection test completed successfully');
  });
  mcp.registerResource('static-text', 'test://static-text', { mimeType: 'text/plain' }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
  }));
  mcp.registerResource('static-binary', 'test://static-binary', { mimeType: 'image/png' }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'image/png', blob: PNG }],
  }));
  mcp.registerResource('template', 'test://template/123/data', { mimeType: 'application/json' }, (uri) => ({
    contents: [
      {
        uri: uri.href,
        mimeType: 'application/json',
        text: '{"id":"123","templateTest":true,"data":"Data for ID: 123"}',
      },
    ],
  }));
  const said = (value: string) => ({
    messages: [{ role: 'user' as const, content: { type: 'text' as const, text: value } }],
  });
  mcp.registerPrompt('test_simple_prompt', { description: 'test_simple_prompt' }, () =>
    said('This is a simple prompt for testing.'),
  );
  mcp.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'test_prompt_with_arguments', argsSchema: { arg1: z.string(), arg2: z.string() } },
    ({ arg1, arg2 }) => said(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
  );
  mcp.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'test_prompt_with_embedded_resource', argsSchema: { resourceUri: z.string() } },
    ({ resourceUri }) => ({
      messages: [
        {
          role: 'user',
          content: {
            type: 'resource',
            resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' },
          },
        },
        ...said('Please process the embedded resource above.').messages,
      ],
    }),
  );
  mcp.registerPrompt('test_prompt_with_image', { description: 'test_prompt_with_image' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: PNG, mimeType: 'image/png' } },
      ...said('Please analyze the image above.').messages,
    ],
  }));
  mcp.server.setRequestHandler(CompleteRequestSchema, async () => ({
    completion: { values: [], total: 0, hasMore: false },
  }));
  for (const schema of [SetLevelRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema] as const) {
    mcp.server.setRequestHandler(schema as typeof SubscribeRequestSchema, async () => ({}));
  }
  return mcp;
}

function createEventStore(): EventStore {
  const events: { readonly id: string; readonly streamId: string; readonly message: unknown }[] = [];
  return {
    async storeEvent(streamId, message) {
      const id = `${streamId}_${events.length}`;
      events.push({ id, streamId, message });
      return id;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const at = events.findIndex(({ id }) => id === lastEventId);
      const streamId = events[at]?.streamId ?? '';
      for (const event of events.slice(at + 1))
        if (event.streamId === streamId) await send(event.id, event.message as never);
      return streamId;
    },
  };
}

export async function startConformanceServer(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const hosts = hostHeaderValidation(['localhost', '127.0.0.1', '[::1]']);
  const http = createServer(async (incoming, response) => {
    const refused = await new Promise<boolean>((resolve) => {
      const answer = (code: number, body: unknown): void => {
        response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        resolve(true);
      };
      const express = { status: (code: number) => ({ json: (body: unknown) => answer(code, body) }) };
      hosts(incoming as never, express as never, () => resolve(false));
    });
    if (refused) return;
    const session = incoming.headers['mcp-session-id'];
    let transport = typeof session === 'string' ? transports.get(session) : undefined;
    if (transport === undefined) {
      const opened = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        onsessioninitialized: (id) => void transports.set(id, opened),
        eventStore: createEventStore(),
        retryInterval: 500,
      });
      await createMcpServer().connect(opened as never);
      transport = opened;
    }
    await transport.handleRequest(incoming, response);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    async close() {
      http.close();
      http.closeAllConnections();
      await once(http, 'close');
    },
  };
}
