#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The C self-tests under AddressSanitizer and UndefinedBehaviorSanitizer, as the machine has it and once more without __int128; then the kept
# inputs of the libFuzzer targets. One line a program.
set -u
cd "$(dirname "$0")/../.."
OUT=build/sanitize
CC=${SANITIZE_CC:-$(command -v clang-16 || command -v gcc || command -v cc || echo cc)}
SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
failures=0

command -v "$CC" >/dev/null || { echo "the C self-tests need a compiler: apt-get install gcc" >&2; exit 2; }
mkdir -p "$OUT"

# run NAME FLAGS...: builds the core once with these flags, then builds and runs every test.
run() {
    name=$1
    shift
    objects=""
    mkdir -p "$OUT/$name"
    for source in $(find csrc -name '*.c' | sort); do
        object=$OUT/$name/$(echo "$source" | tr / _).o
        # $SANITIZE and $objects are lists of words.
        # shellcheck disable=SC2086
        nice "$CC" -std=c11 -g -O1 -Wall -Wextra -Wconversion -Werror $SANITIZE "$@" -c "$source" -o "$object" || exit 1
        objects="$objects $object"
    done
    for test in tests/c/test_*.c; do
        program=$OUT/$name/$(basename "$test" .c)
        # shellcheck disable=SC2086
        if nice "$CC" -std=c11 -g -O1 -Wall -Wextra -Werror $SANITIZE "$@" "$test" $objects -o "$program" && nice "$program" >"$OUT/log" 2>&1; then
            echo "ok    $name $(basename "$test"): $(tail -1 "$OUT/log")"
        else
            echo "FAIL  $name $(basename "$test")"
            head -60 "$OUT/log"
            failures=$((failures + 1))
        fi
    done
    # The kept inputs of the fuzz targets, on whatever compiler this is.
    for target in fuzz/fuzz_*.c; do
        fuzz=$(basename "$target" .c)
        program=$OUT/$name/$fuzz
        case "$fuzz $*" in *x25519*NO_INT128*) continue ;; esac # it compares two arithmetics, and this build has one
        # shellcheck disable=SC2086
        if nice "$CC" -std=c11 -g -O1 -Wall -Wextra -Werror $SANITIZE "$@" "$target" fuzz/replay.c $objects -o "$program" &&
            nice "$program" "fuzz/corpus/${fuzz#fuzz_}"/* >"$OUT/log" 2>&1; then
            echo "ok    $name $(basename "$target"): $(tail -1 "$OUT/log")"
        else
            echo "FAIL  $name $(basename "$target")"
            head -60 "$OUT/log"
            failures=$((failures + 1))
        fi
    done
}

run sanitize
run sanitize-no-int128 -DTF_NO_INT128

[ $failures -eq 0 ] && exit 0
echo "C self-tests under sanitizers: $failures failed" >&2
exit 1
