import type { Schemas } from "./types.js";

/** What some problems say beyond what all do, by their `code`. */
export interface ProblemExtensions {
  /** `tasks.import.rows_failed`: which rows were wrong, and why; `error_file` holds them for mending. */
  report?: Schemas["ImportReport"];
  /** `auth.scope_missing`: the scope that the API key lacks. */
  scope?: Schemas["Scope"];
  /** `request.unsupported_media_type`: the content types that would have been read. */
  accepted?: string[];
  /** `identity.user.sole_owner`: the workspaces that nobody else owns and others work in. */
  workspaces?: { id: string; name: string; other_members: number }[];
}

/** The document of every error answer (RFC 9457). Members that this version of the client does not know are kept. */
export type Problem = Schemas["Problem"] & ProblemExtensions & { [member: string]: unknown };
/** One field that was not acceptable; `pointer` leads into the body, or is `#query/<name>`. */
export type FieldError = Schemas["FieldError"];

/** The answer was an error. Decide by `status` and `code`; the texts are for people. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: number;
  /** Stable, such as `request.invalid`; `http.<status>` when something between client and server answered. */
  readonly code: string;
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  /** It is in every log line of the server about this request. */
  readonly requestId: string | undefined;
  readonly fields: readonly FieldError[];
  /** Seconds to wait, with 429 and 503. */
  readonly retryAfter: number | undefined;
  readonly headers: Headers;
  /** The whole document, with what only some problems say: `error.problem.report?.error_file`. */
  readonly problem: Readonly<Problem>;

  constructor(problem: Problem, headers: Headers) {
    const fields = problem.errors ?? [];
    const reasons = fields.map((field) => `${field.pointer} ${field.detail}`).join("; ");
    super(`${problem.status} ${problem.code}: ${problem.detail}${reasons && ` (${reasons})`}`);
    this.status = problem.status;
    this.code = problem.code;
    this.type = problem.type;
    this.title = problem.title;
    this.detail = problem.detail;
    this.requestId = problem.request_id ?? headers.get("x-request-id") ?? undefined;
    this.fields = fields;
    this.retryAfter = retryAfter(headers);
    this.headers = headers;
    this.problem = problem;
  }

  /** What was wrong with one field: `error.field("/title")?.code`. */
  field(pointer: string): FieldError | undefined {
    return this.fields.find((field) => field.pointer === pointer);
  }

  static async from(response: Response): Promise<ProblemError> {
    const text = await response.text().catch(() => "");
    const found = isJson(response.headers) ? parsed(text) : undefined;
    const named = typeof found === "object" && found !== null && typeof (found as Problem).code === "string";
    const title = response.statusText || `HTTP ${response.status}`;
    const plain = { type: "about:blank", title, status: response.status, detail: title, code: `http.${response.status}` };
    return new ProblemError(named ? { ...plain, ...(found as Problem) } : plain, response.headers);
  }
}

export function isJson(headers: Headers): boolean {
  return /^application\/([\w.-]+\+)?json\b/i.test(headers.get("content-type") ?? "");
}

/** `Retry-After` in seconds, whether it came as a number or as a date. */
export function retryAfter(headers: Headers, now = Date.now()): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
