// What the compiler must refuse, and what it must know. Compiling this file is the test; nothing is sent.
import type { Client, ItemOf, ProblemError, Schemas, WorkspaceEvent } from "@guildhall/client";

export async function calls(client: Client): Promise<void> {
  // @ts-expect-error no such path
  await client.GET("/v1/nothing");
  // @ts-expect-error no such method of the path
  await client.DELETE("/v1/workspaces");
  // @ts-expect-error the name is required
  await client.POST("/v1/workspaces", { body: {} });
  // @ts-expect-error no such field
  await client.POST("/v1/workspaces", { body: { name: "Works", colour: "red" } });
  // @ts-expect-error the id in the path is required
  await client.GET("/v1/tasks/{task_id}");
  // @ts-expect-error no such status
  await client.GET("/v1/tasks", { params: { query: { status: ["almost"] } } });
  const path = { workspace_id: "w", user_id: "u" };
  // @ts-expect-error the version is required where roles change
  await client.PATCH("/v1/workspaces/{workspace_id}/members/{user_id}", { params: { path }, body: { role: "viewer" } });
  // @ts-expect-error not a list
  for await (const item of client.items("/v1/me")) void item;

  const workspace = await client.POST("/v1/workspaces", { body: { name: "Works" } });
  const view: Schemas["WorkspaceView"] = workspace.data;
  const nothing: undefined = (await client.DELETE("/v1/tasks/{task_id}", { params: { path: { task_id: "t" } } })).data;
  const item: Schemas["TaskItem"] = {} as ItemOf<"/v1/tasks">;
  void [view, nothing, item];
}

export function title(event: WorkspaceEvent): string | undefined {
  // @ts-expect-error not every event is about a task
  void event.data.title;
  return event.type === "task.created" ? event.data.title : undefined;
}

export function reasons(error: ProblemError): string[] {
  // @ts-expect-error not every problem has a report
  void error.problem.report.errors;
  // @ts-expect-error nothing is known of what this version does not know
  void error.problem["colour"].length;
  return (error.problem.report?.errors ?? []).map((one) => one.message);
}
