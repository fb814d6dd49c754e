/* SPDX-License-Identifier: Apache-2.0 */
/* Four states of Keccak-f[1600] at once, a lane of each in every 256-bit vector, by AVX-512's rotation, its three-operand logic and its 32 registers,
 * which hold all 25 lanes; beneath mlkem768.c. FIPS 202, 3. */
#include "../internal.h"

#if defined(TF_X86_64)
#include <immintrin.h>

#include "../keccak_round.h"

#define AVX512VL TF_TARGET("avx2,avx512f,avx512vl")

#define LANE __m256i
#define XOR(a, b) _mm256_xor_si256(a, b)
#if defined(TF_CT_MSAN)
/* MemorySanitizer takes the intrinsic for a use of its operands; these are the same functions of them. */
#define XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define CHI(a, b, c) _mm256_xor_si256(a, _mm256_andnot_si256(b, c))
#else
/* Bit 4a + 2b + c of the constant is the result for a, b, c. */
#define XOR3(a, b, c) _mm256_ternarylogic_epi64(a, b, c, 0x96)
#define CHI(a, b, c) _mm256_ternarylogic_epi64(a, b, c, 0xd2)
#endif
#define ROTATE(a, n) _mm256_rol_epi64(a, n)
#define IOTA(n) _mm256_set1_epi64x((long long)tf_keccak_iota[n])

AVX512VL static void permute(tf_keccak_x4 *states, unsigned count)
{
    __m256i a[25], e[25];
    (void)count; /* one costs as much as four */
    for (size_t i = 0; i < 25; i++)
        a[i] = _mm256_loadu_si256((const __m256i *)(const void *)states->lane[i]);
    for (int round = 0; round < 24; round += 2) {
        KECCAK_ROUND(e, a, round);
        KECCAK_ROUND(a, e, round + 1);
    }
    for (size_t i = 0; i < 25; i++)
        _mm256_storeu_si256((__m256i *)(void *)states->lane[i], a[i]);
}

const tf_keccak_x4_impl tf_keccak_x4_avx512vl = {"keccak_x4_avx512vl", TF_CPU_AVX512, permute};

#endif
