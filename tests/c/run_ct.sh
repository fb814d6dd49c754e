#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Constant time, shown by running: the ct_*.c programs mark secrets as uninitialised memory, and valgrind memcheck (gcc, -O1 to -O3: the portable code,
# AES-NI and AVX2) or MemorySanitizer (clang: SHA-NI, AES-NI, VAES, IFMA and AVX-512VL; valgrind hides SHA-NI and AVX-512) reports every branch and
# every address that depends on one. Planted leaks must be caught, plain and behind every primitive: else the harness is blind and the run fails. One line a program.
set -u
cd "$(dirname "$0")/../.."
OUT=build/ct
GCC=${CT_GCC:-gcc}
CLANG=${CT_CLANG:-$(command -v clang-16 || command -v clang || echo clang-16)}
FOUND=9 # the exit status of both tools when they have something to report
PORTABLE=0 AESNI=1 SHANI=2 BOTH=3 IFMA=60 VAES256=15 VAES512=b1 # TF_CPU_* masks in hexadecimal
IFMA512=e0 CHACHA256=4 CHACHA512=e0 SHA512_AVX2=c SHA512_AVX512VL=2c MLKEM256=4 KECCAK512=24
PROGRAMS="ct_aead ct_hash_kdf ct_x25519 ct_mlkem768 ct_ticket ct_record"
PRIMITIVES="aes_gcm aes_gcm_tag chacha20_poly1305 chacha20_poly1305_tag sha256 sha512 x25519 x25519_base mlkem768_ntt keccak_x4"
failures=0

for tool in "$GCC" "$CLANG" valgrind objdump; do
    command -v "$tool" >/dev/null || { echo "make ct needs $tool: apt-get install gcc clang-16 libclang-rt-16-dev valgrind" >&2; exit 2; }
done
mkdir -p "$OUT"

# build DIRECTORY COMPILER FLAGS...: the core's objects once, then every program.
build() {
    directory=$OUT/$1 compiler=$2
    shift 2
    mkdir -p "$directory"
    objects=""
    for source in $(find csrc -name '*.c' | sort); do
        object=$directory/$(echo "$source" | tr / _).o
        nice "$compiler" -std=c11 -g -fno-strict-aliasing "$@" -c "$source" -o "$object" || return 1
        objects="$objects $object"
    done
    for program in $PROGRAMS ct_leaky; do
        # $objects is a list of words.
        # shellcheck disable=SC2086
        nice "$compiler" -std=c11 -g "$@" "tests/c/$program.c" $objects -o "$directory/$program" || return 1
    done
}

# check WANTED NAME COMMAND...: runs it, prints a line, counts a failure unless its status is WANTED (0: clean; $FOUND: a leak is reported).
check() {
    wanted=$1 name=$2
    shift 2
    "$@" >"$OUT/log" 2>&1
    status=$?
    if [ $status -eq "$wanted" ]; then
        echo "ok    $name"
    elif [ $status -eq 3 ]; then
        echo "skip  $name: this processor lacks the instructions"
    else
        echo "FAIL  $name: status $status, wanted $wanted"
        grep -v '^--' "$OUT/log" | head -40
        failures=$((failures + 1))
    fi
}

# planted NAME SOURCE COMMAND...: both leaks of ct_leaky are caught, and without a leak nothing is.
planted() {
    planted_name=$1 source=$2
    shift 2
    check 0 "$planted_name, $source, no leak" "$@" "$source" nothing
    check $FOUND "$planted_name, $source, branch is caught" "$@" "$source" branch
    check $FOUND "$planted_name, $source, index is caught" "$@" "$source" index
}

# scan NAME OBJECT JUMPS [OBJDUMP OPTION]: gcc's code of a kernel that valgrind cannot run: no memory operand with an index register, and at most
# JUMPS conditional jumps, those of its loops. MemorySanitizer saw clang's code alone.
scan() {
    objdump "${4:--d}" --no-show-raw-insn "$2" >"$OUT/assembly"
    indexed=$(grep -vE 'lea|nop' "$OUT/assembly" | grep -cE '\(%[a-z0-9]+,%')
    jumps=$(grep -cE '[[:space:]]j[a-ln-z][a-z]*[[:space:]]' "$OUT/assembly")
    [ -s "$OUT/assembly" ] && [ "$indexed" -eq 0 ] && [ "$jumps" -ge 1 ] && [ "$jumps" -le "$3" ] && return 0
    echo "      $1: $indexed indexed operands, $jumps conditional jumps"
    return $FOUND
}

# stays NAME OBJECT INSTRUCTION FUNCTION...: gcc's code of kernels that valgrind cannot run, with many branches and indices, all by lengths or the turns of loops:
# nothing goes from a vector register to a general one, to a mask or to the flags, so no branch and no address can depend on what the vectors hold.
stays() {
    stays_name=$1 object=$2 instruction=$3
    shift 3
    for function in "$@"; do
        objdump --disassemble="$function" --no-show-raw-insn "$object"
    done >"$OUT/assembly"
    leaving=$(grep -cE 'pextr[bwdq]|movmsk|ptest|vtestp|pcmp[a-z]*[[:space:]].*%k|pcmp.str|vpmov[bwdq]2m|gather|comis|mov[dq] +%[xyz]mm[0-9]+,%[er]' \
        "$OUT/assembly")
    kernel=$(grep -c "$instruction" "$OUT/assembly")
    [ "$leaving" -eq 0 ] && [ "$kernel" -ge 10 ] && return 0
    echo "      $stays_name: $leaving instructions lead out of the vector registers ($kernel are $instruction)"
    return $FOUND
}

memcheck="nice valgrind -q --error-exitcode=$FOUND"
for level in 1 2 3; do
    build "valgrind-O$level" "$GCC" "-O$level" -DTF_CT_VALGRIND || exit 1
    for mask in $PORTABLE $AESNI; do
        for program in $PROGRAMS; do
            check 0 "$program, valgrind, gcc -O$level, CPU mask $mask" $memcheck "$OUT/valgrind-O$level/$program" "$mask"
        done
    done
    for program in ct_aead ct_record ct_ticket; do
        check 0 "$program, valgrind, gcc -O$level, CPU mask $CHACHA256" $memcheck "$OUT/valgrind-O$level/$program" "$CHACHA256"
    done
    check 0 "ct_mlkem768, valgrind, gcc -O$level, CPU mask $MLKEM256" $memcheck "$OUT/valgrind-O$level/ct_mlkem768" "$MLKEM256"
    planted "planted leak, valgrind, gcc -O$level" none $memcheck "$OUT/valgrind-O$level/ct_leaky" $PORTABLE
    # SHA-NI: none left, another block, another 16 rounds; of two messages too. SHA-512: the same. X25519: another byte, another bit.
    check 0 "SHA-NI as gcc -O$level compiled it: no index, no branch but the loops" \
        scan sha256_shani "$OUT/valgrind-O$level/csrc_x86_64_sha256_shani.c.o" 4
    for kernel in sha512_avx2 sha512_avx512vl; do
        check 0 "$kernel as gcc -O$level compiled it: no index, no branch but the loops" \
            scan "$kernel" "$OUT/valgrind-O$level/csrc_x86_64_$kernel.c.o" 4
    done
    check 0 "X25519's IFMA ladder as gcc -O$level compiled it: no index, no branch but the loops" \
        scan x25519_ifma "$OUT/valgrind-O$level/csrc_x86_64_x25519_ifma.c.o" 2 --disassemble=ladder
    check 0 "X25519's 512-bit kernels as gcc -O$level compiled them: no way out of the vector registers" \
        stays x25519_ifma8 "$OUT/valgrind-O$level/csrc_x86_64_x25519_ifma8.c.o" vpmadd52 comb8 comb1 look_up1 add_entries twice
    for bits in 256 512; do
        check 0 "AES-GCM's $bits-bit kernels as gcc -O$level compiled them: no way out of the vector registers" \
            stays "aes_gcm_vaes$bits" "$OUT/valgrind-O$level/csrc_x86_64_aes_gcm_vaes$bits.c.o" aesenc encrypt decrypt set_key
    done
    check 0 "ChaCha20 on 512 bits as gcc -O$level compiled it: no way out of the vector registers" \
        stays chacha20_poly1305_avx512 "$OUT/valgrind-O$level/csrc_x86_64_chacha20_poly1305_avx512.c.o" vprold key_stream xor_batches
    check 0 "Keccak with AVX-512VL as gcc -O$level compiled it: no way out of the vector registers" \
        stays keccak_x4_avx512vl "$OUT/valgrind-O$level/csrc_x86_64_keccak_x4_avx512vl.c.o" vprolq permute
    check $FOUND "the same scan of AES-NI finds its way out, that of a last partial block" \
        stays aes_gcm_aesni "$OUT/valgrind-O$level/csrc_x86_64_aes_gcm_aesni.c.o" aesenc seal
    check $FOUND "the jump scan of the planted leak finds its index" scan ct_leaky "$OUT/valgrind-O$level/ct_leaky" 99 --disassemble=main
    PROGRAMS_BEFORE=$PROGRAMS PROGRAMS="ct_x25519"
    build "valgrind-32-O$level" "$GCC" "-O$level" -DTF_CT_VALGRIND -DTF_NO_INT128 || exit 1
    PROGRAMS=$PROGRAMS_BEFORE
    check 0 "ct_x25519 in 32-bit limbs, valgrind, gcc -O$level" $memcheck "$OUT/valgrind-32-O$level/ct_x25519" $PORTABLE
done
for primitive in $PRIMITIVES; do
    planted "planted leak, valgrind, gcc -O2, CPU mask $PORTABLE" "$primitive" $memcheck "$OUT/valgrind-O2/ct_leaky" $PORTABLE
done
for primitive in aes_gcm aes_gcm_tag; do
    planted "planted leak, valgrind, gcc -O2, CPU mask $AESNI" "$primitive" $memcheck "$OUT/valgrind-O2/ct_leaky" $AESNI
done
for primitive in chacha20_poly1305 chacha20_poly1305_tag chacha20_poly1305_long chacha20_poly1305_long_tag; do
    planted "planted leak, valgrind, gcc -O2, CPU mask $CHACHA256" "$primitive" $memcheck "$OUT/valgrind-O2/ct_leaky" $CHACHA256
done
for primitive in mlkem768_ntt keccak_x4; do
    planted "planted leak, valgrind, gcc -O2, CPU mask $MLKEM256" "$primitive" $memcheck "$OUT/valgrind-O2/ct_leaky" $MLKEM256
done

# Secrets are passed to functions by value: that is no leak, so MemorySanitizer's check of parameters is off.
export MSAN_OPTIONS=exit_code=$FOUND
for level in 1 2 3; do
    build "msan-O$level" "$CLANG" "-O$level" -DTF_CT_MSAN -fsanitize=memory -fno-sanitize-memory-param-retval || exit 1
    for mask in $SHANI $BOTH; do
        for program in $PROGRAMS; do
            check 0 "$program, MemorySanitizer, clang -O$level, CPU mask $mask" nice "$OUT/msan-O$level/$program" "$mask"
        done
    done
    for mask in $SHA512_AVX2 $SHA512_AVX512VL; do
        check 0 "ct_hash_kdf, MemorySanitizer, clang -O$level, CPU mask $mask" nice "$OUT/msan-O$level/ct_hash_kdf" "$mask"
    done
    for mask in $IFMA $IFMA512; do
        check 0 "ct_x25519, MemorySanitizer, clang -O$level, CPU mask $mask" nice "$OUT/msan-O$level/ct_x25519" "$mask"
    done
    check 0 "ct_mlkem768, MemorySanitizer, clang -O$level, CPU mask $KECCAK512" nice "$OUT/msan-O$level/ct_mlkem768" "$KECCAK512"
    for mask in $VAES256 $VAES512; do
        for program in ct_aead ct_record ct_ticket; do
            check 0 "$program, MemorySanitizer, clang -O$level, CPU mask $mask" nice "$OUT/msan-O$level/$program" "$mask"
        done
    done
    for program in ct_aead ct_record ct_ticket; do
        check 0 "$program, MemorySanitizer, clang -O$level, CPU mask $CHACHA512" nice "$OUT/msan-O$level/$program" "$CHACHA512"
    done
    planted "planted leak, MemorySanitizer, clang -O$level" none nice "$OUT/msan-O$level/ct_leaky" $SHANI
done
for primitive in aes_gcm aes_gcm_tag sha256; do
    planted "planted leak, MemorySanitizer, clang -O2, CPU mask $BOTH" "$primitive" nice "$OUT/msan-O2/ct_leaky" $BOTH
done
for mask in $VAES256 $VAES512; do
    for primitive in aes_gcm aes_gcm_tag; do
        planted "planted leak, MemorySanitizer, clang -O2, CPU mask $mask" "$primitive" nice "$OUT/msan-O2/ct_leaky" "$mask"
    done
done
for primitive in chacha20_poly1305 chacha20_poly1305_tag chacha20_poly1305_long_tag; do
    planted "planted leak, MemorySanitizer, clang -O2, CPU mask $CHACHA512" "$primitive" nice "$OUT/msan-O2/ct_leaky" $CHACHA512
done
for mask in $SHA512_AVX2 $SHA512_AVX512VL; do
    planted "planted leak, MemorySanitizer, clang -O2, CPU mask $mask" sha512 nice "$OUT/msan-O2/ct_leaky" "$mask"
done
planted "planted leak, MemorySanitizer, clang -O2, CPU mask $KECCAK512" keccak_x4 nice "$OUT/msan-O2/ct_leaky" $KECCAK512
planted "planted leak, MemorySanitizer, clang -O2, CPU mask $IFMA" x25519 nice "$OUT/msan-O2/ct_leaky" $IFMA
for primitive in x25519_base x25519_base8; do
    planted "planted leak, MemorySanitizer, clang -O2, CPU mask $IFMA512" "$primitive" nice "$OUT/msan-O2/ct_leaky" $IFMA512
done

[ $failures -eq 0 ] && echo "constant time: nothing reported, every planted leak caught" && exit 0
echo "constant time: $failures failed" >&2
exit 1
