import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { faultsIn, withSections } from './files.ts';

const url = 'url: http://127.0.0.1:1/mcp, protocol: mcp';
const upstream = (more: string, kind = url) =>
  withSections({ upstreams: `{ tools: { ${kind}${more} } }`, rules: '[]' });

it('gives an MCP upstream the strict defaults', () => {
  expect(
    parseConfig(upstream(''), '/nowhere/countersign.yaml', undefined, { TOKEN: 'x' }).upstreams.tools,
  ).toMatchObject({
    toolChanges: 'deny',
    pinnedTools: {},
    allowedOrigins: [],
    mcpLifecycle: true,
  });
});

it.each([
  [
    'servers beside a url',
    ', servers: { a: { url: http://127.0.0.1:2 } }',
    'upstreams.tools.url: With `servers`, set this on each server instead.',
  ],
  [
    'a tier for changed tools that is not there',
    ', toolChanges: { hold: nobody }',
    'upstreams.tools.toolChanges.hold: There is no tier of this name. Add one under `tiers`.',
  ],
  [
    'a digest that is none',
    ', pinnedTools: { a: abc }',
    'upstreams.tools.pinnedTools.a: Write the digest as 64 lower-case hex digits.',
  ],
  [
    'an origin with a path',
    ', allowedOrigins: ["https://a.example/x"]',
    'upstreams.tools.allowedOrigins.0: Write an origin: scheme, host and port, without a path.',
  ],
])('refuses %s', (_what, more, fault) => {
  expect(faultsIn(upstream(more))).toContain(fault);
});

describe('several servers under one mount', () => {
  const shared = (servers: string, more = '', rules = '[]') =>
    withSections({
      upstreams: `{ tools: { protocol: mcp, servers: { ${servers} }${more} } }`,
      credentials: '{ key: { type: static, in: header, name: x-key, secret: { env: TOKEN } } }',
      rules,
    });
  const read = (text: string) => parseConfig(text, '/nowhere/countersign.yaml', undefined, { TOKEN: 'x' });

  it('are upstreams of their own beside the mount, with what it shares', () => {
    const { upstreams } = read(
      shared(
        'a: { url: http://127.0.0.1:1/mcp, credential: key, toolChanges: allow }, b: { url: http://127.0.0.1:2 }',
        ', heldToolSuffix: ""',
      ),
    );
    expect(Object.keys(upstreams)).toEqual(['tools', 'tools/a', 'tools/b']);
    expect(upstreams['tools/a']).toMatchObject({
      url: 'http://127.0.0.1:1/mcp',
      protocol: 'mcp',
      credential: 'key',
      toolChanges: 'allow',
      heldToolSuffix: '',
    });
    expect(upstreams['tools/b']).toMatchObject({ toolChanges: 'deny', pinnedTools: {} });
    expect(upstreams['tools/b']).not.toHaveProperty('credential');
    expect(upstreams.tools).toMatchObject({ serversWithinMs: 10_000 });
    expect(upstreams.tools).not.toHaveProperty('url');
  });

  const A = 'a: { url: http://127.0.0.1:1 }';
  it.each([
    ['none at all', shared(''), 'upstreams.tools.servers: Write from 1 to 32 servers.'],
    [
      'over plain HTTP',
      withSections({ upstreams: `{ tools: { servers: { ${A} } } }`, rules: '[]' }),
      'upstreams.tools.servers: Set `protocol: mcp`: only MCP servers can share a mount.',
    ],
    [
      'one with the seam of names in its own',
      shared('a__b: { url: http://127.0.0.1:1 }'),
      expect.stringMatching(/^upstreams\.tools\.servers\.a__b: Use up to 32 lower-case letters/),
    ],
    [
      'one without a name',
      shared('"": { url: http://127.0.0.1:1 }'),
      expect.stringMatching(/Use up to 32 lower-case letters/),
    ],
    ['one without a url', shared('a: {}'), 'upstreams.tools.servers.a.url: This key is required. Write a text.'],
    [
      'one over plain http to elsewhere',
      shared('a: { url: http://x.example }'),
      expect.stringMatching(/^upstreams\.tools\.servers\.a\.url: Write https, or set `allowPlaintext: true`/),
    ],
    [
      'a credential that is not there',
      shared('a: { url: http://127.0.0.1:1, credential: none }'),
      'upstreams.tools.servers.a.credential: There is no credential of this name. Credentials: `key`.',
    ],
    [
      'a tier that is not there',
      shared('a: { url: http://127.0.0.1:1, toolChanges: { hold: none } }'),
      'upstreams.tools.servers.a.toolChanges.hold: There is no tier of this name. Add one under `tiers`.',
    ],
    ...[
      ['credential', ', credential: key'],
      ['timeouts', ', timeouts: { headers: 5s }'],
      ['pinnedTools', `, pinnedTools: { x: ${'a'.repeat(64)} }`],
    ].map(([key, text]): [string, string, string] => [
      `${key} for all of them`,
      shared(A, text),
      `upstreams.tools.${key}: With \`servers\`, set this on each server instead.`,
    ]),
    [
      'a rule for a server that is not there',
      shared(A, '', '[{ id: r, match: { upstream: tools, server: b }, decide: allow }]'),
      'rules.0.match.server: There is no server of this name. Servers: `a`.',
    ],
    [
      'a rule for a server of nothing',
      shared(A, '', '[{ id: r, match: { server: a }, decide: allow }]'),
      'rules.0.match.server: Set `upstream` too: a server is named together with its upstream.',
    ],
    [
      'a rule under the inner name',
      shared(A, '', '[{ id: r, match: { upstream: tools/a }, decide: allow }]'),
      'rules.0.match.upstream: There is no upstream of this name. Did you mean `tools`? Upstreams: `tools`.',
    ],
    [
      'a scope for a server without a credential',
      shared(A, '', '[{ id: r, match: { upstream: tools }, decide: allow, credential: {} }]'),
      'rules.0.credential: Set `credential` on the upstream, or remove it here: the upstream has no credential to narrow.',
    ],
  ])('are refused: %s', (_what, text, fault) => {
    expect(faultsIn(text)).toContainEqual(fault);
  });
});

it('refuses rules about resources and prompts of an upstream that has none', () => {
  const rules =
    '[{ id: a, match: { upstream: tools, resource: "x:*" }, decide: deny }, { id: b, match: { upstream: tools, prompt: p }, decide: deny }]';
  const text = withSections({ upstreams: '{ tools: { url: http://127.0.0.1:1 } }', rules });
  expect(faultsIn(text)).toEqual(
    expect.arrayContaining([
      'rules.0.match.resource: Remove `resource`, or set `protocol: mcp` on the upstream: this one does not speak MCP.',
      'rules.1.match.prompt: Remove `prompt`, or set `protocol: mcp` on the upstream: this one does not speak MCP.',
    ]),
  );
});
