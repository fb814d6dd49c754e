#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The C self-tests on other architectures, under qemu-user: aarch64 (with the ARMv8 instructions), armhf (32 bits), s390x (big endian). One line a
# program; then which implementations ran, on processors with and without SHA-512's instructions, and a scan of the vector kernels.
set -u
cd "$(dirname "$0")/../.."
OUT=build/qemu
failures=0

# run TRIPLET EMULATOR
run() {
    triplet=$1 emulator=$2
    for tool in "$triplet-gcc" "${emulator%% *}"; do
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
        # $objects and $emulator are lists of words.
        # shellcheck disable=SC2086
        if nice "$triplet-gcc" -std=c11 -O2 -static "$test" $objects -o "$program" && nice $emulator "$program" >"$OUT/log" 2>&1; then
            echo "ok    $triplet $(basename "$test"): $(tail -1 "$OUT/log")"
        else
            echo "FAIL  $triplet $(basename "$test")"
            head -40 "$OUT/log"
            failures=$((failures + 1))
        fi
    done
}

# selects WANTED COMMAND...: test_hash's line that names the implementations is WANTED.
selects() {
    wanted=$1
    shift
    nice "$@" "$OUT/aarch64-linux-gnu/test_hash" >"$OUT/log" 2>&1
    status=$?
    if [ $status -eq 0 ] && grep -qxF "$wanted" "$OUT/log"; then
        echo "ok    $*: $wanted"
    else
        echo "FAIL  $*: status $status, wanted $wanted"
        head -40 "$OUT/log"
        failures=$((failures + 1))
    fi
}

# stays WANTED FILE INSTRUCTION FUNCTION...: whether (1) or not (0) gcc's code of these kernels leads out of the vector registers, to a flag or an
# address; no checker of constant time runs here.
stays() {
    wanted=$1 object=$OUT/aarch64-linux-gnu/csrc_aarch64_$2.c.o kernel=$2 instruction=$3
    shift 3
    for function in "$@"; do
        aarch64-linux-gnu-objdump --disassemble="$function" --no-show-raw-insn "$object"
    done >"$OUT/assembly"
    leaving=$(grep -cE '[us]mov[[:space:]]|f?mov[[:space:]]+[wx][0-9]+, [vsdh][0-9]|fcmp|fccmp' "$OUT/assembly")
    if [ "$(grep -c "$instruction" "$OUT/assembly")" -ge 4 ] && [ $((leaving > 0)) -eq "$wanted" ]; then
        echo "ok    aarch64 $kernel $*: $leaving instructions lead out of the vector registers"
    else
        echo "FAIL  aarch64 $kernel $*: $leaving instructions lead out of the vector registers, wanted $wanted"
        failures=$((failures + 1))
    fi
}

run aarch64-linux-gnu "qemu-aarch64 -cpu max"
selects "aes_gcm_armv8 sha256_armv8 sha512_armv8" qemu-aarch64 -cpu max
selects "aes_gcm_armv8 sha256_armv8 sha512_portable" qemu-aarch64 -cpu cortex-a72
stays 0 aes_gcm_armv8 aesmc seal decrypt
stays 0 sha256_armv8 sha256h compress
stays 0 sha512_armv8 sha512h compress
stays 1 aes_gcm_armv8 aes prepare expand_key # SubWord's words, which become round keys: the scan sees what there is to see

run arm-linux-gnueabihf qemu-arm
run s390x-linux-gnu qemu-s390x

[ $failures -eq 0 ] && exit 0
echo "C self-tests on other architectures: $failures failed" >&2
exit 1
