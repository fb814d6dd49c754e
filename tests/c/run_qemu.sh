#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The C self-tests on other architectures, under qemu-user: aarch64, armhf (32 bits), s390x (big endian). One line a program.
set -u
cd "$(dirname "$0")/../.."
OUT=build/qemu
failures=0

# run TRIPLET EMULATOR
run() {
    triplet=$1 emulator=$2
    for tool in "$triplet-gcc" "$emulator"; do
        command -v "$tool" >/dev/null || { echo "make qemu needs $tool: apt-get install qemu-user gcc-$triplet" >&2; exit 2; }
    done
    mkdir -p "$OUT/$triplet"
    objects=""
    for source in $(find csrc -name '*.c' | sort); do
        object=$OUT/$triplet/$(echo "$source" | tr / _).o
        nice "$triplet-gcc" -std=c11 -O2 -Wall -Wextra -Wconversion -Werror -c "$source" -o "$object" || exit 1
        objects="$objects $object"
    done
    for test in tests/c/test_*.c; do
        program=$OUT/$triplet/$(basename "$test" .c)
        # $objects is a list of words.
        # shellcheck disable=SC2086
        if nice "$triplet-gcc" -std=c11 -O2 -static "$test" $objects -o "$program" && nice "$emulator" "$program" >"$OUT/log" 2>&1; then
            echo "ok    $triplet $(basename "$test"): $(tail -1 "$OUT/log")"
        else
            echo "FAIL  $triplet $(basename "$test")"
            head -40 "$OUT/log"
            failures=$((failures + 1))
        fi
    done
}

run aarch64-linux-gnu qemu-aarch64
run arm-linux-gnueabihf qemu-arm
run s390x-linux-gnu qemu-s390x

[ $failures -eq 0 ] && exit 0
echo "C self-tests on other architectures: $failures failed" >&2
exit 1
