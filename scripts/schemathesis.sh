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
post() { curl -fsS -X POST "$GUILDHALL_TEST_URL$1" -H 'content-type: application/json' "${@:3}" -d "$2"; }

account() { post /v1/auth/register "{\"email\":\"$1@example.com\",\"password\":\"correct-horse-battery-staple-42\",\"name\":\"$1\"}" | field access_token; }

GUILDHALL_TEST_TOKEN=$(account fuzz)
GUILDHALL_TEST_WORKSPACE=$(post /v1/workspaces '{"name":"Fuzzed","slug":"fuzzed"}' -H "authorization: Bearer $GUILDHALL_TEST_TOKEN" | field id)
GUILDHALL_TEST_PROJECT=$(post /v1/projects "{\"workspace_id\":\"$GUILDHALL_TEST_WORKSPACE\",\"key\":\"FUZ\",\"name\":\"Fuzzed\"}" \
    -H "authorization: Bearer $GUILDHALL_TEST_TOKEN" | field id)
GUILDHALL_TEST_TASK=$(post "/v1/projects/$GUILDHALL_TEST_PROJECT/tasks" '{"title":"Fuzzed"}' -H "authorization: Bearer $GUILDHALL_TEST_TOKEN" | field id)
export GUILDHALL_TEST_TOKEN GUILDHALL_TEST_WORKSPACE GUILDHALL_TEST_PROJECT GUILDHALL_TEST_TASK

cd "$root/.local"
run() {
    "$venv/bin/schemathesis" --config-file "$root/scripts/schemathesis.toml" run "$GUILDHALL_TEST_URL/openapi.json" \
        --header "Authorization: Bearer $GUILDHALL_TEST_TOKEN" --checks all --workers 2 --no-color --seed 20261121 --generation-database none \
        --suppress-health-check all --warnings off "$@"
}

# What ends the account or session that the requests are made with is tried afterwards, with an account of its own.
ends_session='^/v1/(auth/|me$|me/|sessions)'
status=0
run --max-examples "${GUILDHALL_TEST_FUZZ_EXAMPLES:-8}" --exclude-path-regex "$ends_session" "$@" || status=1
GUILDHALL_TEST_TOKEN=$(account leaving)
run --max-examples "${GUILDHALL_TEST_FUZZ_EXAMPLES:-8}" --include-path-regex "$ends_session" "$@" || status=1

# Generated requests must not have upset the server either.
! grep -E 'panicked at' "${GUILDHALL_TEST_LOG:-/dev/null}" || { echo "schemathesis: the server panicked" >&2; status=1; }
exit $status
