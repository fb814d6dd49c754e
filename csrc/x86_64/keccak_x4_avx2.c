/* SPDX-License-Identifier: Apache-2.0 */
/* Four states of Keccak-f[1600] at once by AVX2, a lane of each in every vector, beneath mlkem768.c. FIPS 202, 3. */
#include "../internal.h"

#if defined(TF_X86_64)
#include <immintrin.h>

#include "../keccak_round.h"

#define AVX2 TF_TARGET("avx2")

#define LANE __m256i
#define XOR(a, b) _mm256_xor_si256(a, b)
#define XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define CHI(a, b, c) _mm256_xor_si256(a, _mm256_andnot_si256(b, c))
#define ROTATE(a, n) rotate(a, n)
#define IOTA(n) _mm256_set1_epi64x((long long)tf_keccak_iota[n])

/* By whole bytes it is one shuffle. */
TF_INLINE AVX2 __m256i rotate(__m256i a, int n)
{
    if (n == 8)
        return _mm256_shuffle_epi8(a, _mm256_set_epi64x(0x0e0d0c0b0a09080f, 0x0605040302010007, 0x0e0d0c0b0a09080f, 0x0605040302010007));
    if (n == 56)
        return _mm256_shuffle_epi8(a, _mm256_set_epi64x(0x080f0e0d0c0b0a09, 0x0007060504030201, 0x080f0e0d0c0b0a09, 0x0007060504030201));
    return _mm256_or_si256(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - n));
}

AVX2 static void permute(tf_keccak_x4 *states, unsigned count)
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

const tf_keccak_x4_impl tf_keccak_x4_avx2 = {"keccak_x4_avx2", TF_CPU_AVX2, permute};

#endif
