// Makes one program of the examples in README.md, so that they are compiled and run as they stand.
import { mkdir, readFile, writeFile } from "node:fs/promises";

const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]);
if (blocks.length < 5) throw new Error(`README.md has no examples any more (${blocks.length})`);
const program = blocks.join("\n").replaceAll('"http://127.0.0.1:8080"', '(process.env["GUILDHALL_TEST_URL"] ?? "http://127.0.0.1:8080")');
await mkdir(new URL("../.readme/", import.meta.url), { recursive: true });
await writeFile(new URL("../.readme/readme.ts", import.meta.url), `${program}\nexport {};\n`);
