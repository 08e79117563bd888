#!/usr/bin/env bash
# Measures a release build on SQLite, PostgreSQL and MariaDB: scripts/bench.sh [option of the tool]..
#
#   scripts/bench.sh                                  about eight minutes after the build
#   scripts/bench.sh --seconds 5 --rounds 7           longer, for numbers to publish
#   scripts/bench.sh --engines sqlite --cases read    a part
#   scripts/bench.sh --help                           every option
#
# The servers are private ones with the durability of production (fsync at every commit), apart from those of the tests. Their
# addresses can be given instead: --postgres-url, --mysql-url. The result is in bench/results/latest.json and latest.md.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
out=bench/results

# One selection, so that features are resolved once.
${CARGO:-cargo} build --release --locked --package guildhall --package bench

# A listener is an open file on either side.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"
arguments="$*"
if [[ $arguments != *--help* && $arguments != *--engines\ sqlite* ]] || [[ $arguments == *--engines\ *,* ]]; then
    export GUILDHALL_TEST_BACKENDS_DIR=${GUILDHALL_TEST_BACKENDS_DIR:-$PWD/.local/bench-backends} GUILDHALL_TEST_BACKENDS_DURABLE=1
    unset GUILDHALL_TEST_POSTGRES_URL GUILDHALL_TEST_MYSQL_URL GUILDHALL_TEST_REDIS_URL
    scripts/backends.sh up >/dev/null
    trap 'scripts/backends.sh down' EXIT
    eval "$(scripts/backends.sh env)"
fi
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD 2>/dev/null || commit=$commit+changes
"$target/release/bench" run --bin "$target/release/guildhall" --out "$out" --commit "$commit" --rustc "$(rustc --version)" "$@"
