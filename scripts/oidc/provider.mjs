// Providers of OpenID Connect by `oidc-provider`, an implementation certified by the OpenID Foundation: one per way to sign ID tokens.
import { generateKeyPair } from "node:crypto";
import { once } from "node:events";
import { promisify } from "node:util";

import { Provider } from "oidc-provider";

export const CLIENT_ID = "guild hall";

const generate = promisify(generateKeyPair);
const KEYS = {
    RS256: ["rsa", { modulusLength: 2048 }],
    PS256: ["rsa", { modulusLength: 2048 }],
    ES256: ["ec", { namedCurve: "P-256" }],
    EdDSA: ["ed25519", {}],
};

// People by the name they type into the sign-in form of the provider.
const PEOPLE = {
    ada: { email: "Ada@Example.org", email_verified: true, name: "Ada Lovelace", zoneinfo: "Europe/London" },
    eve: { email: "ada@example.org", email_verified: false, name: "Eve" },
    bob: { email: "bob@example.org", email_verified: true, name: "Bob", zoneinfo: "Mars/Base" },
};

async function jwk(algorithm) {
    const { privateKey } = await generate(...KEYS[algorithm]);
    return { ...privateKey.export({ format: "jwk" }), alg: algorithm, use: "sig" };
}

export async function start(algorithm, port, clientSecret, redirectUris) {
    const issuer = `http://127.0.0.1:${port}`;
    const provider = new Provider(issuer, {
        clients: [
            {
                client_id: CLIENT_ID,
                client_secret: clientSecret,
                redirect_uris: redirectUris,
                id_token_signed_response_alg: algorithm,
                application_type: "native",
            },
        ],
        jwks: { keys: [await jwk(algorithm)] },
        enabledJWA: { idTokenSigningAlgValues: [algorithm] },
        claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "zoneinfo"] },
        findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id.split("#")[0]] }) }),
        cookies: { keys: ["for tests only"] },
        pkce: { required: () => true },
        ttl: { Session: 600, Grant: 600, Interaction: 600, AccessToken: 600, IdToken: 600 },
    });
    const server = provider.listen(port, "127.0.0.1");
    await once(server, "listening");
    return {
        issuer,
        async stop() {
            server.closeAllConnections();
            server.close();
            await once(server, "close");
        },
    };
}
