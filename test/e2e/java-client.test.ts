// Java's HttpClient, and with it the MCP SDK for Java and Spring AI, offers HTTP/2 with every plain request. Kind: a
// client that asks for more than it needs gets nothing. Skipped where there is no JDK.

import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const PROGRAM = `
import java.net.URI;
import java.net.http.*;

public class Calls {
  public static void main(String[] args) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (String method : new String[] {"GET", "POST", "PUT", "DELETE", "POST"}) {
      var body = method.equals("GET") || method.equals("DELETE") ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString("{\\"a\\":1}");
      var request = HttpRequest.newBuilder(URI.create(args[0])).header("Authorization", "Bearer " + args[1]).header("Content-Type", "application/json").method(method, body).build();
      var response = client.send(request, HttpResponse.BodyHandlers.ofString());
      System.out.println(method + " " + response.statusCode() + " " + response.version() + " " + response.body());
    }
  }
}
`;

function hasJdk(): boolean {
  try {
    return execFileSync('java', ['--list-modules'], { stdio: 'pipe' }).toString().includes('jdk.compiler');
  } catch {
    return false;
  }
}

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({
    rules: [rule.allow('all', { upstream: 'api' })],
  }),
);

describe.skipIf(!hasJdk())('Java’s HttpClient as it is (skipped where there is no JDK)', () => {
  it('has its calls answered over HTTP/1.1, and nothing of its offer goes upstream', { timeout: 60_000 }, async ({
    folder,
    env,
  }) => {
    const source = join(folder, 'Calls.java');
    writeFileSync(source, PROGRAM);
    const { stdout } = await promisify(execFile)('java', [
      source,
      `http://127.0.0.1:${env.ports.agents}/api/a`,
      await env.token('agent-1'),
    ]);
    const methods = ['GET', 'POST', 'PUT', 'DELETE', 'POST'];
    expect(stdout.trim().split('\n')).toEqual(methods.map((method) => `${method} 200 HTTP_1_1 {"ok":true}`));
    expect(env.upstream.requests.map(({ method, body }) => [method, body])).toEqual(
      methods.map((method) => [method, method === 'GET' || method === 'DELETE' ? '' : '{"a":1}']),
    );
    expect(JSON.stringify(env.upstream.requests.map(({ rawHeaders }) => rawHeaders))).not.toMatch(/upgrade|http2|h2c/i);
  });
});
