/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 of long texts on LANES blocks side by side, around the arithmetic of the file that includes this one. That file has defined LANES, LIMBS,
 * LANES_PAY (the text from which on they are faster than scalar arithmetic), KERNEL (its target), the types `lanes` (LANES words of 64 bits),
 * `numbers` (one number in each lane, in LIMBS limbs) and `products` (sums of products of such, not carried), and what is declared first here.
 *
 * acc keeps a sum in each lane; it stands for the sum of the lanes times r^LANES, ..., r^1. So LANES blocks more are acc r^LANES + blocks, and twice
 * as many are acc r^(2 LANES) + blocks r^LANES + blocks, with one carry. */
#ifndef TF_POLY1305_LANES_H
#define TF_POLY1305_LANES_H

#include "chacha20_poly1305.h"

enum { POWERS = 2 * LANES };

/* limb[i][n]: of r^(2 LANES - n), so that LANES which follow each other are falling powers; zeros behind r^1. */
typedef struct {
    uint64_t limb[LIMBS][POWERS + LANES];
} falling_powers;

KERNEL static lanes load_lanes(const uint64_t *p);
KERNEL static void store_lanes(uint64_t *p, lanes x);
KERNEL static lanes spread(uint64_t x);
KERNEL static lanes in_first_lane(uint64_t x);
KERNEL static lanes add(lanes a, lanes b);
/* The limbs of top 2^128 + high 2^64 + low. */
static void split_number(uint64_t limbs[LIMBS], uint64_t low, uint64_t high, uint64_t top);
/* LANES blocks, each with its 2^128. */
KERNEL static numbers load_blocks(const uint8_t *text);
/* len < 16 LANES bytes, filled up to whole blocks, and behind them the block of two lengths, so n <= LANES blocks; zero in the other lanes. If n is
 * 0, LANES blocks without the lengths. */
KERNEL static numbers load_last(const uint8_t *text, size_t len, size_t n, uint64_t aad_len, uint64_t text_len);
KERNEL static products start_products(numbers addend);
/* r to multiply by, and its multiples for what comes round past 2^130. */
KERNEL static factors factors_of(numbers r);
KERNEL static void add_product(products *p, numbers a, const factors *r);
KERNEL static numbers reduce(products p);
/* p->h = the sum of the lanes, h[2] <= 4. */
KERNEL static void fold(poly1305 *p, numbers n);
KERNEL static void clear_vectors(void);

/* ---- Powers of r: scalar, in limbs of 44, 44 and 42 bits. 2^132 = 20 modulo p ---- */

static const uint64_t M44 = 0xFFFFFFFFFFFu, M42 = 0x3FFFFFFFFFFu;

typedef struct {
    uint64_t limb[3];
} number44;

/* d0, d1, d2 < 2^100: then the carry out of d2 is below 2^58 + 1, and with five times that limb 0 carries less than 2^17 into limb 1. So limb 0 <
 * 2^44, limb 1 < 2^44 + 2^17, limb 2 < 2^42. */
TF_INLINE number44 carry44(tf_uint128 d0, tf_uint128 d1, tf_uint128 d2)
{
    d1 += (uint64_t)(d0 >> 44);
    d2 += (uint64_t)(d1 >> 44);
    uint64_t n0 = ((uint64_t)d0 & M44) + 5 * (uint64_t)(d2 >> 42);
    number44 n = {{n0 & M44, ((uint64_t)d1 & M44) + (n0 >> 44), (uint64_t)d2 & M42}};
    return n;
}

/* Limbs below 2^45, so 20 b < 2^50: every sum is below 3 * 2^95. */
TF_INLINE number44 multiply44(number44 a, number44 b)
{
    const uint64_t a0 = a.limb[0], a1 = a.limb[1], a2 = a.limb[2], b0 = b.limb[0], b1 = b.limb[1], b2 = b.limb[2], s1 = 20 * b1, s2 = 20 * b2;
    return carry44((tf_uint128)a0 * b0 + (tf_uint128)a1 * s2 + (tf_uint128)a2 * s1, (tf_uint128)a0 * b1 + (tf_uint128)a1 * b0 + (tf_uint128)a2 * s2,
                   (tf_uint128)a0 * b2 + (tf_uint128)a1 * b1 + (tf_uint128)a2 * b0);
}

/* As words: h[2] <= 4, for limbs below 2^44, 2^44 + 2^32 and 2^42. */
TF_INLINE void words_of44(uint64_t h[POLY_LIMBS], number44 n)
{
    tf_uint128 sum = n.limb[0] + ((tf_uint128)n.limb[1] << 44);
    h[0] = (uint64_t)sum;
    sum = (sum >> 64) + ((tf_uint128)n.limb[2] << 24);
    h[1] = (uint64_t)sum;
    h[2] = (uint64_t)(sum >> 64);
}

/* r^n in all lanes, n <= 2 LANES. */
KERNEL TF_INLINE numbers same_power(const falling_powers *t, int n)
{
    numbers r;
    UNROLL for (int i = 0; i < LIMBS; i++) r.limb[i] = spread(t->limb[i][POWERS - n]);
    return r;
}

/* r^n, r^(n-1), ... in the lanes, zero for r^0 and below. */
KERNEL TF_INLINE numbers powers_from(const falling_powers *t, size_t n)
{
    numbers r;
    UNROLL for (int i = 0; i < LIMBS; i++) r.limb[i] = load_lanes(&t->limb[i][POWERS - n]);
    return r;
}

KERNEL TF_INLINE products no_products(void)
{
    numbers zero;
    UNROLL for (int i = 0; i < LIMBS; i++) zero.limb[i] = spread(0);
    return start_products(zero);
}

KERNEL TF_INLINE void make_powers(falling_powers *t, const uint64_t r[2])
{
    number44 power[LANES + 1];
    uint64_t limbs[LIMBS], h[POLY_LIMBS];
    power[1] = (number44){{r[0] & M44, (r[0] >> 44 | r[1] << 20) & M44, r[1] >> 24}};
    UNROLL for (int n = 2; n <= LANES; n++) power[n] = multiply44(power[n / 2], power[n - n / 2]);
    UNROLL for (int n = 1; n <= LANES; n++)
    {
        words_of44(h, power[n]);
        split_number(limbs, h[0], h[1], h[2]);
        UNROLL for (int i = 0; i < LIMBS; i++) t->limb[i][POWERS - n] = limbs[i];
    }
    UNROLL for (int i = 0; i < LIMBS; i++) store_lanes(&t->limb[i][POWERS], spread(0));
    products d = no_products();
    factors top = factors_of(same_power(t, LANES));
    add_product(&d, powers_from(t, LANES), &top);
    numbers high = reduce(d);
    UNROLL for (int i = 0; i < LIMBS; i++) store_lanes(t->limb[i], high.limb[i]);
}

/* Adds the text, filled up to whole blocks, and the block of the lengths to p->h; len >= 16 LANES. */
KERNEL TF_NOINLINE static void poly_add_text(poly1305 *p, const uint8_t *text, size_t len, uint64_t aad_len)
{
    enum { BYTES = 16 * LANES };
    falling_powers t;
    uint64_t before[LIMBS];
    const uint64_t text_len = len;
    make_powers(&t, p->r);
    factors r_twice = factors_of(same_power(&t, 2 * LANES)), r_once = factors_of(same_power(&t, LANES));
    IN_MEMORY(r_twice);
    IN_MEMORY(r_once);
    split_number(before, p->h[0], p->h[1], p->h[2]);
    numbers acc = load_blocks(text);
    UNROLL for (int i = 0; i < LIMBS; i++) acc.limb[i] = add(acc.limb[i], in_first_lane(before[i])); /* what was before goes with the first block */
    len -= BYTES;
    text += BYTES;
    for (; len >= 2 * BYTES; len -= 2 * BYTES, text += 2 * BYTES) {
        products d = start_products(load_blocks(text + BYTES));
        add_product(&d, load_blocks(text), &r_once);
        add_product(&d, acc, &r_twice);
        acc = reduce(d);
    }
    while (len > BYTES - 16) { /* LANES blocks, the last perhaps not whole */
        products d = start_products(len >= BYTES ? load_blocks(text) : load_last(text, len, 0, 0, 0));
        add_product(&d, acc, &r_once);
        acc = reduce(d);
        size_t done = len < BYTES ? len : BYTES;
        text += done;
        len -= done;
    }
    /* n blocks are left, of text and of the lengths; with them behind it acc wants the powers from r^(LANES + n) on. */
    size_t n = (len + 15) / 16 + 1;
    products d = no_products();
    r_once = factors_of(powers_from(&t, n));
    r_twice = factors_of(powers_from(&t, LANES + n));
    add_product(&d, load_last(text, len, n, aad_len, text_len), &r_once);
    add_product(&d, acc, &r_twice);
    fold(p, reduce(d));
    clear_vectors();
}

/* As clear_frame. */
TF_NOINLINE static void clear_poly_frame(void)
{
    uint8_t frame[POLY_FRAME];
    tf_wipe(frame, sizeof frame);
}

static void compute_tag(uint8_t tag[TF_TAG], const uint8_t poly_key[32], const uint8_t *aad, size_t aad_len, const uint8_t *text, size_t len)
{
    if (len < LANES_PAY) {
        compute_short_tag(tag, poly_key, aad, aad_len, text, len);
        return;
    }
    poly1305 p;
    poly_start(&p, poly_key);
    poly_add(&p, aad, aad_len);
    poly_add_text(&p, text, len, aad_len);
    clear_poly_frame();
    poly_tag(&p, tag);
}

#endif
