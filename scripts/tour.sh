#!/usr/bin/env bash
# Runs the five-minute tour of README.md as a newcomer would: every block fenced as ```sh tour, in order,
# in one shell, against a fresh server. Any command that fails, fails the tour.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${GUILDHALL_TEST_URL:-}" ]; then exec "$root/scripts/with-server.sh" "$0"; fi
script=$(mktemp)
trap 'rm -f "$script"' EXIT
{
    echo 'set -Eeuo pipefail; trap '"'"'echo "tour: failed: $BASH_COMMAND" >&2'"'"' ERR'
    awk '/^```sh tour$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$root/README.md"
} | sed "s#http://127.0.0.1:8080#$GUILDHALL_TEST_URL#g" >"$script"
commands=$(grep -c curl "$script" || true)
[ "$commands" -ge 5 ] || { echo "tour: README.md has no tour any more ($commands requests)" >&2; exit 1; }
bash "$script"
echo "tour: $commands requests of README.md answered"
