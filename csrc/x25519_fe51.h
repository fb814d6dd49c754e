/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic modulo p = 2^255 - 19 for x25519.c in five limbs of 51 bits, for compilers with unsigned __int128; x25519_fe25.h is its twin without.
 * Radix 2^51 after Bernstein, Duif, Lange, Schwabe, Yang, "High-speed high-security signatures", 3.
 *
 * A value is sum of v[i] * 2^(51 i). Its limbs are "tight": below 2^51 + 2^13 each, as multiplication leaves them, or "loose": below 2^53, as one
 * addition or subtraction of tight values leaves them. Multiplication takes loose values, addition and subtraction take tight ones. */
#ifndef TF_X25519_FE51_H
#define TF_X25519_FE51_H

#include "internal.h"

typedef struct {
    uint64_t v[5];
} fe;

static const uint64_t mask51 = ((uint64_t)1 << 51) - 1;

/* A number of four words, the lowest first, its top bit ignored. Tight. */
TF_INLINE void fe_from_words(fe *r, const uint64_t w[4])
{
    r->v[0] = w[0] & mask51;
    r->v[1] = (w[0] >> 51 | w[1] << 13) & mask51;
    r->v[2] = (w[1] >> 38 | w[2] << 26) & mask51;
    r->v[3] = (w[2] >> 25 | w[3] << 39) & mask51;
    r->v[4] = w[3] >> 12 & mask51;
}

/* The one representative in 0..p-1 of a tight value. */
static void fe_store(uint8_t out[32], const fe *a)
{
    uint64_t h[5];
    memcpy(h, a->v, sizeof h);
    /* Pass 1 leaves h[0] < 2^51 + 19 and the others below 2^51. In pass 2 a carry out of h[0] leaves it below 19, and one out of h[4] adds 19: all
     * limbs are below 2^51 then, and h < 2^255. */
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < 4; i++) {
            h[i + 1] += h[i] >> 51;
            h[i] &= mask51;
        }
        h[0] += 19 * (h[4] >> 51);
        h[4] &= mask51;
    }
    /* q = 1 if h >= p, that is if h + 19 >= 2^255, else 0. */
    uint64_t q = (h[0] + 19) >> 51;
    for (int i = 1; i < 5; i++)
        q = (h[i] + q) >> 51;
    /* h - q p = h + 19 q - q 2^255: the top bit falls to the mask. */
    h[0] += 19 * q;
    for (int i = 0; i < 4; i++) {
        h[i + 1] += h[i] >> 51;
        h[i] &= mask51;
    }
    h[4] &= mask51;
    tf_store64le(out, h[0] | h[1] << 51);
    tf_store64le(out + 8, h[1] >> 13 | h[2] << 38);
    tf_store64le(out + 16, h[2] >> 26 | h[3] << 25);
    tf_store64le(out + 24, h[3] >> 39 | h[4] << 12);
    tf_wipe(h, sizeof h);
}

/* Tight + tight: limbs below 2^52 + 2^14. */
TF_INLINE void fe_add(fe *r, const fe *a, const fe *b)
{
    for (int i = 0; i < 5; i++)
        r->v[i] = a->v[i] + b->v[i];
}

/* Tight - tight + 2p: 2p in limbs is 2^52 - 38, then 2^52 - 2 four times, each above any tight limb, so none goes below zero; the limbs of the result
 * are below 2^52 + 2^51 + 2^13 < 2^53. */
TF_INLINE void fe_sub(fe *r, const fe *a, const fe *b)
{
    r->v[0] = a->v[0] + 0xfffffffffffda - b->v[0];
    for (int i = 1; i < 5; i++)
        r->v[i] = a->v[i] + 0xffffffffffffe - b->v[i];
}

/* Column sums to tight limbs, for t0..t3 < 2^113 and t4 < 2^109. Each carry is below 2^62, fits a limb and changes no bound of the next column. The
 * last one is c < 2^58, since no term of t4 is multiplied by 19; 19 c < 2^63, and r0 = 2^51 + 19 c carries less than 2^12 into r1. */
TF_INLINE void fe_carry(fe *r, tf_uint128 t0, tf_uint128 t1, tf_uint128 t2, tf_uint128 t3, tf_uint128 t4)
{
    t1 += (uint64_t)(t0 >> 51);
    t2 += (uint64_t)(t1 >> 51);
    t3 += (uint64_t)(t2 >> 51);
    t4 += (uint64_t)(t3 >> 51);
    uint64_t r0 = ((uint64_t)t0 & mask51) + 19 * (uint64_t)(t4 >> 51);
    r->v[0] = r0 & mask51;
    r->v[1] = ((uint64_t)t1 & mask51) + (r0 >> 51);
    r->v[2] = (uint64_t)t2 & mask51;
    r->v[3] = (uint64_t)t3 & mask51;
    r->v[4] = (uint64_t)t4 & mask51;
}

/* Loose * loose, tight result. 2^255 = 19 modulo p, so limb i times limb j goes to column i + j, or 19 times to i + j - 5. 19 * 2^53 < 2^58 fits a
 * limb; t0 < 2^106 * (1 + 4 * 19) < 2^113 bounds t1..t3 too, and t4 < 5 * 2^106 < 2^109. */
TF_INLINE void fe_mul(fe *r, const fe *a, const fe *b)
{
    uint64_t a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
    uint64_t b0 = b->v[0], b1 = b->v[1], b2 = b->v[2], b3 = b->v[3], b4 = b->v[4];
    uint64_t c1 = 19 * b1, c2 = 19 * b2, c3 = 19 * b3, c4 = 19 * b4;
    tf_uint128 t0 = (tf_uint128)a0 * b0 + (tf_uint128)a1 * c4 + (tf_uint128)a2 * c3 + (tf_uint128)a3 * c2 + (tf_uint128)a4 * c1;
    tf_uint128 t1 = (tf_uint128)a0 * b1 + (tf_uint128)a1 * b0 + (tf_uint128)a2 * c4 + (tf_uint128)a3 * c3 + (tf_uint128)a4 * c2;
    tf_uint128 t2 = (tf_uint128)a0 * b2 + (tf_uint128)a1 * b1 + (tf_uint128)a2 * b0 + (tf_uint128)a3 * c4 + (tf_uint128)a4 * c3;
    tf_uint128 t3 = (tf_uint128)a0 * b3 + (tf_uint128)a1 * b2 + (tf_uint128)a2 * b1 + (tf_uint128)a3 * b0 + (tf_uint128)a4 * c4;
    tf_uint128 t4 = (tf_uint128)a0 * b4 + (tf_uint128)a1 * b3 + (tf_uint128)a2 * b2 + (tf_uint128)a3 * b1 + (tf_uint128)a4 * b0;
    fe_carry(r, t0, t1, t2, t3, t4);
}

/* Loose squared, tight result: fe_mul's columns with the equal products taken once and doubled. 38 * 2^53 < 2^59 fits a limb. */
TF_INLINE void fe_sq(fe *r, const fe *a)
{
    uint64_t a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
    uint64_t d0 = 2 * a0, d1 = 2 * a1, c3 = 19 * a3, c4 = 19 * a4;
    tf_uint128 t0 = (tf_uint128)a0 * a0 + (tf_uint128)d1 * c4 + (tf_uint128)(2 * a2) * c3;
    tf_uint128 t1 = (tf_uint128)d0 * a1 + (tf_uint128)(2 * a2) * c4 + (tf_uint128)a3 * c3;
    tf_uint128 t2 = (tf_uint128)d0 * a2 + (tf_uint128)a1 * a1 + (tf_uint128)(2 * a3) * c4;
    tf_uint128 t3 = (tf_uint128)d0 * a3 + (tf_uint128)d1 * a2 + (tf_uint128)a4 * c4;
    tf_uint128 t4 = (tf_uint128)d0 * a4 + (tf_uint128)d1 * a3 + (tf_uint128)a2 * a2;
    fe_carry(r, t0, t1, t2, t3, t4);
}

/* r = a + 121665 b for tight a and loose b, tight result. A column is below 2^52 + 2^53 * 2^17 < 2^71, its carry below 2^20. */
TF_INLINE void fe_add_121665(fe *r, const fe *a, const fe *b)
{
    fe_carry(r, a->v[0] + (tf_uint128)b->v[0] * 121665, a->v[1] + (tf_uint128)b->v[1] * 121665, a->v[2] + (tf_uint128)b->v[2] * 121665,
             a->v[3] + (tf_uint128)b->v[3] * 121665, a->v[4] + (tf_uint128)b->v[4] * 121665);
}

/* Exchange a and b if mask is all ones; leave them if it is 0. */
TF_INLINE void fe_swap(fe *a, fe *b, uint64_t mask)
{
    mask = tf_barrier(mask);
    for (int i = 0; i < 5; i++) {
        uint64_t x = (a->v[i] ^ b->v[i]) & mask;
        a->v[i] ^= x;
        b->v[i] ^= x;
    }
}

#endif
