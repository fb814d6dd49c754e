/* SPDX-License-Identifier: Apache-2.0 */
/* What the AES-GCM implementations for x86-64 share: blocks in xmm registers, AES key expansion, counter blocks, and the hash key as GHASH wants it.
 *
 * GHASH after S. Gueron, M. Kounavis, "Intel Carry-Less Multiplication Instruction and its Usage for Computing the GCM Mode" (2010): a block with its
 * bytes reversed is a 128-bit number with the coefficient of x^i at bit 127 - i. The product of two such numbers stands one bit too low for the same
 * reading over 256 bits, so the powers of H are kept multiplied by x^-1, which is that one bit up. */
#ifndef TF_AES_GCM_X86_H
#define TF_AES_GCM_X86_H

#include "../internal.h"

#include <immintrin.h>

/* Every implementation's own target has these, so that what follows can be inlined into it. */
#define AESNI TF_TARGET("aes,pclmul,ssse3,sse4.1")
#if defined(__GNUC__) || defined(__clang__)
#define UNROLL _Pragma("GCC unroll 16")
/* Memory is read again after this: else the round keys are kept over a loop, which has no registers for them, on the stack. */
#define RELOAD __asm__ __volatile__("" : : : "memory")
#else
#define UNROLL
#define RELOAD ((void)0)
#endif

enum { MAX_ROUNDS = 14 };

/* ---- Blocks ---- */

AESNI TF_INLINE __m128i load(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

AESNI TF_INLINE void store(void *p, __m128i x)
{
    _mm_storeu_si128((__m128i *)p, x);
}

AESNI TF_INLINE __m128i reverse_bytes(__m128i x)
{
    return _mm_shuffle_epi8(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

AESNI TF_INLINE __m128i from_halves(uint64_t low, uint64_t high)
{
    return _mm_set_epi64x((long long)high, (long long)low);
}

/* n < 16 bytes and, if it is not negative, the trailer; zeros behind. Through integer registers: a byte-wise copy would be read back before it has
 * left the store buffer, and wait. */
AESNI TF_INLINE __m128i load_partial(const uint8_t *p, size_t n, int trailer)
{
    uint64_t low = 0, high = 0, extra = trailer >= 0 ? (uint64_t)trailer << 8 * (n % 8) : 0;
    if (n >= 8) {
        low = tf_load64le(p);
        if (n > 8)
            high = tf_load64le(p + n - 8) >> 8 * (16 - n);
        return from_halves(low, high | extra);
    }
    if (n >= 4)
        low = tf_load32le(p) | (uint64_t)tf_load32le(p + n - 4) << 8 * (n - 4);
    else if (n > 0)
        low = p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
    return from_halves(low | extra, 0);
}

/* The last block of additional data, 0 < n <= 16 bytes; TLS 1.3's header is the case to be quick in. */
AESNI TF_INLINE __m128i load_aad(const uint8_t *p, size_t n)
{
    if (n == 5)
        return from_halves(tf_load32le(p) | (uint64_t)p[4] << 32, 0);
    return n == 16 ? load(p) : load_partial(p, n, -1);
}

/* ---- AES ---- */

AESNI TF_INLINE __m128i next_round_key(__m128i before, __m128i substituted)
{
    before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
    before = _mm_xor_si128(before, _mm_slli_si128(before, 8));
    return _mm_xor_si128(before, substituted);
}

/* FIPS 197, 5.2; answers the number of rounds. SubWord is AESENCLAST of four equal columns, which ShiftRows does not change; it also adds the round
 * constant. */
AESNI TF_INLINE int expand_key(__m128i round_keys[MAX_ROUNDS + 1], const uint8_t *bytes, size_t len)
{
    const __m128i rotated_last = _mm_set1_epi32(0x0C0F0E0D); /* byte indices 13, 14, 15, 12: RotWord of the last word, four times */
    size_t nk = len / 16;                                    /* round keys in a key: 1 or 2 */
    int rcon = 1, rounds = len == 16 ? 10 : MAX_ROUNDS;
    for (size_t i = 0; i < nk; i++)
        round_keys[i] = load(bytes + 16 * i);
    for (size_t i = nk; i <= (size_t)rounds; i++) {
        __m128i last = round_keys[i - 1], substituted;
        if (i % nk == 0) {
            substituted = _mm_aesenclast_si128(_mm_shuffle_epi8(last, rotated_last), _mm_set1_epi32(rcon));
            rcon = rcon << 1 ^ (rcon >> 7) * 0x11B;
        } else {
            substituted = _mm_aesenclast_si128(_mm_shuffle_epi32(last, 0xFF), _mm_setzero_si128());
        }
        round_keys[i] = next_round_key(round_keys[i - nk], substituted);
    }
    return rounds;
}

/* A counter block with its last word, the counter, in the processor's byte order. The nonce is read as protection.c wrote it: 4 and 8 bytes. */
AESNI TF_INLINE __m128i first_counter(const uint8_t *nonce, uint32_t counter)
{
    uint64_t last = tf_load64le(nonce + 4);
    return from_halves(tf_load32le(nonce) | last << 32, last >> 32 | (uint64_t)counter << 32);
}

/* ---- GHASH ---- */

/* H x^-1: the hash key, one bit up; x^0 falls out at the top and comes back as x^-1 = x^127 + x^6 + x + 1. */
AESNI TF_INLINE __m128i hash_key(const __m128i *round_keys, int rounds)
{
    __m128i h = round_keys[0];
    for (int i = 1; i < rounds; i++)
        h = _mm_aesenc_si128(h, round_keys[i]);
    h = reverse_bytes(_mm_aesenclast_si128(h, round_keys[rounds]));
    __m128i fallen = _mm_shuffle_epi32(_mm_srai_epi32(h, 31), 0xFF);
    h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(_mm_srli_epi64(h, 63), 8));
    return _mm_xor_si128(h, _mm_and_si128(fallen, from_halves(1, 0xC200000000000000u)));
}

#endif
