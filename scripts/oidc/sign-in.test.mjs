// Signs people in at providers of a certified implementation, as browsers and as programs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { start } from "./provider.mjs";

const base = process.env.GUILDHALL_TEST_URL;
const secret = readFileSync(process.env.GUILDHALL_TEST_OIDC_SECRET, "utf8");
// `rs256=4001,es256=4002,…`, as the server was told.
const ports = process.env.GUILDHALL_TEST_OIDC_PORTS.split(",").map((pair) => pair.split("="));
const providers = {};

before(async () => {
    for (const [name, port] of ports) {
        const algorithm = { rs256: "RS256", ps256: "PS256", es256: "ES256", eddsa: "EdDSA" }[name];
        providers[name] = await start(algorithm, Number(port), secret, [`${base}/v1/auth/oidc/${name}/callback`]);
    }
});
after(() => Promise.all(Object.values(providers).map((provider) => provider.stop())));

// A browser: cookies per origin, redirects followed by hand, forms of the provider filled in.
class Browser {
    cookies = new Map();

    async fetch(url, init = {}) {
        const { origin } = new URL(url);
        const jar = this.cookies.get(origin) ?? new Map();
        this.cookies.set(origin, jar);
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
        const response = await fetch(url, { ...init, redirect: "manual", headers: { ...init.headers, ...(cookie && { cookie }) } });
        for (const line of response.headers.getSetCookie()) {
            const [pair, ...attributes] = line.split("; ");
            const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
            if (!value || attributes.some((attribute) => /^(max-age=0|expires=Thu, 01 Jan 1970.*)$/i.test(attribute))) jar.delete(name);
            else jar.set(name, value);
        }
        return response;
    }

    // From `url` through sign-in and consent as `login`, up to (and not into) the first address for which `stop` holds.
    async go(url, login, stop) {
        for (let step = 0; step < 20; step++) {
            if (stop(url)) return url;
            let response = await this.fetch(url);
            if (response.status === 200) {
                const page = await response.text();
                const action = new URL(/<form[^>]* action="([^"]+)"/.exec(page)[1], url);
                const prompt = /name="prompt" value="([^"]+)"/.exec(page)[1];
                const abort = /href="([^"]+\/abort)"/.exec(page)?.[1];
                response = login
                    ? await this.fetch(action, { method: "POST", body: new URLSearchParams({ prompt, login, password: "any" }) })
                    : await this.fetch(new URL(abort, url));
            }
            assert.ok(response.status === 302 || response.status === 303, `${response.status} of ${url}: ${await response.text()}`);
            url = new URL(response.headers.get("location"), url).href;
        }
        throw new Error(`no end at ${url}`);
    }

    // By a link on a page of ours to where it leads back.
    async signIn(provider, login) {
        const begin = `${base}/v1/auth/oidc/${provider}/authorization?return_to=/done`;
        const done = await this.go(begin, login, (url) => url.startsWith(`${base}/done`));
        return Object.fromEntries(new URL(done).searchParams);
    }

    async refresh() {
        const response = await this.fetch(`${base}/v1/auth/refresh`, { method: "POST", headers: { origin: base } });
        assert.equal(response.status, 200, await response.clone().text());
        return response.json();
    }
}

async function json(path, init = {}, token) {
    const headers = { ...(init.body && { "content-type": "application/json" }), ...(token && { authorization: `Bearer ${token}` }) };
    const response = await fetch(`${base}${path}`, { ...init, headers });
    return { status: response.status, body: response.status === 204 ? null : await response.json() };
}

const isCallback = (provider) => (url) => url.startsWith(`${base}/v1/auth/oidc/${provider}/callback`);

test("the providers are listed", async () => {
    const { body } = await json("/v1/auth/oidc/providers");
    assert.deepEqual(
        body.items.map((one) => one.id),
        ports.map(([name]) => name).toSorted(),
    );
});

const ids = new Set();
for (const [name] of ports) {
    test(`a person comes back signed in, ${name}`, async () => {
        const browser = new Browser();
        assert.deepEqual(await browser.signIn(name, "ada"), { outcome: "signed_in" });
        const first = await browser.refresh();
        assert.equal(first.user.email, "ada@example.org");
        assert.equal(first.user.email_verified, true);
        assert.equal(first.user.time_zone, "Europe/London");
        assert.equal(first.refresh_token, undefined);
        // Known at the provider by now: no form is shown.
        assert.deepEqual(await browser.signIn(name, "ada"), { outcome: "signed_in" });
        ids.add((await browser.refresh()).user.id);
        // The address is proven on both sides, so every provider opens the same account.
        assert.equal(ids.size, 1);
    });
}

test("a program finishes with JSON, once", async () => {
    const [name] = ports[0];
    const begun = await json(`/v1/auth/oidc/${name}/authorization`, { method: "POST", body: "{}" });
    assert.equal(begun.status, 200);
    const back = await new Browser().go(begun.body.authorization_url, "bob", isCallback(name));
    const { state, code, iss } = Object.fromEntries(new URL(back).searchParams);
    const body = JSON.stringify({ state, code, iss, flow_token: begun.body.flow_token });
    const done = await json(`/v1/auth/oidc/${name}/callback`, { method: "POST", body });
    assert.equal(done.status, 200, JSON.stringify(done.body));
    assert.ok(done.body.refresh_token);
    const me = await json("/v1/me", {}, done.body.access_token);
    assert.deepEqual([me.body.email, me.body.time_zone], ["bob@example.org", "UTC"]);
    const again = await json(`/v1/auth/oidc/${name}/callback`, { method: "POST", body });
    assert.deepEqual([again.status, again.body.code], [401, "identity.oidc.flow_invalid"]);
});

test("an account is linked, opens, and is unlinked", async () => {
    const [[first], [second]] = ports;
    const browser = new Browser();
    await browser.signIn(first, "bob");
    const { access_token: token, user } = await browser.refresh();
    const begin = JSON.stringify({ provider: second, return_to: "/done", delivery: "cookie" });
    const response = await browser.fetch(`${base}/v1/me/external-identities`, {
        method: "POST",
        body: begin,
        headers: { "content-type": "application/json", authorization: `Bearer ${token}`, origin: base },
    });
    assert.equal(response.status, 200, await response.clone().text());
    const { authorization_url: url, flow_token: flow } = await response.json();
    assert.equal(flow, undefined);
    const done = await browser.go(url, "bob#2", (next) => next.startsWith(`${base}/done`));
    assert.equal(new URL(done).search, "?outcome=linked");
    const listed = await json("/v1/me/external-identities", {}, token);
    assert.deepEqual(
        listed.body.items.map((one) => one.issuer),
        [providers[first].issuer, providers[second].issuer],
    );
    const other = new Browser();
    assert.deepEqual(await other.signIn(second, "bob#2"), { outcome: "signed_in" });
    assert.equal((await other.refresh()).user.id, user.id);
    const gone = await json(`/v1/me/external-identities/${listed.body.items[1].id}`, { method: "DELETE" }, token);
    assert.equal(gone.status, 204);
    const last = await json(`/v1/me/external-identities/${listed.body.items[0].id}`, { method: "DELETE" }, token);
    assert.deepEqual([last.status, last.body.code], [409, "identity.oidc.last_way_in"]);
});

test("an address that the provider does not vouch for opens nothing", async () => {
    const outcome = await new Browser().signIn(ports[0][0], "eve");
    assert.deepEqual(outcome, { outcome: "failed", problem: "identity.oidc.email_unverified" });
});

test("who calls it off at the provider is told so", async () => {
    const outcome = await new Browser().signIn(ports[0][0], null);
    assert.deepEqual(outcome, { outcome: "failed", problem: "identity.oidc.refused" });
});

test("another browser cannot finish a sign-in, nor the same one twice", async () => {
    const [name] = ports[0];
    const browser = new Browser();
    const back = await browser.go(`${base}/v1/auth/oidc/${name}/authorization`, "ada", isCallback(name));
    for (const stranger of [new Browser(), await begun(name)]) {
        const refused = await stranger.fetch(back);
        assert.equal(refused.status, 401);
        assert.equal((await refused.json()).code, "identity.oidc.flow_invalid");
    }
    const done = await browser.fetch(back);
    assert.equal(done.headers.get("location"), `${base}/account/signed-in?outcome=signed_in`);
    assert.match(await (await browser.fetch(done.headers.get("location"))).text(), /You are signed in/);
    assert.equal((await browser.fetch(back)).status, 401);
});

// A browser with a sign-in of its own under way.
async function begun(name) {
    const browser = new Browser();
    await browser.fetch(`${base}/v1/auth/oidc/${name}/authorization`);
    return browser;
}

test("a provider that is away is said to be", async () => {
    const [name] = ports.at(-1);
    const browser = new Browser();
    const last = await browser.go(`${base}/v1/auth/oidc/${name}/authorization`, "ada", isCallback(name));
    await providers[name].stop();
    const done = await browser.fetch(last);
    assert.equal(new URL(done.headers.get("location")).search, "?outcome=failed&problem=identity.oidc.provider_unavailable");
    delete providers[name];
});
