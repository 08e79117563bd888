#!/usr/bin/env bash
# Throws generated requests, good and bad, at every operation of a running Guildhall, and checks that none answers
# 5xx, that answers match the OpenAPI document, that bad data is refused and good data accepted.
#
#   scripts/schemathesis.sh [schemathesis options]     e.g. --include-path-regex '^/v1/tasks'
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
version=4.32.5
venv=$root/.local/venv

if [ -z "${GUILDHALL_TEST_URL:-}" ]; then
    if ! "$venv/bin/schemathesis" --version 2>/dev/null | grep -q "$version"; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
    fi
    export GUILDHALL_HTTP__RATE_LIMITS__ENABLED=false # thousands of requests from one address
    export GUILDHALL_TEST_HOOKS=$root/scripts/schemathesis_hooks.py
    exec "$root/scripts/with-server.sh" "$0" "$@"
fi

# field NAME: one field of the JSON object on standard input
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
post() { curl -fsS -X POST "$GUILDHALL_TEST_URL$1" -H 'content-type: application/json' ${GUILDHALL_TEST_TOKEN:+-H "authorization: Bearer $GUILDHALL_TEST_TOKEN"} -d "$2"; }

# run NAME OPTION..: one pass with an account, workspace, project and task of its own. One worker each: parsing Python
# source in several threads at once, as Hypothesis does, fails now and then in CPython 3.11.
run() {
    local name=$1; shift
    GUILDHALL_TEST_TOKEN=
    GUILDHALL_TEST_TOKEN=$(post /v1/auth/register "{\"email\":\"$name@example.com\",\"password\":\"correct-horse-battery-staple-42\",\"name\":\"$name\"}" | field access_token)
    GUILDHALL_TEST_WORKSPACE=$(post /v1/workspaces "{\"name\":\"$name\",\"slug\":\"$name\"}" | field id)
    GUILDHALL_TEST_PROJECT=$(post /v1/projects "{\"workspace_id\":\"$GUILDHALL_TEST_WORKSPACE\",\"key\":\"FUZ\",\"name\":\"Fuzzed\"}" | field id)
    GUILDHALL_TEST_TASK=$(post "/v1/projects/$GUILDHALL_TEST_PROJECT/tasks" '{"title":"Fuzzed"}' | field id)
    export GUILDHALL_TEST_TOKEN GUILDHALL_TEST_WORKSPACE GUILDHALL_TEST_PROJECT GUILDHALL_TEST_TASK
    "$venv/bin/schemathesis" --config-file "$root/scripts/schemathesis.toml" run "$GUILDHALL_TEST_URL/openapi.json" \
        --header "Authorization: Bearer $GUILDHALL_TEST_TOKEN" --checks all --workers 1 --no-color --seed 20261121 --generation-database none \
        --suppress-health-check all --warnings off --max-examples "${GUILDHALL_TEST_FUZZ_EXAMPLES:-8}" "$@"
}

# Side by side: the two halves of the API, and what ends the account or session that its requests are made with.
cd "$root/.local"
board='^/v1/(tasks|projects)'
session='^/v1/(auth/|me$|me/|sessions)'
run board --include-path-regex "$board" "$@" >schemathesis-board.log 2>&1 & board_pid=$!
run session --include-path-regex "$session" "$@" >schemathesis-session.log 2>&1 & session_pid=$!
status=0
# The Model Context Protocol answers 200 with an error inside, as JSON-RPC does; its own tests look into that.
run rest --exclude-path-regex "$board|$session|^/mcp" "$@" || status=1
wait $board_pid || status=1
wait $session_pid || status=1
cat schemathesis-board.log schemathesis-session.log

# Generated requests must not have upset the server either.
! grep -E 'panicked at' "${GUILDHALL_TEST_LOG:-/dev/null}" || { echo "schemathesis: the server panicked" >&2; status=1; }
exit $status
