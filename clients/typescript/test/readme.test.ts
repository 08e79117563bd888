import test from "node:test";

test("the examples of README.md run as they stand", async () => {
  await import("../.readme/readme.js");
});
