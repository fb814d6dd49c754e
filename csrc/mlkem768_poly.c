/* SPDX-License-Identifier: Apache-2.0 */
/* ML-KEM's polynomials modulo q = 3329, portable and in constant time, beneath mlkem768.c. FIPS 203, 4.2 (encoding, compression, sampling) and 4.3.
 * Products are reduced as in Montgomery, Modular multiplication without trial division (1985), with 2^16 for its radix. Nothing is ever divided:
 * compression multiplies by 1/q, to enough bits for every coefficient (tests/test_mlkem_table.py tries them all). */
#include "internal.h"

#include "mlkem768_table.h"

enum {
    Q = TF_MLKEM_Q,
    Q_INVERSE = 62209, /* q^-1 mod 2^16 */
    N = TF_MLKEM_N,
    BACK = 1441 /* 2^32 / 128 mod q: the inverse transform divides by 128; of 2^32, product takes one half and the caller wants the other */
};

/* a 2^-16 modulo q, for |a| < 2^15 q; |result| <= |a| / 2^16 + q / 2. */
TF_INLINE int16_t reduce(int32_t a)
{
    int16_t t = (int16_t)((uint32_t)a * Q_INVERSE);
    return (int16_t)((a - (int32_t)t * Q) >> 16);
}

TF_INLINE int16_t product(int16_t a, int16_t b)
{
    return reduce((int32_t)a * b);
}

/* Any a to |result| <= q / 2 + 1: a less q round(a / q), 20159 = round(2^26 / q). */
TF_INLINE int16_t centre(int16_t a)
{
    int32_t t = ((int32_t)a * 20159 + (1 << 25)) >> 26;
    return (int16_t)(a - t * Q);
}

/* |a| <= q to 0..q-1. */
TF_INLINE uint32_t canonical(int16_t a)
{
    int32_t x = centre(a);
    x += Q & (int32_t)tf_barrier((uint64_t)(int64_t)(x >> 31));
    return (uint32_t)x;
}

/* Algorithm 9. Each layer adds at most 2497 = 2^15 max |zeta| / 2^16 + q / 2 to a coefficient: after seven, below q + 7 * 2497 < 2^15. */
static void transform(tf_mlkem_poly *p)
{
    size_t k = 1;
    for (size_t length = 128; length >= 2; length /= 2)
        for (size_t start = 0; start < N; start += 2 * length, k++)
            for (size_t j = start; j < start + length; j++) {
                int16_t t = product(zetas[k], p->c[j + length]);
                p->c[j + length] = (int16_t)(p->c[j] - t);
                p->c[j] = (int16_t)(p->c[j] + t);
            }
    for (size_t j = 0; j < N; j++)
        p->c[j] = centre(p->c[j]);
}

/* Algorithm 10. */
static void transform_back(tf_mlkem_poly *p)
{
    size_t k = 127;
    for (size_t length = 2; length <= 128; length *= 2)
        for (size_t start = 0; start < N; start += 2 * length, k--)
            for (size_t j = start; j < start + length; j++) {
                int16_t t = p->c[j];
                p->c[j] = centre((int16_t)(t + p->c[j + length]));
                p->c[j + length] = product(zetas[k], (int16_t)(p->c[j + length] - t));
            }
    for (size_t j = 0; j < N; j++)
        p->c[j] = product(p->c[j], BACK);
}

static void order(tf_mlkem_poly *p)
{
    (void)p; /* the standard's */
}

/* Algorithms 11 and 12. With |a|, |b| <= q every sum stays below 4 q^2 < 2^15 q. */
static void multiply(tf_mlkem_poly *r, const tf_mlkem_poly *a, size_t step, const tf_mlkem_poly *b)
{
    for (size_t i = 0; i < N; i += 2) {
        int32_t even = 0, odd = 0, top = 0;
        for (size_t k = 0; k < TF_MLKEM_K; k++) {
            const int16_t *x = a[k * step].c + i, *y = b[k].c + i;
            even += (int32_t)x[0] * y[0];
            top += (int32_t)x[1] * y[1];
            odd += (int32_t)x[0] * y[1] + (int32_t)x[1] * y[0];
        }
        int16_t gamma = zetas[64 + i / 4];
        gamma = (int16_t)(i % 4 == 0 ? gamma : -gamma);
        r->c[i] = reduce(even + (int32_t)reduce(top) * gamma);
        r->c[i + 1] = reduce(odd);
    }
}

static void add(tf_mlkem_poly *r, const tf_mlkem_poly *a, int factor)
{
    for (size_t i = 0; i < N; i++)
        r->c[i] = centre((int16_t)((factor != 0 ? product(r->c[i], (int16_t)factor) : r->c[i]) + a->c[i]));
}

/* Algorithm 7's loop. */
static size_t uniform(tf_mlkem_poly *p, size_t have, const uint8_t *in, size_t len)
{
    for (const uint8_t *end = in + len; in < end && have < N; in += 3) {
        int d1 = in[0] | (in[1] & 0x0f) << 8;
        int d2 = in[1] >> 4 | in[2] << 4;
        if (d1 < Q)
            p->c[have++] = (int16_t)d1;
        if (d2 < Q && have < N)
            p->c[have++] = (int16_t)d2;
    }
    return have;
}

/* Algorithm 8: of each four bits, the first two less the last two, added without carries between them. */
static void noise(tf_mlkem_poly *p, const uint8_t in[128])
{
    for (size_t i = 0; i < N; i += 8) {
        uint32_t bits = tf_load32le(in + i / 2);
        uint32_t pairs = (bits & 0x55555555) + (bits >> 1 & 0x55555555);
        for (unsigned j = 0; j < 8; j++)
            p->c[i + j] = (int16_t)((int32_t)(pairs >> 4 * j & 3) - (int32_t)(pairs >> (4 * j + 2) & 3));
    }
}

/* Compress_d: round(2^d x / q) mod 2^d. 322542 = 2^30 / q rounded up. */
TF_INLINE uint32_t compress(int16_t a, unsigned d)
{
    return (canonical(a) * 322542 + ((uint32_t)1 << (29 - d)) - 128) >> (30 - d) & (((uint32_t)1 << d) - 1);
}

/* Decompress_d: round(q y / 2^d). */
TF_INLINE int16_t decompress(uint32_t y, unsigned d)
{
    return (int16_t)((y * Q + ((uint32_t)1 << (d - 1))) >> d);
}

static void encode12(uint8_t out[384], const tf_mlkem_poly *p)
{
    for (size_t i = 0; i < N; i += 2, out += 3) {
        uint32_t pair = canonical(p->c[i]) | canonical(p->c[i + 1]) << 12;
        out[0] = (uint8_t)pair;
        out[1] = (uint8_t)(pair >> 8);
        out[2] = (uint8_t)(pair >> 16);
    }
}

static int decode12(tf_mlkem_poly *p, const uint8_t in[384])
{
    int32_t within = -1; /* stays negative while every coefficient is below q */
    for (size_t i = 0; i < N; i += 2, in += 3) {
        int32_t d1 = in[0] | (in[1] & 0x0f) << 8;
        int32_t d2 = in[1] >> 4 | in[2] << 4;
        within &= (d1 - Q) & (d2 - Q);
        p->c[i] = (int16_t)d1;
        p->c[i + 1] = (int16_t)d2;
    }
    return within >= 0;
}

static void encode10(uint8_t out[320], const tf_mlkem_poly *p)
{
    for (size_t i = 0; i < N; i += 4, out += 5) {
        uint32_t a = compress(p->c[i], 10), b = compress(p->c[i + 1], 10), c = compress(p->c[i + 2], 10), d = compress(p->c[i + 3], 10);
        tf_store32le(out, a | b << 10 | c << 20 | d << 30);
        out[4] = (uint8_t)(d >> 2);
    }
}

static void decode10(tf_mlkem_poly *p, const uint8_t in[320])
{
    for (size_t i = 0; i < N; i += 4, in += 5) {
        uint32_t word = tf_load32le(in);
        p->c[i] = decompress(word & 0x3ff, 10);
        p->c[i + 1] = decompress(word >> 10 & 0x3ff, 10);
        p->c[i + 2] = decompress(word >> 20 & 0x3ff, 10);
        p->c[i + 3] = decompress(word >> 30 | (uint32_t)in[4] << 2, 10);
    }
}

static void encode4(uint8_t out[128], const tf_mlkem_poly *p)
{
    for (size_t i = 0; i < N; i += 2)
        out[i / 2] = (uint8_t)(compress(p->c[i], 4) | compress(p->c[i + 1], 4) << 4);
}

static void decode4(tf_mlkem_poly *p, const uint8_t in[128])
{
    for (size_t i = 0; i < N; i += 2) {
        p->c[i] = decompress(in[i / 2] & 0x0f, 4);
        p->c[i + 1] = decompress(in[i / 2] >> 4, 4);
    }
}

static void encode1(uint8_t out[32], const tf_mlkem_poly *p)
{
    for (size_t i = 0; i < N; i += 8) {
        uint32_t byte = 0;
        for (unsigned j = 0; j < 8; j++)
            byte |= compress(p->c[i + j], 1) << j;
        out[i / 8] = (uint8_t)byte;
    }
}

/* The barrier keeps compilers from turning a secret bit into a branch. */
static void decode1(tf_mlkem_poly *p, const uint8_t in[32])
{
    for (size_t i = 0; i < N; i++)
        p->c[i] = (int16_t)(tf_barrier(0 - (uint64_t)(in[i / 8] >> i % 8 & 1)) & ((Q + 1) / 2));
}

const tf_mlkem768_impl tf_mlkem768_portable = {
    "mlkem768_portable",
    0,
    transform,
    transform_back,
    order,
    multiply,
    add,
    uniform,
    noise,
    encode12,
    encode10,
    encode4,
    encode1,
    decode12,
    decode10,
    decode4,
    decode1,
};
