import assert from "node:assert/strict";
import test from "node:test";
import { ProblemError, createClient } from "@guildhall/client";
import { json, problem, stub } from "./support.js";

const quick = { baseDelayMs: 1, maxDelayMs: 5 };
const task = { params: { path: { task_id: "t" } } };
const aProject = { body: { workspace_id: "w", key: "ENG", name: "Engine" } };

test("a request that was refused for its rate is repeated after Retry-After", async (context) => {
  const times: number[] = [];
  const url = await stub(context, (_, response) => {
    times.push(Date.now());
    if (times.length === 1) json(response, 429, problem(429, "request.rate_limited"), { "retry-after": "1" });
    else json(response, 200, { id: "t" });
  });
  const answer = await createClient({ baseUrl: url, retry: quick }).GET("/v1/tasks/{task_id}", task);
  assert.equal(answer.data.id, "t");
  assert.equal(times.length, 2);
  assert.ok(times[1]! - times[0]! >= 990, `waited ${times[1]! - times[0]!} ms`);
});

test("a longer Retry-After than one waits for is handed to the caller", async (context) => {
  let calls = 0;
  const url = await stub(context, (_, response) => {
    calls++;
    json(response, 429, problem(429, "request.rate_limited"), { "retry-after": "3600" });
  });
  await assert.rejects(createClient({ baseUrl: url }).GET("/v1/me"), (error) => error instanceof ProblemError && error.retryAfter === 3600);
  assert.equal(calls, 1);
});

test("all attempts of one call carry one Idempotency-Key and the same body", async (context) => {
  const keys = new Set<unknown>();
  const bodies = new Set<string>();
  let calls = 0;
  const url = await stub(context, (request, response, body) => {
    keys.add(request.headers["idempotency-key"]);
    bodies.add(body);
    calls++;
    if (calls === 1) request.socket.destroy();
    else if (calls === 2) json(response, 503, problem(503, "service.unavailable"));
    else if (calls === 3) json(response, 409, problem(409, "request.idempotency_in_flight"));
    else json(response, 201, { id: "p" }, { "idempotency-replayed": "true" });
  });
  const client = createClient({ baseUrl: url, retry: quick });
  const answer = await client.POST("/v1/projects", aProject);
  assert.deepEqual([answer.data.id, answer.replayed, calls, keys.size, bodies.size], ["p", true, 4, 1, 1]);
  assert.match(String([...keys][0]), /^[0-9a-f-]{36}$/);
  await client.POST("/v1/projects", aProject);
  assert.equal(keys.size, 2, "another call has another key");
});

test("a key of one's own is kept", async (context) => {
  let key: unknown;
  const url = await stub(context, (request, response) => {
    key = request.headers["idempotency-key"];
    json(response, 201, {});
  });
  await createClient({ baseUrl: url }).POST("/v1/projects", { ...aProject, params: { header: { "Idempotency-Key": "mine" } } });
  assert.equal(key, "mine");
});

test("what cannot be repeated safely is not", async (context) => {
  let calls = 0;
  const url = await stub(context, (request, response) => {
    calls++;
    if (request.url === "/v1/auth/sign-in") json(response, 503, problem(503, "service.unavailable"));
    else request.socket.destroy();
  });
  const client = createClient({ baseUrl: url, retry: quick });
  await assert.rejects(client.POST("/v1/auth/sign-in", { body: { email: "ada@example.com", password: "x" } }), { status: 503 });
  assert.equal(calls, 1, "no key protects a sign-in");
  const header = { "If-Match": '"1"' };
  await assert.rejects(client.DELETE("/v1/tasks/{task_id}", { params: { path: { task_id: "t" }, header } }));
  assert.equal(calls, 2, "the answer to a repetition would be 412");
});

test("patience ends, and the last error is told", async (context) => {
  let calls = 0;
  const url = await stub(context, (_, response) => {
    calls++;
    json(response, 503, problem(503, "service.unavailable"));
  });
  await assert.rejects(createClient({ baseUrl: url, retry: { ...quick, retries: 2 } }).GET("/v1/me"), { code: "service.unavailable" });
  assert.equal(calls, 3);
});

test("an abort ends the waiting", async (context) => {
  const url = await stub(context, (_, response) => json(response, 429, problem(429, "request.rate_limited"), { "retry-after": "20" }));
  const begun = Date.now();
  await assert.rejects(createClient({ baseUrl: url }).GET("/v1/me", { signal: AbortSignal.timeout(100) }), { name: "TimeoutError" });
  assert.ok(Date.now() - begun < 5_000);
});

test("an attempt that takes too long is given up", async (context) => {
  let calls = 0;
  const url = await stub(context, (_, response) => {
    if (++calls > 1) json(response, 200, { id: "me" });
  });
  const answer = await createClient({ baseUrl: url, timeoutMs: 100, retry: quick }).GET("/v1/me");
  assert.deepEqual([answer.data.id, calls], ["me", 2]);
});

test("an answer that is not ours is an error too", async (context) => {
  const url = await stub(context, (_, response) => {
    response.writeHead(400, { "content-type": "text/html" });
    response.end("<h1>Bad gateway</h1>");
  });
  await assert.rejects(createClient({ baseUrl: url }).GET("/v1/me"), { name: "ProblemError", status: 400, code: "http.400", fields: [] });
});

test("answers that are not JSON come as text or as bytes", async (context) => {
  const url = await stub(context, (request, response) => {
    response.writeHead(200, { "content-type": request.url === "/v1/me" ? "text/csv; charset=utf-8" : "application/zip" });
    response.end("a,b");
  });
  const client = createClient({ baseUrl: url });
  assert.equal((await client.GET("/v1/me")).data as unknown, "a,b");
  const bytes: unknown = (await client.GET("/v1/workspaces")).data;
  assert.ok(bytes instanceof Blob && bytes.size === 3);
});
