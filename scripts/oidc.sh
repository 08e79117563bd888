#!/usr/bin/env bash
# Signs people in at OpenID providers of a certified implementation (npm oidc-provider), against a running Guildhall that was
# told of them by its environment.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tool=$root/scripts/oidc

if [ -z "${GUILDHALL_TEST_URL:-}" ]; then
    if [ ! "$tool/node_modules/.package-lock.json" -nt "$tool/package-lock.json" ]; then npm ci --prefix "$tool"; fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    export GUILDHALL_TEST_OIDC_SECRET=$work/secret
    openssl rand -base64 32 | tr -d '\n' >"$GUILDHALL_TEST_OIDC_SECRET"
    read -r -a ports < <(python3 -c 'import socket
sockets = [socket.socket() for _ in range(4)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))')
    origins=() pairs=()
    for name in rs256 ps256 es256 eddsa; do
        port=${ports[${#pairs[@]}]}
        prefix=GUILDHALL_IDENTITY__OIDC__PROVIDERS__${name^^}
        export "${prefix}__NAME=Provider $name" "${prefix}__ISSUER=http://127.0.0.1:$port" "${prefix}__CLIENT_ID=guild hall" \
            "${prefix}__CLIENT_SECRET_FILE=$GUILDHALL_TEST_OIDC_SECRET"
        origins+=("http://127.0.0.1:$port") pairs+=("$name=$port")
    done
    export GUILDHALL_IDENTITY__OIDC__PRIVATE_ORIGINS GUILDHALL_TEST_OIDC_PORTS GUILDHALL_HTTP__RATE_LIMITS__ENABLED=false
    GUILDHALL_IDENTITY__OIDC__PRIVATE_ORIGINS=$(IFS=,; echo "${origins[*]}")
    GUILDHALL_TEST_OIDC_PORTS=$(IFS=,; echo "${pairs[*]}")
    "$root/scripts/with-server.sh" "$root/scripts/oidc.sh"
    exit
fi

# The counts are said as a Rust suite would say them, for scripts/test.sh.
report=$(mktemp)
trap 'rm -f "$report"' EXIT
status=0
(cd "$tool" && node --no-warnings --test --test-reporter=tap sign-in.test.mjs) | tee "$report" || status=$?
awk '/^# pass / { ok = $3 } /^# fail / { bad = $3 } END { printf "test result: %s. %d passed; %d failed\n", bad ? "FAILED" : "ok", ok, bad }' "$report"
exit $status
