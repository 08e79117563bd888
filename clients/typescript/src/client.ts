import createFetchClient, { type Client as FetchClient } from "openapi-fetch";
import type { HttpMethod } from "openapi-typescript-helpers";
import { follow, type LiveMessage, type LiveOptions } from "./events.js";
import { SIGNS_IN, TAKES_IDEMPOTENCY_KEY, TAKES_TOKEN } from "./generated/routes.js";
import { ProblemError, isJson } from "./problem.js";
import { DEFAULT_RETRY, sendWithRetries, type RetryPolicy } from "./retry.js";
import { sendOnce } from "./send.js";
import { Session, memoryStore, type TokenStore, type Tokens } from "./session.js";
import {
  ifMatch,
  type Answer,
  type CallArguments,
  type CallOptions,
  type Data,
  type ItemOf,
  type ListPath,
  type PathsOf,
  type paths,
} from "./types.js";

export interface ClientOptions {
  /** Where the server is, such as `https://guildhall.example.com`. */
  baseUrl: string;
  /** A fixed credential instead of a session, such as an API key. It is sent as Bearer token and never renewed. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Where the tokens of the session live; memory by default. */
  tokens?: TokenStore | undefined;
  retry?: Partial<RetryPolicy> | undefined;
  /**
   * How long to wait for an answer to begin, and while it is read for its next piece, milliseconds; a minute by default. Not how long
   * a download may take. Live streams have a `silenceMs` of their own.
   */
  timeoutMs?: number | undefined;
  /** Sent with every request. */
  headers?: Record<string, string> | undefined;
  /** `include` for a browser that uses the refresh cookie of another origin. */
  credentials?: RequestCredentials | undefined;
  fetch?: ((request: Request) => Promise<Response>) | undefined;
}

/** Calls one method of the API. A path is written as the API describes it; the answer is typed, and an error is thrown. */
export type Call<M extends HttpMethod> = <P extends PathsOf<M>>(
  path: P,
  ...options: CallArguments<CallOptions<P, M>>
) => Promise<Answer<Data<P, M>>>;

type AnyOptions = { params?: { query?: Record<string, unknown>; header?: Record<string, unknown> } };

const TIMEOUT_MS = 60_000;
const EXCHANGE_TIMEOUT_MS = 5_000;

export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

export class Client {
  readonly GET: Call<"get"> = (path, ...options) => this.#call("get", path, options[0]);
  readonly POST: Call<"post"> = (path, ...options) => this.#call("post", path, options[0]);
  readonly PUT: Call<"put"> = (path, ...options) => this.#call("put", path, options[0]);
  readonly PATCH: Call<"patch"> = (path, ...options) => this.#call("patch", path, options[0]);
  readonly DELETE: Call<"delete"> = (path, ...options) => this.#call("delete", path, options[0]);

  /** openapi-fetch underneath, for answers to be read as a stream. Errors, tokens and repetitions are as everywhere. */
  readonly raw: FetchClient<paths>;

  readonly #options: ClientOptions;
  readonly #retry: RetryPolicy;
  readonly #session: Session;

  constructor(options: ClientOptions) {
    this.#options = { ...options, baseUrl: options.baseUrl.replace(/\/+$/, "") };
    this.#retry = { ...DEFAULT_RETRY, ...options.retry };
    this.#session = new Session(options.tokens ?? memoryStore(), (body) => this.#exchange(body));
    this.raw = createFetchClient<paths>({
      baseUrl: this.#options.baseUrl,
      querySerializer: { array: { style: "form", explode: false } },
      ...(options.headers && { headers: options.headers }),
      ...(options.credentials && { credentials: options.credentials }),
    });
    this.raw.use({ onRequest: ({ request, schemaPath }) => this.#dispatch(request, `${request.method} ${schemaPath}`) });
  }

  /** Reads what changed since `etag`; `undefined` when nothing did. */
  async getIfChanged<P extends PathsOf<"get">>(
    path: P,
    etag: string,
    ...options: CallArguments<CallOptions<P, "get">>
  ): Promise<Answer<Data<P, "get">> | undefined> {
    const given = (options[0] ?? {}) as AnyOptions;
    const header = { ...given.params?.header, "If-None-Match": ifMatch(etag)["If-Match"] };
    try {
      return await this.#call("get", path, { ...given, params: { ...given.params, header } });
    } catch (error) {
      if (error instanceof ProblemError && error.status === 304) return undefined;
      throw error;
    }
  }

  /** A list, page by page. The next page is asked for when the loop comes to it. */
  async *pages<P extends ListPath>(
    path: P,
    ...options: CallArguments<CallOptions<P, "get">>
  ): AsyncGenerator<Answer<Data<P, "get">>, void, undefined> {
    const given = (options[0] ?? {}) as AnyOptions;
    let query = given.params?.query;
    for (;;) {
      const page = await this.#call("get", path, { ...given, params: { ...given.params, query } });
      yield page;
      const cursor = (page.data as { next_cursor?: string | null }).next_cursor;
      if (!cursor) return;
      query = { ...query, cursor };
    }
  }

  /** Every entry of a list, across its pages. */
  async *items<P extends ListPath>(path: P, ...options: CallArguments<CallOptions<P, "get">>): AsyncGenerator<ItemOf<P>, void, undefined> {
    for await (const page of this.pages(path, ...options)) yield* (page.data as { items: ItemOf<P>[] }).items;
  }

  /** The live events of a workspace, across interruptions: `for await (const message of client.events(id))`. */
  events(workspaceId: string, options: LiveOptions = {}): AsyncGenerator<LiveMessage, void, undefined> {
    let used: string | undefined;
    const url = `${this.#options.baseUrl}/v1/events?${new URLSearchParams({ workspace_id: workspaceId })}`;
    const connect = async (lastEventId: string | undefined, signal: AbortSignal) => {
      const headers = {
        ...this.#options.headers,
        accept: "text/event-stream",
        ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
      };
      const response = await this.#dispatch(new Request(url, { headers, signal }), "GET /v1/events", { stream: true });
      used = await this.#session.accessToken();
      return response;
    };
    const renew = async () => {
      if (this.#options.token === undefined) await this.#session.renew(used);
    };
    return follow({ connect, renew }, options);
  }

  /** The tokens that this client holds; `undefined` when it is not signed in. */
  tokens(): Promise<Tokens | undefined> {
    return this.#session.tokens();
  }

  /** Takes up the session whose refresh token the browser holds as a cookie. `false`: there is none, sign in. */
  async resume(): Promise<boolean> {
    return (await this.#session.renew((await this.#session.tokens())?.accessToken)) !== undefined;
  }

  /** Ends the session, on the server too. */
  async signOut(): Promise<void> {
    const held = await this.#session.tokens();
    await this.POST("/v1/auth/sign-out", { body: held?.refreshToken ? { refresh_token: held.refreshToken } : {} });
    await this.#session.forget();
  }

  async #call<P extends keyof paths, M extends HttpMethod>(method: M, path: P, options: unknown): Promise<Answer<Data<P, M>>> {
    // The types of the methods above have checked what openapi-fetch would check again.
    const request = this.raw.request as unknown as (method: string, path: string, options: object) => Promise<{ response: Response }>;
    const { response } = await request(method, path, { ...(options as object | undefined), parseAs: "stream" });
    const { headers, status } = response;
    return {
      data: (await body(response)) as Data<P, M>,
      status,
      headers,
      etag: headers.get("etag") ?? undefined,
      location: headers.get("location") ?? undefined,
      requestId: headers.get("x-request-id") ?? undefined,
      replayed: headers.get("idempotency-replayed") === "true",
    };
  }

  /** What every request goes through: credential, key, repetitions, one renewal, and an exception for an error. */
  async #dispatch(request: Request, route: string, { stream = false } = {}): Promise<Response> {
    if (TAKES_IDEMPOTENCY_KEY.has(route) && !request.headers.has("idempotency-key")) request.headers.set("idempotency-key", freshKey());
    // A credential that the caller has put in by hand stays.
    const takesToken = TAKES_TOKEN.has(route) && !request.headers.has("authorization");
    const attempt = (token: string | undefined) => {
      const sent = request.clone();
      if (token !== undefined) sent.headers.set("authorization", `Bearer ${token}`);
      const send = (one: Request) => this.#send(one, request, stream ? undefined : this.#timeoutMs);
      return sendWithRetries(sent, send, this.#retry, { signal: request.signal });
    };
    const token = takesToken ? await this.#credential() : undefined;
    let response = await attempt(token);
    if (response.status === 401 && token !== undefined && this.#options.token === undefined) {
      const fresh = await this.#session.renew(token);
      if (fresh !== undefined) {
        await response.body?.cancel();
        response = await attempt(fresh);
      }
    }
    if (!response.ok) throw await ProblemError.from(response);
    if (SIGNS_IN.has(route)) {
      const answer = (await response
        .clone()
        .json()
        .catch(() => undefined)) as Parameters<Session["adopt"]>[0] | undefined;
      if (answer?.access_token) await this.#session.adopt(answer);
    }
    return response;
  }

  async #credential(): Promise<string | undefined> {
    const { token } = this.#options;
    if (token === undefined) return this.#session.accessToken();
    return typeof token === "function" ? token() : token;
  }

  get #timeoutMs(): number {
    return this.#options.timeoutMs ?? TIMEOUT_MS;
  }

  #send(attempt: Request, asked: Request, timeoutMs: number | undefined): Promise<Response> {
    return sendOnce(this.#options.fetch ?? globalThis.fetch, attempt, asked, timeoutMs);
  }

  /** For ten seconds the server answers a repeated exchange as it did the first, so an answer that got lost is asked for within them. */
  #exchange(tokens: object): Promise<Response> {
    const request = new Request(`${this.#options.baseUrl}/v1/auth/refresh`, {
      method: "POST",
      headers: { ...this.#options.headers, "content-type": "application/json" },
      body: JSON.stringify(tokens),
      ...(this.#options.credentials && { credentials: this.#options.credentials }),
    });
    const send = (one: Request) => this.#send(one, request, Math.min(this.#timeoutMs, EXCHANGE_TIMEOUT_MS));
    return sendWithRetries(request, send, this.#retry, { safe: true });
  }
}

async function body(response: Response): Promise<unknown> {
  if (response.status === 204 || response.body === null) return undefined;
  if (!isJson(response.headers)) return /^text\//i.test(response.headers.get("content-type") ?? "") ? response.text() : response.blob();
  const text = await response.text();
  return text ? JSON.parse(text) : undefined;
}

function freshKey(): string {
  // Browsers offer randomUUID to secure pages only.
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
