#!/usr/bin/env bash
# Runs the Postman collection against a running Guildhall: its flows, then every route once.
#
#   scripts/newman.sh [newman options]     e.g. --folder Newcomer --folder Paging
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tool=$root/scripts/newman
postman=$root/docs/api/postman

if [ -z "${GUILDHALL_TEST_URL:-}" ]; then
    if [ ! "$tool/node_modules/.package-lock.json" -nt "$tool/package-lock.json" ]; then npm ci --prefix "$tool"; fi
    exec "$root/scripts/with-server.sh" "$root/scripts/newman.sh" "$@"
fi

mkdir -p "$root/.local"
report=$root/.local/newman.json
rm -f "$report"
status=0
"$tool/node_modules/.bin/newman" run "$postman/guildhall.postman_collection.json" \
    --environment "$postman/guildhall.postman_environment.json" --env-var "base_url=$GUILDHALL_TEST_URL" \
    --ignore-redirects --timeout-request 20000 --color off --disable-unicode \
    --reporters cli,json --reporter-cli-no-banner --reporter-cli-no-success-assertions --reporter-json-export "$report" "$@" || status=$?

# The counts are said as a Rust suite would say them, for scripts/test.sh; and a request whose script broke has proved nothing.
node -e '
    const { stats, executions } = JSON.parse(require("fs").readFileSync(process.argv[1])).run;
    const bad = stats.assertions.failed + stats.testScripts.failed + stats.prerequestScripts.failed + stats.requests.failed;
    const succeeded = executions.filter(({ response }) => response && response.code < 300).length;
    console.log(`newman: ${stats.requests.total} requests, ${succeeded} of them answered with success`);
    console.log(`test result: ${bad ? "FAILED" : "ok"}. ${stats.assertions.total - stats.assertions.failed} passed; ${bad} failed`);
' "$report" || status=1
exit $status
