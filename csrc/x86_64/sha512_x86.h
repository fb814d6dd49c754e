/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512's compression function with its message schedule in vectors of two words and its rounds in scalar registers, beneath hash.c. FIPS
 * 180-4, 6.4.2. The file that includes this says how a vector rotates: SHA512_TARGET, and rotr64(x, n), xor3(a, b, c). W(t), W(t+1) depend on W(t-2)
 * and W(t-1) at the nearest, so a vector of two needs nothing of itself; the schedule of sixteen words ahead runs beside the rounds, which wait for
 * one another. */
#include "../internal.h"

#include <immintrin.h>

TF_INLINE SHA512_TARGET uint64_t rotr(uint64_t x, int n)
{
    return x >> n | x << (64 - n);
}

/* One round without the renaming of the eight variables: what step 3 of 6.4.2 calls e and a is left in d and h. Maj(a, b, c) = b ^ ((a ^ b) & (b ^
 * c)), where b ^ c is a ^ b of the round before: *b_xor_c is that, and becomes a ^ b. */
TF_INLINE SHA512_TARGET void step(uint64_t a, uint64_t b, uint64_t *d, uint64_t e, uint64_t f, uint64_t g, uint64_t *h, uint64_t *b_xor_c,
                                  uint64_t k_plus_w)
{
    uint64_t a_xor_b = a ^ b;
    uint64_t t1 = *h + k_plus_w + ((e & f) + (~e & g)) + (rotr(e, 14) ^ rotr(e, 18) ^ rotr(e, 41));
    *d += t1;
    *h = t1 + (b ^ (a_xor_b & *b_xor_c)) + (rotr(a, 28) ^ rotr(a, 34) ^ rotr(a, 39));
    *b_xor_c = a_xor_b;
}

TF_INLINE SHA512_TARGET __m128i load_words(const uint8_t *p)
{
    const __m128i big_endian = _mm_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), big_endian);
}

TF_INLINE SHA512_TARGET void store_k_plus_w(uint64_t *k_plus_w, __m128i w, const uint64_t *k)
{
    _mm_store_si128((__m128i *)(void *)k_plus_w, _mm_add_epi64(w, _mm_loadu_si128((const __m128i *)(const void *)k)));
}

/* W(t), W(t+1) from the sixteen words before them, two in each w: w[i] holds t-16 and t-15, w[i+1] t-14, ..., w[i+7] t-2 and t-1 (i modulo 8). */
TF_INLINE SHA512_TARGET __m128i schedule(const __m128i w[8], int i)
{
    __m128i t_minus_15 = _mm_alignr_epi8(w[(i + 1) & 7], w[i], 8), t_minus_7 = _mm_alignr_epi8(w[(i + 5) & 7], w[(i + 4) & 7], 8);
    __m128i t_minus_2 = w[(i + 7) & 7];
    __m128i sigma0 = xor3(rotr64(t_minus_15, 1), rotr64(t_minus_15, 8), _mm_srli_epi64(t_minus_15, 7));
    __m128i sigma1 = xor3(rotr64(t_minus_2, 19), rotr64(t_minus_2, 61), _mm_srli_epi64(t_minus_2, 6));
    return _mm_add_epi64(_mm_add_epi64(w[i], sigma0), _mm_add_epi64(t_minus_7, sigma1));
}

/* Two rounds, and of the schedule the two words that take the place of theirs, unless these are the last sixteen rounds. The eight variables are
 * named from where they stand: x(n) is s[(n - 2 * i) & 7]. */
#define TWO_ROUNDS(i, is_last)                                                                                                                       \
    do {                                                                                                                                             \
        step(s[(0 - 2 * (i)) & 7], s[(1 - 2 * (i)) & 7], &s[(3 - 2 * (i)) & 7], s[(4 - 2 * (i)) & 7], s[(5 - 2 * (i)) & 7], s[(6 - 2 * (i)) & 7],    \
             &s[(7 - 2 * (i)) & 7], &b_xor_c, k_plus_w[2 * (i)]);                                                                                    \
        step(s[(7 - 2 * (i)) & 7], s[(0 - 2 * (i)) & 7], &s[(2 - 2 * (i)) & 7], s[(3 - 2 * (i)) & 7], s[(4 - 2 * (i)) & 7], s[(5 - 2 * (i)) & 7],    \
             &s[(6 - 2 * (i)) & 7], &b_xor_c, k_plus_w[2 * (i) + 1]);                                                                                \
        if (!(is_last)) {                                                                                                                            \
            w[i] = schedule(w, i);                                                                                                                   \
            store_k_plus_w(k_plus_w + 2 * (i), w[i], k + 2 * (i));                                                                                   \
        }                                                                                                                                            \
    } while (0)

#define SIXTEEN_ROUNDS(is_last)                                                                                                                      \
    do {                                                                                                                                             \
        TWO_ROUNDS(0, is_last);                                                                                                                      \
        TWO_ROUNDS(1, is_last);                                                                                                                      \
        TWO_ROUNDS(2, is_last);                                                                                                                      \
        TWO_ROUNDS(3, is_last);                                                                                                                      \
        TWO_ROUNDS(4, is_last);                                                                                                                      \
        TWO_ROUNDS(5, is_last);                                                                                                                      \
        TWO_ROUNDS(6, is_last);                                                                                                                      \
        TWO_ROUNDS(7, is_last);                                                                                                                      \
    } while (0)

SHA512_TARGET static void compress(uint64_t state[8], const uint8_t *blocks, size_t count)
{
    TF_ALIGNED(16) uint64_t k_plus_w[16];
    uint64_t s[8];
    __m128i w[8];
    for (; count > 0; count--, blocks += 128) {
        memcpy(s, state, sizeof s);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            w[i] = load_words(blocks + 16 * i);
            store_k_plus_w(k_plus_w + 2 * i, w[i], tf_sha512_k + 2 * i);
        }
        uint64_t b_xor_c = s[1] ^ s[2];
        for (const uint64_t *k = tf_sha512_k + 16; k < tf_sha512_k + 80; k += 16)
            SIXTEEN_ROUNDS(0);
        {
            const uint64_t *k = tf_sha512_k;
            (void)k;
            SIXTEEN_ROUNDS(1);
        }
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
    tf_wipe(k_plus_w, sizeof k_plus_w);
    tf_wipe(s, sizeof s);
    tf_wipe(w, sizeof w);
}
