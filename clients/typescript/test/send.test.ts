import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createClient, type Client } from "@guildhall/client";
import { stub } from "./support.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** A signal that got lost would be waited for in vain. */
const limited = { timeout: 20_000 };
const path = { workspace_id: "w" };

/** What `createClient` is told to wait is far less than these answers take. */
const hasty = (baseUrl: string) => createClient({ baseUrl, token: "t", timeoutMs: 200, retry: { retries: 0 } });

async function download(client: Client, signal?: AbortSignal): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const { response } = await client.raw.GET("/v1/workspaces/{workspace_id}/export", {
    params: { path },
    parseAs: "stream",
    ...(signal && { signal }),
  });
  assert.ok(response.body);
  return response.body.getReader();
}

async function length(reader: ReadableStreamDefaultReader<Uint8Array>, pauseMs = 0): Promise<number> {
  for (let read = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return read;
    read += value.length;
    await sleep(pauseMs);
  }
}

async function drip(response: ServerResponse, pieces: number): Promise<void> {
  response.writeHead(200, { "content-type": "text/csv" });
  for (let sent = 0; sent < pieces && !response.destroyed; sent++) {
    response.write("0123456789");
    await sleep(50);
  }
}

test("a download may take longer than one waits for an answer, as long as it comes", limited, async (context) => {
  const url = await stub(context, async (_, response) => {
    await drip(response, 12);
    response.end();
  });
  assert.equal(await length(await download(hasty(url))), 120);
  const whole = await hasty(url).GET("/v1/workspaces/{workspace_id}/audit-log/export", { params: { path } });
  assert.equal(String(whole.data).length, 120);
});

test("whoever reads slowly is waited for", limited, async (context) => {
  const url = await stub(context, (_, response) => {
    response.writeHead(200);
    response.write("0123456789");
    setTimeout(() => response.end("0123456789"), 50);
  });
  assert.equal(await length(await download(hasty(url)), 500), 20);
});

test("an answer that stops in its middle is given up", limited, async (context) => {
  let open = 0;
  const url = await stub(context, async (_, response) => {
    open++;
    response.on("close", () => open--);
    await drip(response, 2);
  });
  await assert.rejects(async () => length(await download(hasty(url))), { name: "TimeoutError" });
  await assert.rejects(hasty(url).GET("/v1/workspaces/{workspace_id}/audit-log/export", { params: { path } }), { name: "TimeoutError" });
  for (let waited = 0; open > 0 && waited < 100; waited++) await sleep(20);
  assert.equal(open, 0, "the connections are closed");
});

/** Asks in a frame of its own: nothing but what a program would hold is held on to. */
async function abortable<T>(ask: (signal: AbortSignal) => T): Promise<{ stop: AbortController; asked: T }> {
  const stop = new AbortController();
  const asked = ask(stop.signal);
  await sleep(100);
  for (let times = 0; times < 5; times++) {
    collectGarbage();
    await sleep(10);
  }
  return { stop, asked };
}

test("an abort is obeyed before the answer and during it, whatever garbage was collected", limited, async (context) => {
  const url = await stub(context, async (request, response) => {
    if (request.url !== "/v1/me") await drip(response, 200);
  });
  const client = createClient({ baseUrl: url, token: "t" });
  const before = await abortable((signal) => client.GET("/v1/me", { signal }).catch((error: unknown) => error));
  before.stop.abort(new Error("enough"));
  assert.equal(String(await before.asked), "Error: enough");
  const during = await abortable((signal) => download(client, signal));
  const reader = await during.asked;
  during.stop.abort(new Error("enough"));
  await assert.rejects(length(reader), { message: "enough" });
});

test("patience ends, whatever garbage was collected", limited, async (context) => {
  let streams = 0;
  const url = await stub(context, (request, response) => {
    if (request.url === "/v1/me") return;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`retry: 5\nid: ${++streams}\nevent: ready\ndata: {}\n\n`);
  });
  const late = await abortable(() =>
    hasty(url)
      .GET("/v1/me")
      .catch((error: unknown) => error),
  );
  assert.match(String(await late.asked), /^TimeoutError/);
  const live = hasty(url).events("w", { silenceMs: 300 });
  assert.deepEqual((await live.next()).value, { kind: "ready", position: "1" });
  const next = await abortable(() => live.next());
  assert.deepEqual((await next.asked).value, { kind: "ready", position: "2" });
  await live.return();
});
