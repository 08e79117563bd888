import { isJson, retryAfter } from "./problem.js";

/** How often and how patiently a request is repeated. */
export interface RetryPolicy {
  /** Repetitions after the first attempt. */
  retries: number;
  /** Longest pause after the first failure, milliseconds; doubles with each further one. The pause itself is drawn at random below it. */
  baseDelayMs: number;
  maxDelayMs: number;
  /** A `Retry-After` longer than this is not waited for, milliseconds: the error is thrown at once. */
  maxRetryAfterMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = { retries: 4, baseDelayMs: 250, maxDelayMs: 10_000, maxRetryAfterMs: 30_000 };

const IDEMPOTENT = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]);

/**
 * Sends until there is an answer worth returning. A request is repeated when the server said that it did not act (429), and when
 * the outcome is unknown but acting twice is impossible: an idempotent method, or an `Idempotency-Key`.
 *
 * @param safe whether the caller knows that a repetition does no harm, whatever the method.
 * @param signal what ends the waiting, when `request` is a copy of the one that was asked.
 */
export async function sendWithRetries(
  request: Request,
  send: (attempt: Request) => Promise<Response>,
  policy: RetryPolicy,
  { safe = false, signal = request.signal }: { safe?: boolean; signal?: AbortSignal } = {},
): Promise<Response> {
  const keyed = safe || request.headers.has("idempotency-key");
  const repeatable = keyed || IDEMPOTENT.has(request.method);
  // Had the first attempt succeeded unheard, its own change would make the second one fail with 412.
  const survivesLoss = keyed || (repeatable && !request.headers.has("if-match"));
  for (let failures = 0; ; failures++) {
    const last = failures >= policy.retries;
    let response: Response;
    try {
      response = await send(last ? request : request.clone());
    } catch (error) {
      if (last || !survivesLoss || signal.aborted) throw error;
      await pause(backoff(policy, failures), signal);
      continue;
    }
    if (last || !(await worthRepeating(response, { keyed, repeatable, survivesLoss }))) return response;
    const asked = (retryAfter(response.headers) ?? 0) * 1000;
    if (asked > policy.maxRetryAfterMs) return response;
    await response.body?.cancel();
    await pause(asked + backoff(policy, failures), signal);
  }
}

async function worthRepeating(response: Response, may: { keyed: boolean; repeatable: boolean; survivesLoss: boolean }): Promise<boolean> {
  switch (response.status) {
    case 429:
      return true;
    case 503:
      return may.repeatable;
    case 502:
    case 504:
      return may.survivesLoss;
    case 409: {
      // The attempt whose answer was lost is still at work; its answer will be replayed.
      if (!may.keyed || !isJson(response.headers)) return false;
      const problem = (await response
        .clone()
        .json()
        .catch(() => undefined)) as { code?: unknown } | undefined;
      return problem?.code === "request.idempotency_in_flight";
    }
    default:
      return false;
  }
}

/** Full jitter, so that clients that failed together do not come back together. */
export function backoff(policy: RetryPolicy, failures: number): number {
  return Math.random() * Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** failures);
}

/** Rejects with the signal's reason when it is aborted meanwhile. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}
