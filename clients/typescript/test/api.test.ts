// The client against a running Guildhall, as a program would use it.
import assert from "node:assert/strict";
import test from "node:test";
import { ProblemError, createClient, ifMatch, memoryStore, type LiveMessage, type Tokens } from "@guildhall/client";
import { GUILDHALL, person, project } from "./support.js";

test("from signing up to a completed task, with lists, a conflict and the errors on the way", async () => {
  const ada = await person("ada");
  const me = await ada.GET("/v1/me");
  assert.equal(me.data.name, "ada");
  const { projectId } = await project(ada);
  const path = { project_id: projectId };

  const titles = ["cut", "file", "fit", "oil", "turn"];
  for (const title of titles) await ada.POST("/v1/projects/{project_id}/tasks", { params: { path }, body: { title } });
  const query = { limit: 2, sort: ["created_at"] };
  const pages: string[][] = [];
  for await (const page of ada.pages("/v1/projects/{project_id}/tasks", { params: { path, query } }))
    pages.push(page.data.items.map((item) => item.title ?? ""));
  assert.deepEqual(pages, [["cut", "file"], ["fit", "oil"], ["turn"]]);
  const found: (string | undefined)[] = [];
  for await (const task of ada.items("/v1/tasks", { params: { query: { limit: 2, sort: ["-created_at"] } } })) found.push(task.title);
  assert.deepEqual(found, titles.toReversed());

  const made = await ada.POST("/v1/projects/{project_id}/tasks", { params: { path }, body: { title: "Polish the gears" } });
  assert.equal(made.status, 201);
  assert.equal(made.location, `/v1/tasks/${made.data.id}`);
  const task = { task_id: made.data.id };
  const renamed = await ada.PATCH("/v1/tasks/{task_id}", {
    params: { path: task, header: ifMatch(made) },
    body: { title: "Polish all gears" },
  });
  assert.notEqual(renamed.etag, made.etag);
  await assert.rejects(
    ada.PATCH("/v1/tasks/{task_id}", { params: { path: task, header: ifMatch(made) }, body: { title: "Too late" } }),
    (error) => error instanceof ProblemError && error.status === 412 && error.requestId !== undefined,
  );
  const read = await ada.GET("/v1/tasks/{task_id}", { params: { path: task } });
  assert.equal(read.data.title, "Polish all gears");
  assert.equal(await ada.getIfChanged("/v1/tasks/{task_id}", read.etag ?? "", { params: { path: task } }), undefined);
  const completed = await ada.PUT("/v1/tasks/{task_id}/completion", { params: { path: task } });
  assert.equal(completed.data.status, "done");
  const changed = await ada.getIfChanged("/v1/tasks/{task_id}", read.etag ?? "", { params: { path: task } });
  assert.equal(changed?.data.status, "done");

  await assert.rejects(ada.POST("/v1/workspaces", { body: { name: "Works", colour: "red" } as never }), (error) => {
    assert.ok(error instanceof ProblemError);
    assert.deepEqual([error.status, error.code, error.field("/colour")?.code], [422, "request.invalid", "unknown_field"]);
    return true;
  });
  const eve = await person("eve");
  await assert.rejects(eve.GET("/v1/tasks/{task_id}", { params: { path: task } }), { status: 404 });
  await assert.rejects(createClient({ baseUrl: GUILDHALL }).GET("/v1/me"), { status: 401, code: "auth.required" });
  assert.equal((await ada.DELETE("/v1/tasks/{task_id}", { params: { path: task } })).data, undefined);
});

test("a problem tells what only problems of its kind tell", async () => {
  const ada = await person("ada");
  const { workspaceId, projectId } = await project(ada);
  const problemOf = async (call: Promise<unknown>) => {
    const error = await call.then(() => assert.fail("was not refused")).catch((thrown: unknown) => thrown);
    if (!(error instanceof ProblemError)) throw error;
    return error.problem;
  };

  const content = "title,priority\nOil the bearings,high\n ,low\n";
  const params = { path: { project_id: projectId } };
  const rows = await problemOf(
    ada.POST("/v1/projects/{project_id}/tasks/import", { params, body: { format: "csv", atomic: true, content } }),
  );
  assert.equal(rows.code, "tasks.import.rows_failed");
  assert.equal(rows.instance, `/v1/projects/${projectId}/tasks/import`);
  assert.deepEqual(
    rows.report?.errors.map(({ row, field }) => ({ row, field })),
    [{ row: 3, field: "title" }],
  );
  assert.match(rows.report?.error_file ?? "", /must not be blank/);

  const headers = { "content-type": "text/plain" };
  assert.deepEqual((await problemOf(ada.POST("/v1/workspaces", { body: { name: "Works" }, headers }))).accepted, ["application/json"]);

  const key = await ada.POST("/v1/api-keys", {
    body: { name: "Reader", scopes: ["tasks:read"], current_password: "engines-weave-algebra" },
  });
  const program = createClient({ baseUrl: GUILDHALL, token: key.data.key });
  assert.equal((await problemOf(program.GET("/v1/workspaces"))).scope, "workspaces:read");

  const invitation = await ada.POST("/v1/workspaces/{workspace_id}/invitations", {
    params: { path: { workspace_id: workspaceId } },
    body: { role: "collaborator" },
  });
  const bob = await person("bob");
  await bob.POST("/v1/invitations/{token}/acceptance", { params: { path: { token: invitation.data.token ?? "" } } });
  const owner = await problemOf(ada.DELETE("/v1/me", { body: { current_password: "engines-weave-algebra" } }));
  assert.deepEqual(owner.workspaces, [{ id: workspaceId, name: "Engine works", other_members: 1 }]);
});

test("a repeated key gives the first answer again", async () => {
  const ada = await person("ada");
  const { projectId } = await project(ada);
  const call = { params: { path: { project_id: projectId }, header: { "Idempotency-Key": "once" } }, body: { title: "Once" } };
  const first = await ada.POST("/v1/projects/{project_id}/tasks", call);
  const second = await ada.POST("/v1/projects/{project_id}/tasks", call);
  assert.deepEqual([first.replayed, second.replayed], [false, true]);
  assert.deepEqual(second.data, first.data);
  assert.equal(second.etag, first.etag);
});

test("twenty requests with an ended token renew it once", async () => {
  let refreshes = 0;
  const store = memoryStore();
  const ada = await person("ada", {
    tokens: store,
    fetch: (request) => {
      if (request.url.endsWith("/v1/auth/refresh")) refreshes++;
      return fetch(request);
    },
  });
  const { refreshToken } = (await store.load()) as Tokens;
  await store.save({ accessToken: "ended", refreshToken });
  const answers = await Promise.all(Array.from({ length: 20 }, () => ada.GET("/v1/me")));
  assert.ok(answers.every((answer) => answer.data.name === "ada"));
  assert.equal(refreshes, 1);
  assert.notEqual((await store.load())?.refreshToken, refreshToken);
  await ada.signOut();
  assert.equal(await ada.tokens(), undefined);
  await assert.rejects(ada.GET("/v1/me"), { status: 401 });
});

test("live events, an interruption, and what was missed meanwhile", async () => {
  // Every stream can be cut from here.
  let cut = new AbortController();
  const ada = await person("ada", {
    fetch: (request) => {
      if (!request.url.includes("/v1/events")) return fetch(request);
      cut = new AbortController();
      return fetch(new Request(request, { signal: AbortSignal.any([request.signal, cut.signal]) }));
    },
  });
  const { workspaceId, projectId } = await project(ada);
  const create = (title: string) =>
    ada.POST("/v1/projects/{project_id}/tasks", { params: { path: { project_id: projectId } }, body: { title } });
  const stream = ada.events(workspaceId, { signal: AbortSignal.timeout(30_000) });
  const titles = async (wanted: string): Promise<string[]> => {
    const found: string[] = [];
    for (let next = await stream.next(); !next.done; next = await stream.next()) {
      const message: LiveMessage = next.value;
      if (message.kind !== "event" || message.event.type !== "task.created") continue;
      found.push(message.event.data.title);
      if (message.event.data.title === wanted) return found;
      assert.ok(message.position);
    }
    throw new Error(`the stream ended before ${wanted}; heard ${found.join()}`);
  };
  assert.deepEqual((await stream.next()).value?.kind, "ready");
  await create("heard");
  assert.deepEqual(await titles("heard"), ["heard"]);
  cut.abort();
  await create("missed 1");
  await create("missed 2");
  assert.deepEqual(await titles("missed 2"), ["missed 1", "missed 2"]);
  await create("heard again");
  assert.deepEqual(await titles("heard again"), ["heard again"]);
  await stream.return();

  // Another process, another day: from the beginning of the log.
  let first: LiveMessage | undefined;
  for await (const message of ada.events(workspaceId, { lastEventId: "0", signal: AbortSignal.timeout(30_000) })) {
    if (message.kind !== "event") continue;
    first = message;
    break;
  }
  assert.equal(first?.kind === "event" && first.event.workspaceid, workspaceId);
});
