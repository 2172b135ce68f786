// What of a hostile or careless server's answer reaches the agent.

import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/domain/action.ts';
import type { HeaderList } from '../../src/domain/headers.ts';
import type { ResponseSink } from '../../src/domain/upstream.ts';
import { judgeAnswer } from '../../src/mcp/answer.ts';
import { judgedAnswer } from '../../src/mcp/answer-sink.ts';
import { checkArguments } from '../../src/mcp/arguments.ts';
import { mcpOf } from '../support/mcp-message.ts';

interface Got {
  readonly sink: ResponseSink;
  body(): string;
  headers: HeaderList;
  aborted: boolean;
}

function collect(): Got {
  const chunks: string[] = [];
  const got: Got = {
    headers: [],
    aborted: false,
    body: () => chunks.join(''),
    sink: {
      started: false,
      head(_status, headers) {
        got.headers = headers;
      },
      write: (chunk) => Boolean(chunks.push(Buffer.from(chunk as string).toString())),
      onDrain() {},
      whole(_status, headers, body) {
        got.headers = headers;
        chunks.push(Buffer.from(body as string).toString());
      },
      end() {},
      abort() {
        got.aborted = true;
      },
    },
  };
  return got;
}

const action: Action = {
  ...{
    protocol: 'mcp',
    upstream: 'tools',
    authority: 'tools.test',
    method: 'POST',
    target: '/mcp',
    path: '/',
    boundHeaders: [],
    streamed: false,
  },
  mcp: mcpOf({ method: 'tools/list' }),
};

function answer(allowed: readonly string[] = [], method = 'tools/list') {
  const got = collect();
  const refused: string[] = [];
  const made: boolean[] = [];
  const judge = judgeAnswer({
    action: { ...action, mcp: mcpOf({ method }) },
    madeTasks: (makes) => void made.push(makes),
    failed() {},
    tools: {
      takesTasks: method === 'tools/list',
      heldSuffix: '(held)',
      own: (tools) => tools,
      observe: (tool) => (tool as { name?: unknown }).name !== 'huge',
      outlook: (tool) => (tool === 'hidden' ? 'deny' : 'hold'),
    },
    requests: { passes: (asked) => allowed.includes(asked), refuse: (_id, asked) => void refused.push(asked) },
    passed() {},
  });
  return {
    got,
    refused,
    made,
    sink: judgedAnswer(got.sink, {
      judge,
      instead: () => ({ jsonrpc: '2.0', id: 1, error: { code: -32000, message: 'unreadable' } }),
    }),
  };
}

const JSON_TYPE = ['content-type', 'application/json'];
const EVENTS = ['content-type', 'text/event-stream'];
const sampling = { jsonrpc: '2.0', id: 5, method: 'sampling/createMessage', params: {} };

describe('an answer in JSON', () => {
  it('stays byte for byte when nothing in it is judged away', () => {
    const { got, sink } = answer();
    const body = '{ "jsonrpc":"2.0", "id":1, "result": {"content":[],"n":1e2} }';
    sink.whole(200, [...JSON_TYPE, 'content-length', String(body.length)], body);
    expect(got.body()).toBe(body);
  });

  it('cannot carry a request of the server’s, alone or in a batch', () => {
    for (const body of [sampling, [sampling]]) {
      const { got, sink } = answer();
      sink.whole(200, JSON_TYPE, JSON.stringify(body));
      expect(got.body()).toContain('unreadable');
      expect(got.body()).not.toContain('sampling');
    }
  });

  it('has its list of tools cut, whatever request it answers', () => {
    const { got, sink } = answer();
    const tools = [{ name: 'hidden' }, { name: 'shown', description: 'Does.' }, { name: 'huge' }];
    sink.head(200, JSON_TYPE);
    const text = JSON.stringify({ jsonrpc: '2.0', id: 'other', result: { tools } });
    sink.write(text.slice(0, 20));
    sink.write(text.slice(20));
    sink.end();
    expect(JSON.parse(got.body()).result.tools).toEqual([
      { name: 'shown', description: 'Does. (held)', execution: { taskSupport: 'optional' } },
    ]);
  });

  it('is refused when it is compressed, since nobody could read it', () => {
    const { sink } = answer();
    expect(() => sink.head(200, [...JSON_TYPE, 'content-encoding', 'gzip'])).toThrow('compressed');
  });
});

describe('what a server says of tasks', () => {
  const say = (method: string, result: object) => {
    const { got, made, sink } = answer([], method);
    sink.whole(200, JSON_TYPE, JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
    return { made, message: JSON.parse(got.body()) };
  };

  it('is completed by what the gateway offers, and left as it is where it offers that itself', () => {
    expect(
      say('initialize', { protocolVersion: '2025-11-25', capabilities: { tools: {} } }).message.result.capabilities,
    ).toEqual({
      tools: {},
      tasks: { cancel: {}, requests: { tools: { call: {} } } },
    });
    const own = { list: {}, requests: { tools: { call: {} } } };
    expect(
      say('initialize', { protocolVersion: '2025-11-25', capabilities: { tasks: own } }).message.result.capabilities
        .tasks,
    ).toEqual(own);
    expect(say('initialize', { protocolVersion: '2025-06-18', capabilities: {} }).message.result.capabilities).toEqual(
      {},
    );
    const extension = { 'io.modelcontextprotocol/tasks': {} };
    expect(say('server/discover', { capabilities: {} })).toMatchObject({
      made: [false],
      message: { result: { capabilities: { extensions: extension } } },
    });
    expect(say('server/discover', { capabilities: { extensions: extension } }).made).toEqual([true]);
    expect(say('tools/call', { capabilities: {} }).message.result).toEqual({ capabilities: {} });
  });

  it('stays with a tool whose calls are tasks of its own', () => {
    const tools = [
      { name: 'a', execution: { taskSupport: 'required' } },
      { name: 'b', execution: { taskSupport: 'forbidden' } },
    ];
    const supports = say('tools/list', { tools }).message.result.tools.map(
      (tool: { execution: { taskSupport: string } }) => tool.execution.taskSupport,
    );
    expect(supports).toEqual(['required', 'optional']);
  });

  it.each([
    ['a task', { resultType: 'task', taskId: 'countersign.hold_1', status: 'working' }],
    ['a created task', { task: { taskId: 'countersign.hold_1', status: 'working' } }],
    ['a list', { tasks: [{ taskId: 'fine' }, { taskId: 'countersign.call_1' }] }],
  ])('never names a task of the gateway’s own: %s', (_what, result) => {
    expect(say('tools/call', result).message.error).toMatchObject({ data: { code: 'upstream_protocol' } });
  });

  it('never tells of the gateway’s own tasks in a notification', () => {
    const { got, sink } = answer();
    sink.head(200, EVENTS);
    const told = (taskId: string) =>
      `data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/tasks/status', params: { taskId, status: 'completed' } })}\n\n`;
    sink.write(told('countersign.hold_1') + told('theirs'));
    expect(got.body()).toBe(told('theirs'));
  });
});

describe('an event stream', () => {
  it('loses requests that no rule allows, and keeps the ids by which a client resumes', () => {
    const { got, refused, sink } = answer();
    sink.head(200, EVENTS);
    sink.write(
      `id: 1\ndata: ${JSON.stringify(sampling)}\n\nid: 2\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n`,
    );
    expect(got.body()).toBe(
      'id: 1\ndata: \n\nid: 2\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n',
    );
    expect(refused).toEqual(['sampling/createMessage']);
  });

  it('loses what is no JSON-RPC message and what only looks like a notification', () => {
    const { got, sink } = answer();
    sink.head(200, EVENTS);
    sink.write(
      `data: [${JSON.stringify(sampling)}]\n\ndata: {"method":"sampling/createMessage"}\n\ndata: {"id":{},"method":"x"}\n\ndata: nonsense\n\n`,
    );
    expect(got.body()).toBe('');
  });

  it('passes a request that a rule allows in the one form that was judged', () => {
    const { got, sink } = answer(['sampling/createMessage']);
    sink.head(200, EVENTS);
    sink.write('data: {"jsonrpc":"2.0","id":5,"method":"elicitation/create","method":"sampling/createMessage"}\n\n');
    expect(got.body()).toBe('data: {"jsonrpc":"2.0","id":5,"method":"sampling/createMessage"}\n\n');
  });

  it('has requests inside a result judged as well (2026-07-28)', () => {
    const result = { resultType: 'input_required', inputRequests: { q: { method: 'elicitation/create', params: {} } } };
    const { got, sink } = answer();
    sink.whole(200, JSON_TYPE, JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
    expect(JSON.parse(got.body())).toMatchObject({ id: 1, error: { data: { code: 'denied' } } });
  });
});

describe('arguments against a server’s schema', () => {
  const check = (inputSchema: object, args: object) => () => checkArguments({ inputSchema } as never, args as never);

  it('are refused with places and keywords, never values', () => {
    const schema = { type: 'object', properties: { n: { type: 'integer', maximum: 5 } }, required: ['n'] };
    expect(check(schema, { n: 3 })).not.toThrow();
    expect(check(schema, { n: 7 })).toThrow('/n: must be <= 5');
    expect(check(schema, {})).toThrow("must have required property 'n'");
  });

  it('are read by the dialect that the schema names', () => {
    const tuple = { type: 'object', properties: { p: { prefixItems: [{ type: 'string' }] } } };
    expect(check(tuple, { p: [1] })).toThrow('/p/0');
    expect(check({ ...tuple, $schema: 'http://json-schema.org/draft-07/schema#' }, { p: [1] })).not.toThrow();
  });

  it('are not checked by schemas that cannot be compiled, point elsewhere, or would run wild', () => {
    expect(check({ $ref: 'https://evil.example/schema' }, {})).not.toThrow();
    expect(check({ type: 'nonsense' }, {})).not.toThrow();
    expect(check({ properties: { s: { pattern: '^(a+)+$' } } }, { s: `${'a'.repeat(50)}!` })).not.toThrow();
    const laughs = { $defs: { d0: { type: 'string' } } as Record<string, object>, $ref: '#/$defs/d26' };
    for (let i = 1; i <= 26; i++)
      laughs.$defs[`d${i}`] = { anyOf: [{ $ref: `#/$defs/d${i - 1}` }, { $ref: `#/$defs/d${i - 1}` }] };
    expect(check(laughs, {})).not.toThrow();
  });
});
