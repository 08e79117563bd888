#!/usr/bin/env bash
# Everything CI checks, step by step. `make test` runs it all; `scripts/test.sh lint` and
# `scripts/test.sh coverage` run a part.
#
# Each step writes a log of its own (.local/logs/) and is timed; a failed step shows the end of its log
# and the others still run, so that one run names every problem. The tests are built once, instrumented
# for coverage, and that one build runs on SQLite, PostgreSQL and MariaDB.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
exec </dev/null

part=${1:-all}
target=${CARGO_TARGET_DIR:-$PWD/target}
logs=$PWD/.local/logs
tools=$PWD/.local/tools
profiles=$PWD/.local/profiles
floor=85
deny_version=0.20.2
# One selection for every instrumented command: another one would resolve other features and build again.
selection=(--workspace --features xtask/coverage --locked)
export CARGO_TERM_COLOR=never
[ -z "${CI:-}" ] || export CARGO_INCREMENTAL=0

rm -rf "$logs" "$profiles"
mkdir -p "$logs" "$tools" "$profiles"
steps=0 started=$SECONDS passed=0 failed=0 summary=()

# step NAME COMMAND..: one check, one log. A suite counts its tests, any other step counts as one.
step() {
    local name=$1 begun=$SECONDS status=0 log; shift
    steps=$((steps + 1)); log=$logs/$(printf '%02d' $steps)-$name.log
    printf '== %s\n' "$name"
    ("$@") >"$log" 2>&1 || status=$?
    local took=$((SECONDS - begun)) counts ok=0 bad=0
    counts=$(awk '/^test result: / { ok += $4; bad += $6 } END { print ok + 0, bad + 0 }' "$log")
    ok=${counts% *} bad=${counts#* }
    [ $((ok + bad)) -gt 0 ] || ok=$((status == 0))
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + ok)) failed=$((failed + bad))
    if [ "$status" = 0 ]; then
        summary+=("$(printf 'ok    %-22s %5d passed %4d s' "$name" "$ok" "$took")")
    else
        summary+=("$(printf 'FAIL  %-22s %5d failed %4d s   %s' "$name" "$bad" "$took" "$log")")
        grep -E '^test .* FAILED$|^error(\[|:)|^ *not ok ' "$log" | head -n 40
        tail -n 60 "$log"
    fi
    printf '%s\n' "${summary[-1]}"
    return $status
}

prerequisites() {
    local missing=() program
    for program in cargo rustc curl python3 openssl git awk; do command -v "$program" || missing+=("$program"); done
    # For the TypeScript client, the Postman collection and the sign-in providers.
    [ "$part" != all ] || node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 3) ? 0 : 1)' ||
        missing+=("node >= 20.3")
    [ "$part" != all ] || command -v npm || missing+=("npm")
    cargo clippy --version || missing+=("clippy (rustup component add clippy)")
    cargo fmt --version || missing+=("rustfmt (rustup component add rustfmt)")
    python3 -c 'import sys, venv; assert sys.version_info >= (3, 10)' || missing+=("python3 >= 3.10 with venv")
    [ ${#missing[@]} = 0 ] || { printf 'missing: %s\n' "${missing[@]}"; return 1; }
    cargo fetch --locked
}

deny() {
    local deny; deny=$(command -v cargo-deny || echo "$tools/bin/cargo-deny")
    if [ ! -x "$deny" ]; then
        # Unoptimised: it runs for a second, and is built in a third of the time.
        CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-deny --locked --version "$deny_version" --root "$tools" --debug --target-dir "$tools/target" || return 1
        rm -rf "$tools/target"
    fi
    "$deny" --offline --locked check bans licenses sources
}

rustdoc() { RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --document-private-items; }

# Instrumented cargo: only the workspace's own crates, see rustc-coverage.sh.
covered() { RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/rustc-coverage.sh LLVM_PROFILE_FILE=$profiles/%4m.profraw "$@"; }

build() {
    if ! covered cargo test "${selection[@]}" --no-run --message-format=json >"$logs/build.json"; then
        python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line) if line.startswith("{") else {}
    if message.get("reason") == "compiler-message" and message["message"]["level"] == "error": print(message["message"]["rendered"])' <"$logs/build.json"
        return 1
    fi
    python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"): print(message["executable"])' <"$logs/build.json" | sort -u >"$logs/objects"
}

# The crash test is in the suite with a few kills; here it is left to its own step with all fifty. The drills stop servers and fill
# disks of their own, and watch the time: they too have a step for themselves.
suite() {
    local engine=$1; shift
    # Tests wait for servers and clocks more than they compute.
    RUST_TEST_THREADS=$((2 * $(nproc))) GUILDHALL_TEST_ENGINE=$engine covered timeout -k 10 1500 cargo test "${selection[@]}" --no-fail-fast "$@" -- --skip crash:: --skip drills_
}

crash() { GUILDHALL_TEST_CRASHES=50 GUILDHALL_TEST_ENGINE=$1 covered timeout -k 10 900 cargo test "${selection[@]}" --test it -- --nocapture crash::; }

drills() { GUILDHALL_TEST_ENGINE=sqlite covered timeout -k 10 300 cargo test "${selection[@]}" --test it -- --nocapture drills_; }

coverage() {
    # shellcheck disable=SC2046 # a list of paths
    cargo run --quiet --locked --package xtask --features coverage -- coverage --profiles "$profiles" --floor "$floor" \
        --lcov "$logs/lcov.info" $(grep -v /xtask- "$logs/objects")
}

finish() {
    local status=$?
    trap - EXIT INT TERM
    [ -z "${backends:-}" ] || scripts/backends.sh down || true
    printf '\n'
    [ ${#summary[@]} = 0 ] || printf '%s\n' "${summary[@]}"
    printf 'total %d min %d s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60))
    [ "$status" = 0 ] || [ "$failed" -gt 0 ] || failed=1
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]; exit $?
}
trap finish EXIT
trap 'exit 130' INT TERM

step prerequisites prerequisites || exit 1
if [ "$part" != coverage ]; then
    step format cargo fmt --all --check
    step clippy cargo clippy --workspace --all-targets --features xtask/coverage --locked -- -D warnings
    step edges cargo run --quiet --locked --package xtask -- edges
    # The fuzz targets are a workspace of their own and not built here; a lock file left behind would stop their build.
    step fuzz-lock cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml
    step deny deny
    step rustdoc rustdoc
fi
[ "$part" != lint ] || exit 0

step build build || exit 1
export GUILDHALL_TEST_BIN=$target/debug/guildhall
if [ "$part" = all ]; then
    backends=yes
    step backends scripts/backends.sh up && eval "$(scripts/backends.sh env)"
fi
step suite-sqlite suite sqlite
if [ "$part" = all ]; then
    for engine in postgres mysql; do step suite-$engine suite $engine --lib --bins --tests; done
    for engine in sqlite postgres mysql; do step crash-$engine crash $engine; done
    step drills drills
    step schemathesis covered scripts/schemathesis.sh
    step tour covered scripts/tour.sh
    step clients covered scripts/clients.sh
    step newman covered scripts/newman.sh
    step oidc covered scripts/oidc.sh
    step generated-docs cargo run --quiet --locked --package xtask -- docs --check --bin "$GUILDHALL_TEST_BIN"
fi
step coverage coverage && grep '^coverage:' "$logs"/*-coverage.log
exit 0
