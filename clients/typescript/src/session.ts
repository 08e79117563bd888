import { ProblemError } from "./problem.js";
import type { Schemas } from "./types.js";

/** What a signed-in client holds. */
export interface Tokens {
  accessToken: string;
  /** Absent when it is kept by the browser as a cookie (`delivery: "cookie"`). */
  refreshToken?: string | undefined;
}

/** Where the tokens live; memory by default. A store that outlives the process should be as private as a password. */
export interface TokenStore {
  load(): Tokens | undefined | Promise<Tokens | undefined>;
  /** `undefined` when the session is over. A refresh token works once, so the new one is saved before it is used. */
  save(tokens: Tokens | undefined): void | Promise<void>;
}

export function memoryStore(initial?: Tokens): TokenStore {
  let held = initial;
  return {
    load: () => held,
    save: (tokens) => {
      held = tokens;
    },
  };
}

/** A session that renews its access token, once for however many requests notice at the same time that it has ended. */
export class Session {
  #renewal: Promise<Tokens | undefined> | undefined;

  constructor(
    private readonly store: TokenStore,
    private readonly exchange: (body: Schemas["RefreshRequest"]) => Promise<Response>,
  ) {}

  async accessToken(): Promise<string | undefined> {
    // Whoever asks while a renewal runs would only be refused with the old one.
    const tokens = await (this.#renewal ?? this.store.load());
    return tokens?.accessToken;
  }

  async tokens(): Promise<Tokens | undefined> {
    return this.store.load();
  }

  async adopt(answer: Schemas["TokenResponse"]): Promise<Tokens> {
    const tokens = { accessToken: answer.access_token, refreshToken: answer.refresh_token ?? undefined };
    await this.store.save(tokens);
    return tokens;
  }

  async forget(): Promise<void> {
    await this.store.save(undefined);
  }

  /**
   * A fresh access token in place of `stale`; `undefined` when the session is over.
   * Without `stale` there was none yet, as after a page was loaded anew: the cookie decides.
   */
  async renew(stale: string | undefined): Promise<string | undefined> {
    // Set before anything is awaited: whoever comes second waits for the same renewal.
    this.#renewal ??= this.#renew(stale).finally(() => {
      this.#renewal = undefined;
    });
    return (await this.#renewal)?.accessToken;
  }

  async #renew(stale: string | undefined): Promise<Tokens | undefined> {
    const held = await this.store.load();
    if (held && held.accessToken !== stale) return held;
    const response = await this.exchange(held?.refreshToken ? { refresh_token: held.refreshToken } : {});
    if (response.ok) return this.adopt((await response.json()) as Schemas["TokenResponse"]);
    const problem = await ProblemError.from(response);
    if (problem.status !== 401) throw problem;
    await this.forget();
    return undefined;
  }
}
