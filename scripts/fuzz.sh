#!/usr/bin/env bash
# Fuzzes what reads untrusted bytes, see fuzz/README.md.
#
#   scripts/fuzz.sh [TARGET|all] [SECONDS]   run it (all, one after the other, 60 s each), starting from its corpus
#   scripts/fuzz.sh minimize [TARGET|all]    make the corpus the fewest inputs that cover the same
#
# Wants the stable toolchain and a C++ compiler, nothing else. What was found is copied into the corpus, where the ordinary
# tests replay it. FUZZ_JOBS limits the cores of the build.
set -euo pipefail
cd "$(dirname "$0")/.."

target_dir=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
programs=$target_dir/$triple/release
work=$PWD/.local/fuzz
# What cargo-fuzz passes, without the address sanitizer: that one needs a nightly compiler, and this code has no `unsafe`.
flags='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
flags+=' -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares'

all() { (cd fuzz/fuzz_targets && ls -- *.rs) | sed 's/\.rs$//'; }
chosen() { if [ "$1" = all ]; then all; elif [ -f "fuzz/fuzz_targets/$1.rs" ]; then echo "$1"; else all >&2; exit 2; fi; }

build() {
    # --target: otherwise build scripts and macros would be instrumented too.
    RUSTFLAGS=$flags cargo build --manifest-path fuzz/Cargo.toml --release --locked --target "$triple" --target-dir "$target_dir" \
        ${FUZZ_JOBS:+--jobs "$FUZZ_JOBS"} --bins
}

run() {
    local target=$1 seconds=$2 found=$work/found/$1 status=0 log=$work/$1.log dict=
    mkdir -p "fuzz/corpus/$target" "$work/corpus/$target" "$found"
    [ ! -f "fuzz/dict/$target.dict" ] || dict=fuzz/dict/$target.dict
    # New inputs go into the first folder; the committed ones are only read.
    "$programs/$target" "$work/corpus/$target" "fuzz/corpus/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=4096 ${dict:+-dict="$dict"} -print_final_stats=1 -artifact_prefix="$found/" >"$log" 2>&1 || status=$?
    grep -E '^#[0-9]+.*DONE|stat::number_of_executed_units|ERROR|panicked' "$log" | sed "s/^/$target: /" || true
    [ "$status" = 0 ] || { tail -n 30 "$log"; printf '%s: what broke it is in %s\n' "$target" "$found"; }
    return "$status"
}

minimize() {
    local target=$1 new; new=$(mktemp -d)
    mkdir -p "$work/corpus/$target" "fuzz/corpus/$target"
    # By edges alone: how often one was taken makes ten times the files and finds nothing more when they are replayed.
    "$programs/$target" -set_cover_merge=1 -use_counters=0 -max_len=4096 "$new" "fuzz/corpus/$target" "$work/corpus/$target" >"$work/$target.merge.log" 2>&1
    # Inputs with a name of their own are there for a reason.
    find "fuzz/corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
    cp "$new"/* "fuzz/corpus/$target/"
    find "fuzz/corpus/$target" -type f -name 'seed-*' -exec sha1sum {} + | while read -r sum _; do rm -f "fuzz/corpus/$target/$sum"; done
    rm -rf "$new"
    printf '%s: %s inputs\n' "$target" "$(find "fuzz/corpus/$target" -type f | wc -l)"
}

mkdir -p "$work"
if [ "${1:-}" = minimize ]; then
    build
    for target in $(chosen "${2:-all}"); do minimize "$target"; done
    exit
fi
targets=$(chosen "${1:-all}") failed=0
build
for target in $targets; do run "$target" "${2:-60}" || failed=1; done
exit "$failed"
