import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { ErrorCode, OpenFeature, StandardResolutionReasons as Reason } from "@openfeature/server-sdk";
import { createClient, type Client } from "@guildhall/client";
import { GUILDHALL, person } from "./support.js";

const password = "engines-weave-algebra";

/** The first administrator, by the code that the server printed on its console. */
async function administrator(): Promise<Client> {
  const log = await readFile(process.env["GUILDHALL_TEST_LOG"] ?? "", "utf8");
  const code = /One-time set-up code: (\S+)/.exec(log)?.[1];
  assert.ok(code, "the console shows a set-up code");
  const client = createClient({ baseUrl: GUILDHALL });
  await client.POST("/v1/auth/setup", { body: { code, email: "root@example.com", name: "Root", password } });
  return client;
}

test("the OpenFeature SDK evaluates the flags of the installation", async () => {
  const [root, ada] = [await administrator(), await person("ada")];
  const workspace = await ada.POST("/v1/workspaces", { body: { name: "Engine works" } });
  const rules = [{ workspace_ids: [workspace.data.id], variant: "warm", bucket_by: "targeting_key" as const }];
  await root.POST("/v1/flags", {
    body: { key: "greeting", kind: "string", variants: { plain: "Hello", warm: "Welcome" }, default_variant: "plain", rules },
  });
  await root.POST("/v1/flags", { body: { key: "limit", kind: "number", variants: { few: 3, many: 30.5 }, default_variant: "many" } });
  await root.POST("/v1/flags", { body: { key: "theme", kind: "object", variants: { a: { dark: true } }, default_variant: "a" } });
  await root.POST("/v1/flags", { body: { key: "seats", kind: "integer", variants: { few: 3 }, default_variant: "few" } });
  const split = [{ variant: "on", percent: 100 }];
  await root.POST("/v1/flags", { body: { key: "beta", kind: "boolean", rules: [{ split, bucket_by: "targeting_key" as const }] } });
  const key = await ada.POST("/v1/api-keys", { body: { name: "SDK", scopes: ["flags:read"], current_password: password } });

  const headers = { Authorization: `Bearer ${key.data.key}` };
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: GUILDHALL, headers }));
  const flags = OpenFeature.getClient();
  const here = { targetingKey: "user-1", workspace_id: workspace.data.id };

  const greeting = await flags.getStringDetails("greeting", "?", here);
  assert.deepEqual([greeting.value, greeting.reason, greeting.variant], ["Welcome", Reason.TARGETING_MATCH, "warm"]);
  assert.equal((await flags.getStringDetails("greeting", "?", {})).reason, Reason.DEFAULT);
  assert.equal(await flags.getNumberValue("limit", 0, here), 30.5);
  assert.equal(await flags.getNumberValue("seats", 0, here), 3);
  assert.deepEqual(await flags.getObjectValue("theme", {}, here), { dark: true });
  const beta = await flags.getBooleanDetails("beta", false, here);
  assert.deepEqual([beta.value, beta.reason, beta.flagMetadata["version"]], [true, Reason.SPLIT, 1]);

  // A change counts for the next question.
  await root.PATCH("/v1/flags/{flag_key}", {
    params: { path: { flag_key: "beta" }, header: { "If-Match": '"1"' } },
    body: { enabled: false },
  });
  const disabled = await flags.getBooleanDetails("beta", true, here);
  assert.deepEqual([disabled.value, disabled.reason, disabled.flagMetadata["version"]], [false, Reason.DISABLED, 2]);
  await root.PATCH("/v1/flags/{flag_key}", {
    params: { path: { flag_key: "beta" }, header: { "If-Match": '"2"' } },
    body: { enabled: true },
  });

  // Where there is no value, the default of the code counts, and the error says why.
  const missing = await flags.getBooleanDetails("beta", false, {});
  assert.deepEqual([missing.value, missing.errorCode], [false, ErrorCode.TARGETING_KEY_MISSING]);
  assert.equal((await flags.getBooleanDetails("nothing", true, here)).errorCode, ErrorCode.FLAG_NOT_FOUND);
  assert.equal((await flags.getNumberDetails("greeting", 7, here)).errorCode, ErrorCode.TYPE_MISMATCH);
  const foreign = { targetingKey: "user-1", workspace_id: "0199b1f0-3c5d-7e42-9c53-3f6f7f0d2a12" };
  assert.equal((await flags.getStringDetails("greeting", "?", foreign)).errorCode, ErrorCode.INVALID_CONTEXT);
  await OpenFeature.close();
});
