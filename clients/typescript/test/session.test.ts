import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import test from "node:test";
import { createClient, memoryStore, type Tokens } from "@guildhall/client";
import { json, problem, stub } from "./support.js";

/** Knows one access token at a time; `over` ends the session. */
function house() {
  const state = { generation: 1, refreshed: 0, over: false, broken: 0, sent: [] as string[] };
  const answer = (request: IncomingMessage, response: Parameters<typeof json>[0], body: string) => {
    if (request.url === "/v1/auth/refresh") {
      state.refreshed++;
      state.sent.push(body);
      if (state.broken-- > 0) return json(response, 503, problem(503, "service.unavailable"));
      if (state.over) return json(response, 401, problem(401, "auth.refresh_invalid"));
      state.generation++;
      return setTimeout(() => json(response, 200, { access_token: `a${state.generation}`, refresh_token: `r${state.generation}` }), 30);
    }
    if (request.headers["authorization"] !== `Bearer a${state.generation}`) return json(response, 401, problem(401, "auth.token_invalid"));
    return json(response, 200, { id: "me", seen: body });
  };
  return { state, answer };
}

const stale: Tokens = { accessToken: "a0", refreshToken: "r0" };

test("however many requests notice it, an ended token is renewed once, and each is repeated", async (context) => {
  const { state, answer } = house();
  const store = memoryStore(stale);
  const client = createClient({ baseUrl: await stub(context, answer), tokens: store });
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.GET("/v1/me")));
  assert.ok(answers.every((one) => one.data.id === "me"));
  assert.equal(state.refreshed, 1);
  assert.deepEqual(await store.load(), { accessToken: "a2", refreshToken: "r2" });
  await client.GET("/v1/me");
  assert.equal(state.refreshed, 1);
});

test("the repeated request keeps its body and its key", async (context) => {
  const { answer } = house();
  const client = createClient({ baseUrl: await stub(context, answer), tokens: memoryStore(stale) });
  const made = await client.POST("/v1/projects", { body: { workspace_id: "w", key: "ENG", name: "Engine" } });
  assert.deepEqual(JSON.parse((made.data as unknown as { seen: string }).seen), { workspace_id: "w", key: "ENG", name: "Engine" });
});

test("when the session is over the first refusal is told and the tokens are forgotten", async (context) => {
  const { state, answer } = house();
  state.over = true;
  const client = createClient({ baseUrl: await stub(context, answer), tokens: memoryStore(stale) });
  await assert.rejects(client.GET("/v1/me"), { status: 401, code: "auth.token_invalid" });
  assert.equal(await client.tokens(), undefined);
  await assert.rejects(client.GET("/v1/me"), { status: 401 });
  assert.equal(state.refreshed, 1, "nothing is left to exchange");
});

test("a server that is away for a moment ends no session", async (context) => {
  const { state, answer } = house();
  state.broken = 2;
  const client = createClient({ baseUrl: await stub(context, answer), tokens: memoryStore(stale), retry: { baseDelayMs: 1 } });
  assert.equal((await client.GET("/v1/me")).data.id, "me");
  assert.deepEqual(state.sent, Array(3).fill('{"refresh_token":"r0"}'), "the same token until there is an answer");
  state.broken = 100;
  state.generation = 99;
  await assert.rejects(client.GET("/v1/me"), { status: 503 });
  assert.equal((await client.tokens())?.refreshToken, "r2", "kept for later");
});

test("with a cookie the exchange has no token in its body, and a fresh page can take the session up", async (context) => {
  const { state, answer } = house();
  const client = createClient({ baseUrl: await stub(context, answer) });
  assert.equal(await client.resume(), true);
  assert.deepEqual(state.sent, ["{}"]);
  assert.equal((await client.GET("/v1/me")).data.id, "me");
});

test("a fixed credential is sent as it is and never renewed", async (context) => {
  const { state, answer } = house();
  const url = await stub(context, answer);
  assert.equal((await createClient({ baseUrl: url, token: "a1" }).GET("/v1/me")).data.id, "me");
  await assert.rejects(createClient({ baseUrl: url, token: async () => "wrong" }).GET("/v1/me"), { status: 401 });
  assert.equal(state.refreshed, 0);
});
