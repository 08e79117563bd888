#!/usr/bin/env bash
# Builds the TypeScript client from the committed API description and tries it, and the examples of its README,
# against a running Guildhall.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/clients/typescript"

if [ -z "${GUILDHALL_TEST_URL:-}" ]; then
    if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then npm ci; fi
    npm run --silent lint
    npm run --silent build
    npm run --silent build:test
    exec "$root/scripts/with-server.sh" "$root/scripts/clients.sh"
fi

# The counts are said as a Rust suite would say them, for scripts/test.sh.
report=$(mktemp)
trap 'rm -f "$report"' EXIT
status=0
npm test --silent | tee "$report" || status=$?
awk '/^# pass / { ok = $3 } /^# fail / { bad = $3 } END { printf "test result: %s. %d passed; %d failed\n", bad ? "FAILED" : "ok", ok, bad }' "$report"
exit $status
