import assert from "node:assert/strict";
import test from "node:test";
import { AccessLostError, createClient, memoryStore, type LiveMessage } from "@guildhall/client";
import { json, problem, stub } from "./support.js";

const fact = (id: string) => JSON.stringify({ specversion: "1.0", id, type: "task.created", data: { title: id } });
const frame = (id: number, event: string, data: string) => `retry: 5\nid: ${id}\nevent: ${event}\ndata: ${data}\n\n`;

function told(message: LiveMessage): string {
  return message.kind === "event" ? message.event.id : `${message.kind}@${message.position}`;
}

test("a stream that breaks goes on where it was, and tells each event once", async (context) => {
  const resumed: unknown[] = [];
  const url = await stub(context, (request, response) => {
    resumed.push(request.headers["last-event-id"]);
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (resumed.length === 1) {
      // Cut in the middle of a character and of a message: the second half never comes.
      const bytes = Buffer.from(`: hello\n\n${frame(1, "ready", "{}")}${frame(2, "task.created", fact("é"))}`);
      response.write(bytes.subarray(0, bytes.indexOf(0xc3) + 1));
      setTimeout(() => {
        response.write(bytes.subarray(bytes.indexOf(0xc3) + 1));
        response.write('id: 3\nevent: task.created\ndata: {"id":');
        setTimeout(() => response.destroy(), 20);
      }, 20);
    } else if (resumed.length === 2) {
      request.socket.destroy();
    } else {
      response.end(
        frame(2, "ready", "{}") +
          frame(2, "task.created", fact("é")) +
          frame(3, "task.created", fact("b")) +
          'event: end\ndata: {"reason":"access_lost"}\n\n',
      );
    }
  });
  const heard: string[] = [];
  await assert.rejects(async () => {
    for await (const message of createClient({ baseUrl: url, token: "t", retry: { retries: 0 } }).events("w")) heard.push(told(message));
  }, AccessLostError);
  assert.deepEqual(heard, ["ready@1", "é", "ready@2", "b"]);
  assert.deepEqual(resumed, [undefined, "2", "2"]);
});

test("a stream whose token ended comes back with a fresh one", async (context) => {
  const seen: unknown[] = [];
  const url = await stub(context, (request, response) => {
    if (request.url === "/v1/auth/refresh") return json(response, 200, { access_token: "new", refresh_token: "r2" });
    seen.push([request.headers["authorization"], request.headers["last-event-id"]]);
    response.writeHead(200, { "content-type": "text/event-stream" });
    return response.write(
      seen.length === 1 ? frame(7, "ready", "{}") + 'event: end\ndata: {"reason":"expired"}\n\n' : frame(8, "reset", "{}"),
    );
  });
  const heard: string[] = [];
  for await (const message of createClient({ baseUrl: url, tokens: memoryStore({ accessToken: "old", refreshToken: "r" }) }).events("w", {
    lastEventId: "6",
  })) {
    heard.push(told(message));
    if (message.kind === "reset") break;
  }
  assert.deepEqual(heard, ["ready@7", "reset@8"]);
  assert.deepEqual(seen, [
    ["Bearer old", "6"],
    ["Bearer new", "7"],
  ]);
});

test("a silent stream is taken for dead", async (context) => {
  let streams = 0;
  const url = await stub(context, (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(frame(++streams, "ready", "{}"));
  });
  const heard: string[] = [];
  for await (const message of createClient({ baseUrl: url, token: "t" }).events("w", { silenceMs: 50 })) {
    heard.push(told(message));
    if (heard.length === 3) break;
  }
  assert.deepEqual(heard, ["ready@1", "ready@2", "ready@3"]);
});

test("leaving the loop or aborting closes the connection", async (context) => {
  let open = 0;
  const url = await stub(context, (_, response) => {
    open++;
    response.on("close", () => open--);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(frame(1, "ready", "{}"));
  });
  const client = createClient({ baseUrl: url, token: "t" });
  for await (const message of client.events("w")) if (message.kind === "ready") break;
  const stop = new AbortController();
  for await (const message of client.events("w", { signal: stop.signal })) if (message.kind === "ready") stop.abort();
  for (let waited = 0; open > 0 && waited < 100; waited++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(open, 0);
});

test("a refusal is told, not repeated for ever", async (context) => {
  const url = await stub(context, (_, response) => json(response, 404, problem(404, "workspaces.workspace.not_found")));
  await assert.rejects(createClient({ baseUrl: url, token: "t" }).events("w").next(), { status: 404 });
});
