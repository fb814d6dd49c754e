#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every libFuzzer target (fuzz_*.c) for SECONDS each, from its corpus in fuzz/corpus; what is found lies in build/fuzz and makes the run fail.
# Usage: run_libfuzzer.sh [SECONDS] (or FUZZ_SECONDS in the environment; 60 by default). New inputs go to build/fuzz, never into the repository: to
# renew the kept corpus, run the target with -merge=1 -set_cover_merge=1 and look at what it chose.
set -u
cd "$(dirname "$0")/.."
OUT=build/fuzz
SECONDS_EACH=${1:-${FUZZ_SECONDS:-60}}
CLANG=${FUZZ_CLANG:-$(command -v clang-16 || command -v clang || echo clang-16)}
export ASAN_OPTIONS="quarantine_size_mb=8:${ASAN_OPTIONS:-}"

command -v "$CLANG" >/dev/null || { echo "fuzzing the C core needs clang: apt-get install clang-16 libclang-rt-16-dev" >&2; exit 2; }
for target in fuzz/fuzz_*.c; do
    name=$(basename "$target" .c)
    work=$OUT/$name
    mkdir -p "$work/corpus" "$work/found"
    nice "$CLANG" -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o "$work/$name" "$target" \
        $(find csrc -name '*.c') || exit 1
    if nice "$work/$name" -max_total_time="$SECONDS_EACH" -max_len=600 -print_final_stats=1 -artifact_prefix="$work/found/" \
        "$work/corpus" "fuzz/corpus/${name#fuzz_}" >"$work/log" 2>&1; then
        echo "ok    $name: $(grep number_of_executed_units "$work/log" | tr -dc '0-9') inputs in $SECONDS_EACH s"
    else
        echo "FOUND $name: see $work/found"
        tail -40 "$work/log"
        exit 1
    fi
done
