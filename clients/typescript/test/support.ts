import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext } from "node:test";
import { createClient, type Client, type ClientOptions } from "@guildhall/client";

/** A running Guildhall; scripts/clients.sh starts one. */
export const GUILDHALL = process.env["GUILDHALL_TEST_URL"] ?? "http://127.0.0.1:8080";

let people = 0;

/** A client that has just signed up. */
export async function person(name: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = createClient({ baseUrl: GUILDHALL, ...options });
  const email = `${name}-${process.pid}-${Date.now()}-${++people}@example.com`;
  await client.POST("/v1/auth/register", { body: { email, name, password: "engines-weave-algebra" } });
  return client;
}

export async function project(client: Client): Promise<{ workspaceId: string; projectId: string }> {
  const workspace = await client.POST("/v1/workspaces", { body: { name: "Engine works" } });
  const made = await client.POST("/v1/projects", { body: { workspace_id: workspace.data.id, key: "ENG", name: "Difference engine" } });
  return { workspaceId: workspace.data.id, projectId: made.data.id };
}

/** A server that misbehaves as the test wants; it ends with the test. */
export async function stub(
  context: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => unknown,
): Promise<string> {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    await answer(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json", ...headers });
  response.end(JSON.stringify(body));
}

export const problem = (status: number, code: string) => ({ type: "/problems/x", title: "No", status, detail: "No.", code });
