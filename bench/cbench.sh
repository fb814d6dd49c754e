#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the core as the extension is compiled, with bench/cbench.c, and runs it: sh bench/cbench.sh [WORD]. CC names another compiler.
set -eu
cd "$(dirname "$0")/.."
CC=${CC:-cc}
OUT=build/cbench
FLAGS="-std=c11 -O3 -fno-strict-aliasing -Wall -Wextra"
mkdir -p "$OUT"
for source in $(find csrc -name '*.c' | sort); do
    object=$OUT/$(echo "$source" | tr / _).o
    [ -n "$(find csrc "$0" -newer "$object" 2>/dev/null | head -n 1)" ] || [ ! -e "$object" ] || continue
    # $FLAGS is a list of words.
    # shellcheck disable=SC2086
    "$CC" $FLAGS -c "$source" -o "$object"
done
# shellcheck disable=SC2086
"$CC" $FLAGS bench/cbench.c "$OUT"/*.o -o "$OUT/cbench"
"$OUT/cbench" "$@"
