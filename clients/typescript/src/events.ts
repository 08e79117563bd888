import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ProblemError } from "./problem.js";
import { DEFAULT_RETRY, backoff, pause } from "./retry.js";
import type { WorkspaceEvent } from "./types.js";

/** A message of a live stream. Keep `position` to go on from there another day. */
export type LiveMessage =
  | { kind: "event"; position: string; event: WorkspaceEvent }
  /** The stream stands. Comes again after every reconnection. */
  | { kind: "ready"; position: string }
  /** The gap was too long to fill: load everything again. Events go on from here. */
  | { kind: "reset"; position: string };

export interface LiveOptions {
  /** Position of the last message seen; without it the stream tells only what is new. */
  lastEventId?: string | undefined;
  /** Ends the iteration. */
  signal?: AbortSignal | undefined;
  /** A stream that is silent for so long, without even a heartbeat, is taken for dead, milliseconds. */
  silenceMs?: number | undefined;
}

/** The server ended the stream for good: the workspace or the session is out of reach. */
export class AccessLostError extends Error {
  override readonly name = "AccessLostError";
}

export interface LiveSource {
  connect(lastEventId: string | undefined, signal: AbortSignal): Promise<Response>;
  /** The stream ended because its access token did. */
  renew(): Promise<void>;
}

/** Heartbeats come every 15 seconds. */
const SILENCE_MS = 45_000;
/** Repeats come close after the original; this many ids are remembered. */
const REMEMBERED = 2_000;

/** Follows a stream across reconnections; each event once. Ends when `signal` is aborted or the iteration is left. */
export async function* follow(source: LiveSource, options: LiveOptions): AsyncGenerator<LiveMessage, void, undefined> {
  const left = new AbortController();
  const stop = options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal;
  const seen = new Set<string>();
  let position = options.lastEventId;
  let retryMs = DEFAULT_RETRY.baseDelayMs;
  let failures = 0;
  let ended: string | undefined;
  try {
    while (!stop.aborted) {
      try {
        if (ended === "expired") await source.renew();
        ended = undefined;
        for await (const message of read(source, position, stop, options.silenceMs ?? SILENCE_MS, (ms) => (retryMs = ms))) {
          failures = 0;
          if (message.id) position = message.id;
          if (message.event === "end") {
            ended = (JSON.parse(message.data) as { reason?: string }).reason ?? "restart";
            break;
          }
          const found = understood(message, position ?? "", seen);
          if (found) yield found;
        }
      } catch (error) {
        if (stop.aborted) return;
        // Refused, rather than interrupted: coming back would be refused again.
        if (error instanceof ProblemError && error.status < 500 && error.status !== 429) throw error;
      }
      if (ended === "access_lost") throw new AccessLostError("the workspace or the session is out of reach");
      // A first interruption is mended at once; who keeps failing waits longer and longer.
      if (ended === "restart" || failures > 0) await pause(Math.max(retryMs, backoff(DEFAULT_RETRY, failures)), stop);
      failures++;
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    left.abort();
  }
}

async function* read(
  source: LiveSource,
  position: string | undefined,
  stop: AbortSignal,
  silenceMs: number,
  onRetry: (milliseconds: number) => void,
): AsyncGenerator<EventSourceMessage, void, undefined> {
  const silent = new AbortController();
  const response = await source.connect(position, AbortSignal.any([stop, silent.signal]));
  const reader = response.body?.getReader();
  if (!reader) return;
  const messages: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => messages.push(message), onRetry });
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const watchdog = setTimeout(() => silent.abort(new Error("the stream fell silent")), silenceMs);
      const { done, value } = await reader.read().finally(() => clearTimeout(watchdog));
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* messages.splice(0);
    }
  } finally {
    silent.abort();
    await reader.cancel().catch(() => undefined);
  }
}

function understood(message: EventSourceMessage, position: string, seen: Set<string>): LiveMessage | undefined {
  if (message.event === "ready" || message.event === "reset") return { kind: message.event, position };
  const event = JSON.parse(message.data) as WorkspaceEvent;
  // Delivery is at least once; the same fact always has the same id.
  if (!event.id || seen.has(event.id)) return undefined;
  seen.add(event.id);
  if (seen.size > REMEMBERED) seen.delete(seen.values().next().value ?? "");
  return { kind: "event", position, event };
}
