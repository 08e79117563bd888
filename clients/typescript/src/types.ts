import type { FetchOptions } from "openapi-fetch";
import type {
  FilterKeys,
  HttpMethod,
  MediaType,
  PathsWithMethod,
  RequiredKeysOf,
  ResponseObjectMap,
  SuccessResponse,
} from "openapi-typescript-helpers";
import type { WorkspaceEvents } from "./generated/events.js";
import type { components, paths } from "./generated/openapi.js";

export type { components, paths, WorkspaceEvents };

/** The named shapes of the API, such as `Schemas["TaskView"]`. */
export type Schemas = components["schemas"];

/** Every path that has the method, as the API describes it: `/v1/tasks/{task_id}`. */
export type PathsOf<M extends HttpMethod> = PathsWithMethod<paths, M>;

type Operation<P extends keyof paths, M extends HttpMethod> = FilterKeys<paths[P], M>;

/** Parameters and body of a call, and what `fetch` takes besides. */
export type CallOptions<P extends keyof paths, M extends HttpMethod> = Omit<
  FetchOptions<Operation<P, M>>,
  "parseAs" | "fetch" | "middleware" | "baseUrl"
>;

/** May be left out when nothing in it is required. */
export type CallArguments<Options> = RequiredKeysOf<Options> extends never ? [options?: Options] : [options: Options];

/** The body of a successful answer. */
export type Data<P extends keyof paths, M extends HttpMethod> =
  Operation<P, M> extends infer O extends Record<string | number, unknown> ? SuccessResponse<ResponseObjectMap<O>, MediaType> : never;

/** Lists that are read page by page. */
export type ListPath = {
  [P in PathsOf<"get">]: Data<P, "get"> extends { items: unknown[]; next_cursor?: string | null } ? P : never;
}[PathsOf<"get">];

/** One entry of a list. */
export type ItemOf<P extends ListPath> = Data<P, "get"> extends { items: (infer Item)[] } ? Item : never;

/** What a live stream tells. Types that this version of the client does not know arrive as well: have a default branch. */
export type WorkspaceEvent = WorkspaceEvents[keyof WorkspaceEvents];

/** A successful answer. */
export interface Answer<T> {
  readonly data: T;
  readonly status: number;
  readonly headers: Headers;
  /** Version of what was answered; hand it to `ifMatch`. */
  readonly etag: string | undefined;
  /** Path of what was created. */
  readonly location: string | undefined;
  /** Name it when you ask for help. */
  readonly requestId: string | undefined;
  /** The stored answer of an earlier request with the same `Idempotency-Key`. */
  readonly replayed: boolean;
}

/** The header that refuses a change with 412 when somebody else was faster. */
export function ifMatch(version: { readonly etag: string | undefined } | string): { "If-Match": string } {
  const etag = typeof version === "string" ? version : version.etag;
  if (!etag) throw new TypeError("ifMatch: the answer has no ETag");
  return { "If-Match": etag };
}
