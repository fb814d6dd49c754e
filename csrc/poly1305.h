/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 (RFC 8439, 2.5) in scalar arithmetic, for every implementation of ChaCha20-Poly1305: words of 64 bits where the compiler has a
 * 128-bit product, else limbs of 26 bits. */
#ifndef TF_POLY1305_H
#define TF_POLY1305_H

#include "internal.h"

/* h = (h + block + 2^128) r modulo p = 2^130 - 5. The AEAD fills everything up to whole blocks, so every block has its 2^128. */

/* r with the bits cleared that RFC 8439, 2.5 names: r < 2^124, and each product below has room for its carries. */
static const uint64_t R_LOW = 0x0FFFFFFC0FFFFFFFu, R_HIGH = 0x0FFFFFFC0FFFFFFCu;

#if defined(TF_INT128)

/* Words of 64 bits. r1 is a multiple of 4, so 2^128 r1 = 2^130 (r1 / 4) = 5 r1 / 4 modulo p, a whole number s1. */

enum { POLY_LIMBS = 3 };

typedef struct {
    uint64_t r[2], h[POLY_LIMBS], pad[2];
} poly1305;

static inline void poly_start(poly1305 *p, const uint8_t poly_key[32])
{
    p->r[0] = tf_load64le(poly_key) & R_LOW;
    p->r[1] = tf_load64le(poly_key + 8) & R_HIGH;
    memset(p->h, 0, sizeof p->h);
    p->pad[0] = tf_load64le(poly_key + 16);
    p->pad[1] = tf_load64le(poly_key + 24);
}

/* Between blocks h2 <= 4, so after the block is added h2 <= 6. r0, r1 < 2^60 and s1 < 2^60 + 2^58:
 *   d0 = h0 r0 + h1 s1 < 2^126, d1 = h0 r1 + h1 r0 + h2 s1 + d0 / 2^64 < 2^125 + 2^64, d2 = h2 r0 + d1 / 2^64 <= 2^63;
 * what stands above 2^130 in d2 comes back as (d2 / 4) 5 = (d2 / 4) + (d2 - d2 modulo 4) < 2^64, and h2 = d2 modulo 4 takes a carry of one at
 * most. */
static inline void poly_blocks(poly1305 *p, const uint8_t *in, size_t blocks)
{
    const uint64_t r0 = p->r[0], r1 = p->r[1], s1 = r1 + (r1 >> 2);
    uint64_t h0 = p->h[0], h1 = p->h[1], h2 = p->h[2];
    for (; blocks > 0; blocks--, in += 16) {
        tf_uint128 sum = (tf_uint128)h0 + tf_load64le(in);
        h0 = (uint64_t)sum;
        sum = (sum >> 64) + h1 + tf_load64le(in + 8);
        h1 = (uint64_t)sum;
        h2 += (uint64_t)(sum >> 64) + 1;
        tf_uint128 d0 = (tf_uint128)h0 * r0 + (tf_uint128)h1 * s1;
        tf_uint128 d1 = (tf_uint128)h0 * r1 + (tf_uint128)h1 * r0 + h2 * s1 + (uint64_t)(d0 >> 64);
        uint64_t d2 = h2 * r0 + (uint64_t)(d1 >> 64);
        sum = (tf_uint128)(uint64_t)d0 + ((d2 >> 2) + (d2 & ~(uint64_t)3));
        h0 = (uint64_t)sum;
        sum = (sum >> 64) + (uint64_t)d1;
        h1 = (uint64_t)sum;
        h2 = (d2 & 3) + (uint64_t)(sum >> 64);
    }
    p->h[0] = h0;
    p->h[1] = h1;
    p->h[2] = h2;
}

/* tag = (h modulo p) + pad modulo 2^128. h2 <= 4, so h < 2^130 + 2^128 < 2 p. */
static inline void poly_tag(poly1305 *p, uint8_t tag[16])
{
    /* g = h + 5; if that is 2^130 or more, h was p or more and g - 2^130 is the remainder, whose words above 2^128 the tag does not want. */
    tf_uint128 sum = (tf_uint128)p->h[0] + 5;
    uint64_t g0 = (uint64_t)sum;
    sum = (sum >> 64) + p->h[1];
    uint64_t g1 = (uint64_t)sum, reduced = tf_mask_nonzero((p->h[2] + (uint64_t)(sum >> 64)) >> 2);
    sum = (tf_uint128)tf_select(reduced, g0, p->h[0]) + p->pad[0];
    tf_store64le(tag, (uint64_t)sum);
    tf_store64le(tag + 8, tf_select(reduced, g1, p->h[1]) + p->pad[1] + (uint64_t)(sum >> 64));
    tf_wipe(p, sizeof *p);
}

#else

/* Limbs of 26 bits. 2^130 = 5 modulo p, so what passes the top limb comes back times 5. */

enum { POLY_LIMBS = 5 };
static const uint32_t M26 = 0x3FFFFFF;

typedef struct {
    uint32_t r[POLY_LIMBS], h[POLY_LIMBS], pad[4];
} poly1305;

/* The 128 bits high, low as limbs; the top limb has 24. */
static inline void poly_split(uint32_t limbs[POLY_LIMBS], uint64_t low, uint64_t high)
{
    limbs[0] = (uint32_t)low & M26;
    limbs[1] = (uint32_t)(low >> 26) & M26;
    limbs[2] = (uint32_t)(low >> 52 | high << 12) & M26;
    limbs[3] = (uint32_t)(high >> 14) & M26;
    limbs[4] = (uint32_t)(high >> 40);
}

static inline void poly_start(poly1305 *p, const uint8_t poly_key[32])
{
    poly_split(p->r, tf_load64le(poly_key) & R_LOW, tf_load64le(poly_key + 8) & R_HIGH);
    memset(p->h, 0, sizeof p->h);
    for (int i = 0; i < 4; i++)
        p->pad[i] = tf_load32le(poly_key + 16 + 4 * i);
}

/* Between blocks every h < 2^26, but h[1] < 2^26 + 2^10, so after the block is added h < 2^27 + 2^10. r < 2^26 and 5 r < 2^29: a sum of five products
 * is below 2^59. */
static inline void poly_blocks(poly1305 *p, const uint8_t *in, size_t blocks)
{
    const uint32_t *r = p->r;
    uint32_t *h = p->h, m[POLY_LIMBS], s[POLY_LIMBS];
    for (int i = 0; i < POLY_LIMBS; i++)
        s[i] = 5 * r[i];
    for (; blocks > 0; blocks--, in += 16) {
        uint64_t d[POLY_LIMBS], carry = 0;
        poly_split(m, tf_load64le(in), tf_load64le(in + 8));
        for (int i = 0; i < POLY_LIMBS; i++)
            h[i] += m[i];
        h[4] += (uint32_t)1 << 24;
        for (int i = 0; i < POLY_LIMBS; i++) {
            d[i] = 0;
            for (int j = 0; j < POLY_LIMBS; j++)
                d[i] += (uint64_t)h[j] * (j <= i ? r[i - j] : s[POLY_LIMBS + i - j]);
        }
        for (int i = 0; i < POLY_LIMBS; i++) {
            d[i] += carry;
            h[i] = (uint32_t)d[i] & M26;
            carry = d[i] >> 26;
        }
        carry = h[0] + 5 * carry; /* below 2^26 + 5 * 2^33 */
        h[0] = (uint32_t)carry & M26;
        h[1] += (uint32_t)(carry >> 26); /* below 2^10 */
    }
    tf_wipe(m, sizeof m);
    tf_wipe(s, sizeof s);
}

/* tag = (h modulo p) + pad modulo 2^128. */
static inline void poly_tag(poly1305 *p, uint8_t tag[16])
{
    uint32_t *h = p->h, g[POLY_LIMBS], carry;
    /* Only h[1] may be too long, by less than 2^10; if so, it is short now and takes what h[0] may carry. */
    carry = 0;
    for (int i = 1; i < POLY_LIMBS; i++) {
        h[i] += carry;
        carry = h[i] >> 26;
        h[i] &= M26;
    }
    h[0] += 5 * carry;
    h[1] += h[0] >> 26;
    h[0] &= M26;
    /* g = h + 5 - 2^130; if that is not negative, h was p or more and g is the remainder. */
    carry = 5;
    for (int i = 0; i < POLY_LIMBS; i++) {
        g[i] = h[i] + carry;
        carry = g[i] >> 26;
        g[i] &= M26;
    }
    uint64_t reduced = tf_mask_nonzero(carry);
    for (int i = 0; i < POLY_LIMBS; i++)
        h[i] = (uint32_t)tf_select(reduced, g[i], h[i]);
    const uint32_t words[4] = {h[0] | h[1] << 26, h[1] >> 6 | h[2] << 20, h[2] >> 12 | h[3] << 14, h[3] >> 18 | h[4] << 8};
    uint64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += (uint64_t)words[i] + p->pad[i];
        tf_store32le(tag + 4 * i, (uint32_t)sum);
        sum >>= 32;
    }
    tf_wipe(p, sizeof *p);
    tf_wipe(g, sizeof g);
}

#endif

/* Adds len bytes, the last block filled up with zeros. */
static inline void poly_add(poly1305 *p, const uint8_t *in, size_t len)
{
    size_t whole = len / 16, rest = len % 16;
    if (whole > 0)
        poly_blocks(p, in, whole);
    if (rest > 0) {
        uint8_t last[16] = {0};
        for (size_t i = 0; i < rest; i++)
            last[i] = in[16 * whole + i];
        poly_blocks(p, last, 1);
        tf_wipe(last, sizeof last);
    }
}

#endif
