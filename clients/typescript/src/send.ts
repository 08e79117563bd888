/** What a body that is still being read must not lose; see `sendOnce`. */
const held = new WeakMap<ReadableStream, readonly Request[]>();

/**
 * Sends `attempt` once, on behalf of `asked`. It is given up with a `TimeoutError` when the answer has not begun after `timeoutMs`, or when
 * nothing more of it comes for as long while somebody reads; how long the whole takes does not matter. `undefined`: no bound.
 *
 * `fetch` alone would not do. A timeout given to it goes on through the body, and cuts off a long download. And Node forgets the signal
 * that a request was made with as soon as that request is garbage, in the midst of the body: so the requests are held until its end.
 */
export async function sendOnce(
  send: (request: Request) => Promise<Response>,
  attempt: Request,
  asked: Request,
  timeoutMs: number | undefined,
): Promise<Response> {
  const stop = new AbortController();
  const obey = () => stop.abort(asked.signal.reason);
  if (asked.signal.aborted) obey();
  asked.signal.addEventListener("abort", obey, { once: true });
  const inTime = async <T>(next: Promise<T>): Promise<T> => {
    if (timeoutMs === undefined) return next;
    const late = () => stop.abort(new DOMException(`nothing came for ${timeoutMs} ms`, "TimeoutError"));
    const timer = setTimeout(late, timeoutMs);
    return next.finally(() => clearTimeout(timer));
  };
  const sent = new Request(attempt, { signal: stop.signal });
  const response = await inTime(send(sent));
  const reader = response.body?.getReader();
  if (!reader) return response;
  const source: UnderlyingDefaultSource<Uint8Array> = {
    pull: async (controller) => {
      const { done, value } = await inTime(reader.read());
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  };
  // Nothing is read ahead: the clock runs only while the caller waits.
  const body = new ReadableStream(source, { highWaterMark: 0 });
  held.set(body, [asked, sent]);
  return new Response(body, response);
}
