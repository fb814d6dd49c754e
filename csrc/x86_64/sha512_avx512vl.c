/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512 and SHA-384 with the message schedule in AVX-512VL, which rotates and XORs three vectors in one instruction; sha512_x86.h says how. */
#include "../internal.h"

#if defined(TF_X86_64)

#include <immintrin.h>

#define SHA512_TARGET TF_TARGET("avx512f,avx512vl,avx2,bmi,bmi2")
#define rotr64(x, n) _mm_ror_epi64((x), (n))
#if defined(TF_CT_MSAN) /* MemorySanitizer knows no VPTERNLOG and would report its operands: the same by instructions that it knows */
#define xor3(a, b, c) _mm_xor_si128(_mm_xor_si128((a), (b)), (c))
#define ch(e, f, g) _mm_or_si128(_mm_and_si128((e), (f)), _mm_andnot_si128((e), (g)))
#define maj(a, b, c) _mm_or_si128(_mm_and_si128((a), (b)), _mm_and_si128((c), _mm_or_si128((a), (b))))
#else /* the last operand is the function's truth table */
#define xor3(a, b, c) _mm_ternarylogic_epi64((a), (b), (c), 0x96)
#define ch(e, f, g) _mm_ternarylogic_epi64((e), (f), (g), 0xca)
#define maj(a, b, c) _mm_ternarylogic_epi64((a), (b), (c), 0xe8)
#endif

#include "sha512_x86.h"

/* ---- Two messages, a word of each in a vector: the rounds are vectors too, at the cost of one message's ---- */

TF_INLINE SHA512_TARGET __m128i add(__m128i a, __m128i b)
{
    return _mm_add_epi64(a, b);
}

/* One round as step() has it. */
TF_INLINE SHA512_TARGET void step_two(__m128i a, __m128i b, __m128i c, __m128i *d, __m128i e, __m128i f, __m128i g, __m128i *h, __m128i w, uint64_t k)
{
    __m128i t1 = add(add(*h, add(w, _mm_set1_epi64x((long long)k))), ch(e, f, g));
    t1 = add(t1, xor3(rotr64(e, 14), rotr64(e, 18), rotr64(e, 41)));
    *d = add(*d, t1);
    *h = add(add(t1, maj(a, b, c)), xor3(rotr64(a, 28), rotr64(a, 34), rotr64(a, 39)));
}

/* W(t) for t = i modulo 16, at the place of W(t - 16). */
TF_INLINE SHA512_TARGET void word_two(__m128i w[16], int i)
{
    __m128i t_minus_15 = w[(i + 1) & 15], t_minus_2 = w[(i + 14) & 15];
    __m128i sigma0 = xor3(rotr64(t_minus_15, 1), rotr64(t_minus_15, 8), _mm_srli_epi64(t_minus_15, 7));
    __m128i sigma1 = xor3(rotr64(t_minus_2, 19), rotr64(t_minus_2, 61), _mm_srli_epi64(t_minus_2, 6));
    w[i] = add(add(w[i], sigma0), add(w[(i + 9) & 15], sigma1));
}

/* Eight rounds: after these every variable is back at its place. Each makes of its word the one sixteen further, unless is_last. */
TF_INLINE SHA512_TARGET void eight_steps_two(__m128i s[8], __m128i w[16], const uint64_t *k, int i, int is_last)
{
    step_two(s[0], s[1], s[2], &s[3], s[4], s[5], s[6], &s[7], w[i], k[i]);
    if (!is_last)
        word_two(w, i);
    step_two(s[7], s[0], s[1], &s[2], s[3], s[4], s[5], &s[6], w[i + 1], k[i + 1]);
    if (!is_last)
        word_two(w, i + 1);
    step_two(s[6], s[7], s[0], &s[1], s[2], s[3], s[4], &s[5], w[i + 2], k[i + 2]);
    if (!is_last)
        word_two(w, i + 2);
    step_two(s[5], s[6], s[7], &s[0], s[1], s[2], s[3], &s[4], w[i + 3], k[i + 3]);
    if (!is_last)
        word_two(w, i + 3);
    step_two(s[4], s[5], s[6], &s[7], s[0], s[1], s[2], &s[3], w[i + 4], k[i + 4]);
    if (!is_last)
        word_two(w, i + 4);
    step_two(s[3], s[4], s[5], &s[6], s[7], s[0], s[1], &s[2], w[i + 5], k[i + 5]);
    if (!is_last)
        word_two(w, i + 5);
    step_two(s[2], s[3], s[4], &s[5], s[6], s[7], s[0], &s[1], w[i + 6], k[i + 6]);
    if (!is_last)
        word_two(w, i + 6);
    step_two(s[1], s[2], s[3], &s[4], s[5], s[6], s[7], &s[0], w[i + 7], k[i + 7]);
    if (!is_last)
        word_two(w, i + 7);
}

SHA512_TARGET static void compress_two(uint64_t a[8], const uint8_t *block_a, uint64_t b[8], const uint8_t *block_b)
{
    __m128i s[8], w[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        __m128i words_a = load_words(block_a + 16 * i), words_b = load_words(block_b + 16 * i);
        w[2 * i] = _mm_unpacklo_epi64(words_a, words_b);
        w[2 * i + 1] = _mm_unpackhi_epi64(words_a, words_b);
        s[i] = _mm_set_epi64x((long long)b[i], (long long)a[i]);
    }
    for (int t = 0; t < 64; t += 16) {
        eight_steps_two(s, w, tf_sha512_k + t, 0, 0);
        eight_steps_two(s, w, tf_sha512_k + t, 8, 0);
    }
    eight_steps_two(s, w, tf_sha512_k + 64, 0, 1);
    eight_steps_two(s, w, tf_sha512_k + 64, 8, 1);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        a[i] += (uint64_t)_mm_cvtsi128_si64(s[i]);
        b[i] += (uint64_t)_mm_extract_epi64(s[i], 1);
    }
    tf_wipe(s, sizeof s);
    tf_wipe(w, sizeof w);
}

const tf_sha512_impl tf_sha512_avx512vl = {"sha512_avx512vl", TF_CPU_AVX512 | TF_CPU_AVX2 | TF_CPU_BMI2, compress, compress_two};
#else
typedef int tf_sha512_avx512vl_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
