// Judges every answer of the collection by the API description it was generated from (CONTRACT, above), and remembers
// the ids of what was made, so that later requests can name it. Runs after each request, before the request's own tests.

// `/v1/tasks/123` -> `/v1/tasks/{task_id}` and its ids; a literal segment goes before a parameter.
const segments = (path) => path.split("?")[0].split("/").filter(Boolean);
const match = (path, templates) => {
  const wanted = segments(path);
  let best;
  for (const template of templates) {
    const parts = segments(template);
    if (parts.length !== wanted.length) continue;
    const ids = {};
    let literals = 0;
    const fits = parts.every((part, index) => {
      if (part === wanted[index]) return ++literals;
      if (!part.startsWith("{")) return false;
      const name = part.slice(1, -1);
      const thing = (parts[index - 1] || "").replace(/s$/, "");
      ids[name.endsWith("_id") ? name : `${thing}_${name}`] = decodeURIComponent(wanted[index]);
      return true;
    });
    if (fits && (!best || literals > best.literals)) best = { template, ids, literals };
  }
  return best;
};

const templates = [...new Set(Object.keys(CONTRACT.routes).map((route) => route.split(" ")[1]))];
const path = pm.request.url.getPath();
const found = match(path, templates);
const route = found && `${pm.request.method} ${found.template}`;
const status = pm.response.code;
const header = (name) => pm.response.headers.get(name);

pm.test(`${status} is no failure of the server`, () => pm.expect(status).to.be.below(500));
// A route that never saw its caller was not tried, however well the refusal is described.
const signedIn = pm.request.auth && pm.request.auth.type === "bearer";
if (signedIn) pm.test("the access token of the collection is good", () => pm.expect(status).to.not.equal(401));

if (CONTRACT.routes[route]) {
  const described = CONTRACT.routes[route][status];
  pm.test(`${route}: ${status} is described`, () => pm.expect(described, Object.keys(CONTRACT.routes[route]).join()).to.exist);
  pm.test("the answer has a request id", () => pm.expect(header("x-request-id")).to.be.a("string").and.not.empty);
  if (described) {
    for (const name of described.headers) pm.test(`the answer has ${name}`, () => pm.expect(header(name)).to.be.a("string").and.not.empty);
    const type = (header("content-type") || "").split(";")[0];
    const kinds = Object.keys(described.content);
    pm.test(`the answer is ${kinds.join(" or ") || "empty"}`, () => {
      if (kinds.length) pm.expect(kinds).to.include(type);
      else pm.expect(pm.response.text() || "").to.equal("");
    });
    const schema = described.content[type];
    if (schema && /json$/.test(type)) {
      pm.test("the body fits its schema", () => {
        const ajv = new (require("ajv"))({ allErrors: true, unknownFormats: "ignore", logger: false });
        ajv.addSchema({ $id: "api", components: { schemas: CONTRACT.schemas } });
        const valid = ajv.compile({ $id: "answer", allOf: [JSON.parse(JSON.stringify(schema).replace(/"#\//g, '"api#/'))] });
        pm.expect(valid(pm.response.json()), ajv.errorsText(valid.errors)).to.equal(true);
      });
    }
  }
}

if (status === 201 && header("location")) {
  const made = match(header("location"), templates);
  for (const [name, id] of Object.entries((made && made.ids) || {})) pm.collectionVariables.set(name, id);
}
