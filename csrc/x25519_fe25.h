/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic modulo p = 2^255 - 19 for x25519.c in ten limbs of 26 and 25 bits by turns, with 32 x 32 -> 64 bit products: 32-bit machines and
 * compilers without __int128; x25519_fe51.h is its twin. Radix 2^25.5 after Bernstein, "Curve25519: new Diffie-Hellman speed records", 4.
 *
 * A value is sum of v[i] * 2^ceil(25.5 i). Its limbs are "tight": below 2^26 (i even) or 2^25 + 2^12 (i odd), as multiplication leaves them, or
 * "loose": below 1.51 * 2^27 (even) or 1.51 * 2^26 (odd), as one addition or subtraction of tight values leaves them. Multiplication takes loose
 * values, addition and subtraction take tight ones. */
#ifndef TF_X25519_FE25_H
#define TF_X25519_FE25_H

#include "internal.h"

typedef struct {
    uint32_t v[10];
} fe;

/* Bits of limb i. */
TF_INLINE int fe_bits(int i)
{
    return 26 - (i & 1);
}

/* A number of four words, the lowest first, its top bit ignored. Tight. */
static void fe_from_words(fe *r, const uint64_t w[4])
{
    int bit = 0; /* 0, 26, 51, 77, 102, 128, 153, 179, 204, 230: those that cross into the next word have bit % 64 > 0 */
    for (int i = 0; i < 10; i++) {
        uint64_t x = w[bit / 64] >> bit % 64;
        if (bit % 64 + fe_bits(i) > 64)
            x |= w[bit / 64 + 1] << (64 - bit % 64);
        r->v[i] = (uint32_t)x & (((uint32_t)1 << fe_bits(i)) - 1);
        bit += fe_bits(i);
    }
}

/* The one representative in 0..p-1 of a tight value. */
static void fe_store(uint8_t out[32], const fe *a)
{
    uint32_t h[10];
    memcpy(h, a->v, sizeof h);
    /* Pass 1 leaves h[0] < 2^26 + 19 and the others within their bits. In pass 2 a carry out of h[0] leaves it below 19, and one out of h[9] adds 19:
     * all limbs are within their bits then, and h < 2^255. */
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < 10; i++) {
            uint32_t carry = h[i] >> fe_bits(i);
            h[i] &= ((uint32_t)1 << fe_bits(i)) - 1;
            h[(i + 1) % 10] += i < 9 ? carry : 19 * carry;
        }
    }
    /* q = 1 if h >= p, that is if h + 19 >= 2^255, else 0. */
    uint32_t q = (h[0] + 19) >> 26;
    for (int i = 1; i < 10; i++)
        q = (h[i] + q) >> fe_bits(i);
    /* h - q p = h + 19 q - q 2^255: the top bit falls to the mask. */
    h[0] += 19 * q;
    uint64_t bits = 0;
    int filled = 0;
    for (int i = 0; i < 10; i++) {
        if (i < 9)
            h[i + 1] += h[i] >> fe_bits(i);
        bits |= (uint64_t)(h[i] & (((uint32_t)1 << fe_bits(i)) - 1)) << filled;
        for (filled += fe_bits(i); filled >= 8; filled -= 8, bits >>= 8)
            *out++ = (uint8_t)bits;
    }
    *out = (uint8_t)bits;
    tf_wipe(h, sizeof h);
}

/* Tight + tight: limbs below 2^27 (even) and 2^26 + 2^13 (odd). */
TF_INLINE void fe_add(fe *r, const fe *a, const fe *b)
{
    for (int i = 0; i < 10; i++)
        r->v[i] = a->v[i] + b->v[i];
}

/* Tight - tight + 2p: 2p in limbs is 2^27 - 38, then 2^26 - 2 and 2^27 - 2 by turns, each above any tight limb, so none goes below zero; the limbs of
 * the result are below 1.5 * 2^27 (even) and 1.5 * 2^26 + 2^12 < 1.51 * 2^26 (odd). */
TF_INLINE void fe_sub(fe *r, const fe *a, const fe *b)
{
    r->v[0] = a->v[0] + 0x7ffffda - b->v[0];
    for (int i = 1; i < 10; i++)
        r->v[i] = a->v[i] + ((uint32_t)2 << fe_bits(i)) - 2 - b->v[i];
}

/* Column sums to tight limbs, for columns below 2^63 and t[9] < 2^58. Each carry is below 2^38. The last one is c < 2^33; 19 c < 2^38, and
 * r0 = 2^26 + 19 c carries less than 2^12 into r1. */
TF_INLINE void fe_carry(fe *r, uint64_t t[10])
{
    for (int i = 0; i < 9; i++) {
        t[i + 1] += t[i] >> fe_bits(i);
        r->v[i] = (uint32_t)t[i] & (((uint32_t)1 << fe_bits(i)) - 1);
    }
    r->v[9] = (uint32_t)t[9] & 0x1ffffff;
    uint64_t r0 = r->v[0] + 19 * (t[9] >> 25);
    r->v[0] = (uint32_t)r0 & 0x3ffffff;
    r->v[1] += (uint32_t)(r0 >> 26);
}

/* Loose * loose, tight result. Limb i times limb j goes to column i + j, doubled when both are odd (ceil(25.5 i) + ceil(25.5 j) is then one more than
 * ceil(25.5 (i + j))), and 19 times to i + j - 10 when i + j > 9, for 2^255 = 19 modulo p. The doubled factor is below 1.51 * 2^27 < 2^32. The
 * largest column is the first: one even product and 19 times four even and five doubled odd ones, below (1.51^2 * 2^54) * (1 + 19 * (4 + 5/2)) <
 * 2^62.2; the last has ten mixed products and none times 19: below 10 * 1.51^2 * 2^53 < 2^57.6. */
TF_INLINE void fe_mul(fe *r, const fe *a, const fe *b)
{
    uint64_t t[19] = {0};
    for (int i = 0; i < 10; i++)
        for (int j = 0; j < 10; j++)
            t[i + j] += (uint64_t)(a->v[i] << (i & j & 1)) * b->v[j];
    for (int i = 0; i < 9; i++)
        t[i] += 19 * t[i + 10];
    fe_carry(r, t);
}

TF_INLINE void fe_sq(fe *r, const fe *a)
{
    fe_mul(r, a, a);
}

/* r = a + 121665 b for tight a and loose b, tight result. A column is below 2^26 + 1.51 * 2^27 * 2^17 < 2^45. */
TF_INLINE void fe_add_121665(fe *r, const fe *a, const fe *b)
{
    uint64_t t[10];
    for (int i = 0; i < 10; i++)
        t[i] = a->v[i] + (uint64_t)b->v[i] * 121665;
    fe_carry(r, t);
}

/* Exchange a and b if mask is all ones; leave them if it is 0. */
TF_INLINE void fe_swap(fe *a, fe *b, uint64_t mask)
{
    uint32_t mask32 = (uint32_t)tf_barrier(mask);
    for (int i = 0; i < 10; i++) {
        uint32_t x = (a->v[i] ^ b->v[i]) & mask32;
        a->v[i] ^= x;
        b->v[i] ^= x;
    }
}

#endif
