#!/usr/bin/env bash
# scripts/with-server.sh COMMAND..: runs the command against a freshly started Guildhall.
#
# The server (GUILDHALL_TEST_BIN, default target/debug/guildhall) gets an empty data folder and a free port;
# the command finds it at $GUILDHALL_TEST_URL. Afterwards the server is asked to stop, and must do so in order.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bin=${GUILDHALL_TEST_BIN:-${CARGO_TARGET_DIR:-$root/target}/debug/guildhall}
[ -x "$bin" ] || { echo "with-server: $bin is missing: cargo build" >&2; exit 1; }
work=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export GUILDHALL_TEST_URL=http://127.0.0.1:$port
: >"$work/log"
"$bin" serve --listen "127.0.0.1:$port" --metrics-listen off --data-dir "$work/data" </dev/null >"$work/log" 2>&1 &
server=$!
trap 'kill -TERM $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 150); do
    curl -fsS -o /dev/null "$GUILDHALL_TEST_URL/readyz" 2>/dev/null && break
    kill -0 $server 2>/dev/null || { cat "$work/log" >&2; echo "with-server: the server ended" >&2; exit 1; }
    sleep 0.2
done
curl -fsS -o /dev/null "$GUILDHALL_TEST_URL/readyz" || { cat "$work/log" >&2; echo "with-server: not ready after 30 s" >&2; exit 1; }
export GUILDHALL_TEST_LOG=$work/log
status=0
"$@" || status=$?
if ! kill -0 $server 2>/dev/null; then tail -n 50 "$work/log" >&2; echo "with-server: the server died during the run" >&2; exit 1; fi
kill -TERM $server
for _ in $(seq 300); do kill -0 $server 2>/dev/null || break; sleep 0.1; done
wait $server || { tail -n 20 "$work/log" >&2; echo "with-server: the server did not stop in order (status $?)" >&2; status=1; }
if [ "$status" != 0 ] && [ -n "${GUILDHALL_TEST_KEEP_LOG:-}" ]; then cp "$work/log" "$GUILDHALL_TEST_KEEP_LOG"; fi
exit $status
