import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { faultsIn, withSections } from './files.ts';

const url = 'url: http://127.0.0.1:1/mcp, protocol: mcp';
const upstream = (more: string, kind = url) => withSections({ upstreams: `{ tools: { ${kind}${more} } }`, rules: '[]' });

it('gives an MCP upstream the strict defaults', () => {
  expect(parseConfig(upstream(''), '/nowhere/countersign.yaml', undefined, { TOKEN: 'x' }).upstreams.tools).toMatchObject({
    toolChanges: 'deny',
    pinnedTools: {},
    allowedOrigins: [],
    mcpLifecycle: true,
  });
});

it.each([
  ['several servers under one mount', ', servers: { a: {} }', 'upstreams.tools.servers: Several servers under one mount is not supported in this version.'],
  ['a tier for changed tools that is not there', ', toolChanges: { hold: nobody }', 'upstreams.tools.toolChanges.hold: There is no tier of this name.'],
  ['a digest that is none', ', pinnedTools: { a: abc }', 'upstreams.tools.pinnedTools.a: A digest is 64 lower-case hex digits.'],
  [
    'an origin with a path',
    ', allowedOrigins: ["https://a.example/x"]',
    'upstreams.tools.allowedOrigins.0: Write an origin: scheme, host and port, without a path.',
  ],
])('refuses %s', (_what, more, fault) => {
  expect(faultsIn(upstream(more))).toContain(fault);
});

it('refuses rules about resources and prompts of an upstream that has none', () => {
  const rules = '[{ id: a, match: { upstream: tools, resource: "x:*" }, decide: deny }, { id: b, match: { upstream: tools, prompt: p }, decide: deny }]';
  const text = withSections({ upstreams: '{ tools: { url: http://127.0.0.1:1 } }', rules });
  expect(faultsIn(text)).toEqual(
    expect.arrayContaining(['rules.0.match.resource: This upstream is not MCP.', 'rules.1.match.prompt: This upstream is not MCP.']),
  );
});
