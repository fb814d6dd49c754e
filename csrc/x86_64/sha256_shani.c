/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256's compression function by the SHA extensions, beneath hash.c: SHA256RNDS2 does two rounds, SHA256MSG1 and SHA256MSG2 the message schedule.
 * FIPS 180-4, 6.2.2; Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2. */
#include "../internal.h"

#if defined(TF_X86_64)
#include <immintrin.h>

#define SHANI TF_TARGET("sha,ssse3,sse4.1")

/* Four rounds. SHA256RNDS2 holds the eight variables as {A,B,E,F} and {C,D,G,H}, high word first; of two rounds, the new CDGH is the old ABEF. */
TF_INLINE SHANI void four_rounds(__m128i *abef, __m128i *cdgh, __m128i w, const uint32_t *k)
{
    __m128i k_plus_w = _mm_add_epi32(w, _mm_loadu_si128((const __m128i *)(const void *)k));
    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, k_plus_w);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(k_plus_w, 0x0e));
}

/* W(t)..W(t+3) from the sixteen words before them, four in each vector, the oldest in w0. */
TF_INLINE SHANI __m128i schedule(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
    __m128i t_minus_7 = _mm_alignr_epi8(w3, w2, 4);
    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), t_minus_7), w3);
}

TF_INLINE SHANI __m128i load_words(const uint8_t *p)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), big_endian);
}

/* {D,C,B,A} and {H,G,F,E} in memory order to ABEF and CDGH. */
TF_INLINE SHANI void load_state(__m128i *abef, __m128i *cdgh, const uint32_t state[8])
{
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1b);
    *abef = _mm_alignr_epi8(cdab, efgh, 8);
    *cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

TF_INLINE SHANI void store_state(uint32_t state[8], __m128i abef, __m128i cdgh)
{
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

SHANI static void compress(uint32_t state[8], const uint8_t *blocks, size_t count)
{
    __m128i abef, cdgh;
    load_state(&abef, &cdgh, state);
    for (; count > 0; count--, blocks += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w0 = load_words(blocks), w1 = load_words(blocks + 16), w2 = load_words(blocks + 32), w3 = load_words(blocks + 48);
        const uint32_t *k = tf_sha256_k;
        four_rounds(&abef, &cdgh, w0, k);
        four_rounds(&abef, &cdgh, w1, k + 4);
        four_rounds(&abef, &cdgh, w2, k + 8);
        four_rounds(&abef, &cdgh, w3, k + 12);
        for (int t = 16; t < 64; t += 16) {
            w0 = schedule(w0, w1, w2, w3);
            four_rounds(&abef, &cdgh, w0, k + t);
            w1 = schedule(w1, w2, w3, w0);
            four_rounds(&abef, &cdgh, w1, k + t + 4);
            w2 = schedule(w2, w3, w0, w1);
            four_rounds(&abef, &cdgh, w2, k + t + 8);
            w3 = schedule(w3, w0, w1, w2);
            four_rounds(&abef, &cdgh, w3, k + t + 12);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    store_state(state, abef, cdgh);
}

/* SHA256RNDS2 starts every other cycle but takes four, and each waits for the one before: a second stream fits between. */
SHANI static void compress_two(uint32_t a[8], const uint8_t *block_a, uint32_t b[8], const uint8_t *block_b)
{
    __m128i a_abef, a_cdgh, b_abef, b_cdgh;
    load_state(&a_abef, &a_cdgh, a);
    load_state(&b_abef, &b_cdgh, b);
    const __m128i a_abef_before = a_abef, a_cdgh_before = a_cdgh, b_abef_before = b_abef, b_cdgh_before = b_cdgh;
    __m128i v[4], w[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        v[i] = load_words(block_a + 16 * i);
        w[i] = load_words(block_b + 16 * i);
        four_rounds(&a_abef, &a_cdgh, v[i], tf_sha256_k + 4 * i);
        four_rounds(&b_abef, &b_cdgh, w[i], tf_sha256_k + 4 * i);
    }
    for (int t = 16; t < 64; t += 16) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            v[i] = schedule(v[i], v[(i + 1) & 3], v[(i + 2) & 3], v[(i + 3) & 3]);
            w[i] = schedule(w[i], w[(i + 1) & 3], w[(i + 2) & 3], w[(i + 3) & 3]);
            four_rounds(&a_abef, &a_cdgh, v[i], tf_sha256_k + t + 4 * i);
            four_rounds(&b_abef, &b_cdgh, w[i], tf_sha256_k + t + 4 * i);
        }
    }
    store_state(a, _mm_add_epi32(a_abef, a_abef_before), _mm_add_epi32(a_cdgh, a_cdgh_before));
    store_state(b, _mm_add_epi32(b_abef, b_abef_before), _mm_add_epi32(b_cdgh, b_cdgh_before));
}

const tf_sha256_impl tf_sha256_shani = {"sha256_shani", TF_CPU_SHANI, compress, compress_two};
#else
typedef int tf_sha256_shani_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
