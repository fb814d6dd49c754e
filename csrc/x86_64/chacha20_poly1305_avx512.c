/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20-Poly1305 (RFC 8439) with AVX-512: ChaCha20 of 16 blocks side by side on 512-bit registers, and Poly1305 of longer texts in 8 lanes with
 * the 52-bit products of IFMA. dispatch.c chooses it; aead.c checked the lengths. */
#include "../internal.h"

#if defined(TF_X86_64) && defined(TF_INT128)

#include "clear_x86.h"

#include <immintrin.h>

enum { VECTOR = 64, BATCH = 16 * 64 };

#include "../chacha20_poly1305.h"

#define AVX512 TF_TARGET("avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512ifma")
#define UNROLL _Pragma("GCC unroll 16")
/* Memory is read again after this: else what the rounds begin with is kept over them, on the stack. */
#define RELOAD __asm__ __volatile__("" : : : "memory")

/* ---- Vectors ---- */

AVX512 TF_INLINE __m512i load4(const void *p)
{
    return _mm512_loadu_si512(p);
}

AVX512 TF_INLINE void store4(void *p, __m512i x)
{
    _mm512_storeu_si512(p, x);
}

/* Four vectors, one block in each, of four with the same quarter of four blocks. */
AVX512 TF_INLINE void blocks_of(__m512i out[4], __m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab01 = _mm512_shuffle_i32x4(a, b, 0x44), cd01 = _mm512_shuffle_i32x4(c, d, 0x44);
    __m512i ab23 = _mm512_shuffle_i32x4(a, b, 0xEE), cd23 = _mm512_shuffle_i32x4(c, d, 0xEE);
    out[0] = _mm512_shuffle_i32x4(ab01, cd01, 0x88);
    out[1] = _mm512_shuffle_i32x4(ab01, cd01, 0xDD);
    out[2] = _mm512_shuffle_i32x4(ab23, cd23, 0x88);
    out[3] = _mm512_shuffle_i32x4(ab23, cd23, 0xDD);
}

/* ---- ChaCha20, the quarters of four blocks in a vector: the latency of one block ---- */

/* Half a quarter round: with the rotations 16, 12 and then 8, 7 a whole one. */
#define HALF_ROUND(a, b, c, d, first, second)                                                                                                        \
    do {                                                                                                                                             \
        a = _mm512_add_epi32(a, b);                                                                                                                  \
        d = _mm512_rol_epi32(_mm512_xor_si512(d, a), first);                                                                                         \
        c = _mm512_add_epi32(c, d);                                                                                                                  \
        b = _mm512_rol_epi32(_mm512_xor_si512(b, c), second);                                                                                        \
    } while (0)
#define QUARTER_ROUND(a, b, c, d)                                                                                                                    \
    do {                                                                                                                                             \
        HALF_ROUND(a, b, c, d, 16, 12);                                                                                                              \
        HALF_ROUND(a, b, c, d, 8, 7);                                                                                                                \
    } while (0)

/* The nonce is read as protection.c wrote it: 4 and 8 bytes. */
AVX512 TF_INLINE __m128i counter_and_nonce(uint32_t counter, const uint8_t *nonce)
{
    return _mm_set_epi64x((long long)tf_load64le(nonce + 4), (long long)(counter | (uint64_t)tf_load32le(nonce) << 32));
}

/* 4 groups blocks; groups is a constant wherever this is expanded. */
AVX512 TF_INLINE void few_blocks(const chacha_state *s, int groups, uint8_t *stream, const uint8_t *nonce, uint32_t counter)
{
    const __m512i a0 = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)s->words)),
                  b0 = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(s->words + 4))),
                  c0 = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(s->words + 8)));
    __m512i a[2], b[2], c[2], d[2], d0[2];
    for (int g = 0; g < groups; g++) {
        d0[g] = _mm512_add_epi32(_mm512_broadcast_i32x4(counter_and_nonce(counter + 4 * (uint32_t)g, nonce)),
                                 _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0));
        a[g] = a0, b[g] = b0, c[g] = c0, d[g] = d0[g];
    }
    for (int round = 0; round < 10; round++) {
        UNROLL for (int g = 0; g < groups; g++) QUARTER_ROUND(a[g], b[g], c[g], d[g]);
        UNROLL for (int g = 0; g < groups; g++) /* diagonals become columns */
        {
            b[g] = _mm512_shuffle_epi32(b[g], (_MM_PERM_ENUM)0x39);
            c[g] = _mm512_shuffle_epi32(c[g], (_MM_PERM_ENUM)0x4E);
            d[g] = _mm512_shuffle_epi32(d[g], (_MM_PERM_ENUM)0x93);
        }
        UNROLL for (int g = 0; g < groups; g++) QUARTER_ROUND(a[g], b[g], c[g], d[g]);
        UNROLL for (int g = 0; g < groups; g++)
        {
            b[g] = _mm512_shuffle_epi32(b[g], (_MM_PERM_ENUM)0x93);
            c[g] = _mm512_shuffle_epi32(c[g], (_MM_PERM_ENUM)0x4E);
            d[g] = _mm512_shuffle_epi32(d[g], (_MM_PERM_ENUM)0x39);
        }
    }
    UNROLL for (int g = 0; g < groups; g++)
    {
        __m512i block[4];
        blocks_of(block, _mm512_add_epi32(a[g], a0), _mm512_add_epi32(b[g], b0), _mm512_add_epi32(c[g], c0), _mm512_add_epi32(d[g], d0[g]));
        UNROLL for (int i = 0; i < 4; i++) store4(stream + 4 * VECTOR * g + VECTOR * i, block[i]);
    }
}

/* ---- ChaCha20, one word of 16 blocks in a vector: no shuffles in the rounds ---- */

/* Four quarter rounds, the diagonals turned by `turn`, step by step: they keep the processor busy only together. */
AVX512 TF_INLINE void four_quarters(__m512i x[16], int turn)
{
    UNROLL for (int half = 0; half < 2; half++)
    {
        UNROLL for (int i = 0; i < 4; i++)
        {
            __m512i *a = &x[i], *b = &x[4 + (i + turn) % 4], *d = &x[12 + (i + 3 * turn) % 4];
            *a = _mm512_add_epi32(*a, *b);
            *d = _mm512_xor_si512(*d, *a);
            *d = half == 0 ? _mm512_rol_epi32(*d, 16) : _mm512_rol_epi32(*d, 8);
        }
        UNROLL for (int i = 0; i < 4; i++)
        {
            __m512i *b = &x[4 + (i + turn) % 4], *c = &x[8 + (i + 2 * turn) % 4], *d = &x[12 + (i + 3 * turn) % 4];
            *c = _mm512_add_epi32(*c, *d);
            *b = _mm512_xor_si512(*b, *c);
            *b = half == 0 ? _mm512_rol_epi32(*b, 12) : _mm512_rol_epi32(*b, 7);
        }
    }
}

/* Word i of 16 blocks before the rounds. */
AVX512 TF_INLINE __m512i first_word(const chacha_state *s, const uint8_t *nonce, uint32_t counter, int i)
{
    if (i < 12)
        return _mm512_set1_epi32((int)s->words[i]);
    if (i > 12)
        return _mm512_set1_epi32((int)tf_load32le(nonce + 4 * (i - 13)));
    return _mm512_add_epi32(_mm512_set1_epi32((int)counter), _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}

AVX512 TF_INLINE void sixteen_blocks(const chacha_state *s, uint8_t *out, const uint8_t *in, const uint8_t *nonce, uint32_t counter)
{
    __m512i x[16];
    UNROLL for (int i = 0; i < 16; i++) x[i] = first_word(s, nonce, counter, i);
    RELOAD;
    for (int round = 0; round < 10; round++) {
        four_quarters(x, 0);
        four_quarters(x, 1);
    }
    RELOAD;
    UNROLL for (int i = 0; i < 16; i++) x[i] = _mm512_add_epi32(x[i], first_word(s, nonce, counter, i));

    /* Four words of four blocks stand in the same places of four vectors: x[4 q + j] becomes quarter q of the blocks j, 4 + j, 8 + j, 12 + j. */
    UNROLL for (int q = 0; q < 16; q += 4)
    {
        __m512i low01 = _mm512_unpacklo_epi32(x[q], x[q + 1]), low23 = _mm512_unpacklo_epi32(x[q + 2], x[q + 3]);
        __m512i high01 = _mm512_unpackhi_epi32(x[q], x[q + 1]), high23 = _mm512_unpackhi_epi32(x[q + 2], x[q + 3]);
        x[q] = _mm512_unpacklo_epi64(low01, low23);
        x[q + 1] = _mm512_unpackhi_epi64(low01, low23);
        x[q + 2] = _mm512_unpacklo_epi64(high01, high23);
        x[q + 3] = _mm512_unpackhi_epi64(high01, high23);
    }
    UNROLL for (int j = 0; j < 4; j++)
    {
        __m512i block[4];
        blocks_of(block, x[j], x[4 + j], x[8 + j], x[12 + j]);
        UNROLL for (int i = 0; i < 4; i++)
        {
            size_t at = VECTOR * (size_t)(4 * i + j);
            store4(out + at, in == NULL ? block[i] : _mm512_xor_si512(block[i], load4(in + at)));
        }
    }
}

AVX512 TF_NOINLINE static size_t key_stream(const chacha_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t counter, size_t len)
{
    if (len <= 4 * 64) {
        few_blocks(s, 1, stream, nonce, counter);
        clear_vectors512();
        return 4 * 64;
    }
    if (len <= 8 * 64) {
        few_blocks(s, 2, stream, nonce, counter);
        clear_vectors512();
        return 8 * 64;
    }
    sixteen_blocks(s, stream, NULL, nonce, counter);
    clear_vectors512();
    return BATCH;
}

AVX512 TF_NOINLINE static void xor_batches(const chacha_state *s, uint8_t *out, const uint8_t *in, const uint8_t *nonce, uint32_t counter,
                                           size_t count)
{
    for (; count > 0; count--, out += BATCH, in += BATCH, counter += BATCH / 64)
        sixteen_blocks(s, out, in, nonce, counter);
    clear_vectors512();
}

/* ---- Poly1305, eight lanes in limbs of 44, 44 and 42 bits ----
 * acc keeps a sum in each lane; it stands for the lanes' sum times r^8, ..., r^1, so eight more blocks are acc r^8 + blocks, and 16 are
 * acc r^16 + blocks r^8 + blocks. */

enum { LIMBS = 3, LANES = 8, POWERS = 2 * LANES };

static const uint64_t M44 = 0xFFFFFFFFFFFu, M42 = 0x3FFFFFFFFFFu;

typedef struct {
    __m512i limb[LIMBS];
} numbers;

/* limb[i][n]: of r^(16 - n), so that eight that follow each other are falling powers; zeros behind r^1. */
typedef struct {
    uint64_t limb[LIMBS][POWERS + LANES];
} falling_powers;

/* Sums of low halves of products and of high halves, which weigh 2^52 times as much. */
typedef struct {
    __m512i low[LIMBS], high[LIMBS];
} products;

AVX512 TF_INLINE products no_products(numbers addend)
{
    products p;
    for (int i = 0; i < LIMBS; i++) {
        p.low[i] = addend.limb[i];
        p.high[i] = _mm512_setzero_si512();
    }
    return p;
}

/* The halves of a product of numbers below 2^52. */
AVX512 TF_INLINE void multiply_add(products *p, int i, __m512i a, __m512i b)
{
    p->low[i] = _mm512_madd52lo_epu64(p->low[i], a, b);
    p->high[i] = _mm512_madd52hi_epu64(p->high[i], a, b);
}

/* p += a r. The limbs of a and r are below 2^46, 20 r is below 2^51. */
AVX512 TF_INLINE void add_product(products *p, numbers a, numbers r)
{
    __m512i s[LIMBS];
    for (int i = 1; i < LIMBS; i++)
        s[i] = _mm512_add_epi64(_mm512_slli_epi64(r.limb[i], 4), _mm512_slli_epi64(r.limb[i], 2)); /* 20 r */
    for (int i = 0; i < LIMBS; i++)
        for (int j = 0; j < LIMBS; j++)
            multiply_add(p, j, a.limb[i], j >= i ? r.limb[j - i] : s[LIMBS + j - i]);
}

/* With at most two products in p and an addend below 2^46:
 *   low < 6 * 2^52 + 2^46 < 2^55, and high[0], high[1] < 6 * 2^(46 + 51 - 52) < 2^48, high[2] < 6 * 2^(46 + 46 - 52) < 2^43.
 * A high half weighs 2^8 in the next limb's unit, as limbs have 44 bits; that of limb 2 weighs 2^(88 + 52) = 2^10 2^130 = 5 * 2^10 modulo p.
 *   d0 = low[0] < 2^55, d1, d2 < 2^55 + 2^56 < 2^57; the carry out of d2 is below 2^15 + 2^53, five times that below 2^56,
 *   so limb 0 carries less than 2^12 + 1 once more into limb 1.
 * What comes out has limb 0 < 2^44, limb 1 < 2^44 + 2^11 + 2^13 and limb 2 < 2^42 + 2^13: with a block's limbs added all are below 2^46. */
AVX512 TF_INLINE numbers reduce(products p)
{
    const __m512i m44 = _mm512_set1_epi64((long long)M44), m42 = _mm512_set1_epi64((long long)M42);
    __m512i d0 = p.low[0], d1 = _mm512_add_epi64(p.low[1], _mm512_slli_epi64(p.high[0], 8)),
            d2 = _mm512_add_epi64(p.low[2], _mm512_slli_epi64(p.high[1], 8));
    __m512i top = _mm512_add_epi64(_mm512_srli_epi64(d2, 42), _mm512_slli_epi64(p.high[2], 10));
    numbers n;
    n.limb[0] = _mm512_add_epi64(_mm512_and_si512(d0, m44), _mm512_add_epi64(top, _mm512_slli_epi64(top, 2)));
    n.limb[1] = _mm512_add_epi64(_mm512_and_si512(d1, m44), _mm512_srli_epi64(d0, 44));
    n.limb[2] = _mm512_add_epi64(_mm512_and_si512(d2, m42), _mm512_srli_epi64(d1, 44));
    n.limb[1] = _mm512_add_epi64(n.limb[1], _mm512_srli_epi64(n.limb[0], 44));
    n.limb[0] = _mm512_and_si512(n.limb[0], m44);
    return n;
}

/* The limbs of eight 128-bit numbers, with their 2^128 in the lanes that `present` names. */
AVX512 TF_INLINE numbers split(__m512i low, __m512i high, __mmask8 present)
{
    const __m512i m44 = _mm512_set1_epi64((long long)M44);
    numbers n;
    n.limb[0] = _mm512_and_si512(low, m44);
    n.limb[1] = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20)), m44);
    n.limb[2] = _mm512_or_si512(_mm512_srli_epi64(high, 24), _mm512_maskz_set1_epi64(present, (long long)1 << 40));
    return n;
}

/* The first or the second halves of eight blocks, in order. */
AVX512 TF_INLINE __m512i halves(__m512i first, __m512i second, int which)
{
    return _mm512_permutex2var_epi64(first, _mm512_set_epi64(14 + which, 12 + which, 10 + which, 8 + which, 6 + which, 4 + which, 2 + which, which),
                                     second);
}

AVX512 TF_INLINE numbers load_blocks(const uint8_t *p)
{
    __m512i first = load4(p), second = load4(p + VECTOR);
    return split(halves(first, second, 0), halves(first, second, 1), 0xFF);
}

/* The first n <= 64 of a vector's bytes. */
TF_INLINE __mmask64 first_bytes(size_t n)
{
    return n == 0 ? 0 : ~(uint64_t)0 >> (VECTOR - n);
}

/* len <= 128 bytes and zeros behind. */
AVX512 TF_INLINE void load_last(__m512i *low, __m512i *high, const uint8_t *p, size_t len)
{
    size_t in_first = len < VECTOR ? len : VECTOR;
    __m512i first = _mm512_maskz_loadu_epi8(first_bytes(in_first), p), second = _mm512_setzero_si512();
    if (len > VECTOR)
        second = _mm512_maskz_loadu_epi8(first_bytes(len - VECTOR), p + VECTOR);
    *low = halves(first, second, 0);
    *high = halves(first, second, 1);
}

/* r^16 in all lanes (n = 16), or another power. */
AVX512 TF_INLINE numbers same_power(const falling_powers *t, int n)
{
    numbers r;
    for (int i = 0; i < LIMBS; i++)
        r.limb[i] = _mm512_set1_epi64((long long)t->limb[i][POWERS - n]);
    return r;
}

/* r^n, r^(n-1), ... in the lanes, zero for r^0 and below. */
AVX512 TF_INLINE numbers powers_from(const falling_powers *t, size_t n)
{
    numbers r;
    for (int i = 0; i < LIMBS; i++)
        r.limb[i] = load4(&t->limb[i][POWERS - n]);
    return r;
}

/* What a number of three words up to 2^131 has in limbs. */
TF_INLINE void limbs_of(uint64_t limbs[LIMBS], uint64_t low, uint64_t high, uint64_t top)
{
    limbs[0] = low & M44;
    limbs[1] = (low >> 44 | high << 20) & M44;
    limbs[2] = high >> 24 | top << 40;
}

/* n = the sum of d's limbs, carried: limb 0 < 2^44, limb 1 < 2^44 + 2^17, limb 2 < 2^42, if every d < 2^100: then the carry out of d2 is below
 * 2^58 + 1, and with five times that limb 0 carries less than 2^17 into limb 1. */
TF_INLINE void carry(uint64_t n[LIMBS], tf_uint128 d[LIMBS])
{
    d[1] += (uint64_t)(d[0] >> 44);
    d[2] += (uint64_t)(d[1] >> 44);
    n[0] = ((uint64_t)d[0] & M44) + 5 * (uint64_t)(d[2] >> 42);
    n[1] = ((uint64_t)d[1] & M44) + (n[0] >> 44);
    n[0] &= M44;
    n[2] = (uint64_t)d[2] & M42;
}

/* Limbs below 2^45, so 20 b < 2^50, and each d < 3 * 2^95. */
TF_INLINE void multiply(uint64_t n[LIMBS], const uint64_t a[LIMBS], const uint64_t b[LIMBS])
{
    const uint64_t s1 = 20 * b[1], s2 = 20 * b[2];
    tf_uint128 d[LIMBS] = {(tf_uint128)a[0] * b[0] + (tf_uint128)a[1] * s2 + (tf_uint128)a[2] * s1,
                           (tf_uint128)a[0] * b[1] + (tf_uint128)a[1] * b[0] + (tf_uint128)a[2] * s2,
                           (tf_uint128)a[0] * b[2] + (tf_uint128)a[1] * b[1] + (tf_uint128)a[2] * b[0]};
    carry(n, d);
}

AVX512 TF_INLINE numbers zeros(void)
{
    numbers n = {{_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()}};
    return n;
}

AVX512 TF_INLINE void make_powers(falling_powers *t, const poly1305 *p)
{
    uint64_t power[LANES + 1][LIMBS];
    limbs_of(power[1], p->r[0], p->r[1], 0);
    UNROLL for (int n = 2; n <= LANES; n++) multiply(power[n], power[n / 2], power[n - n / 2]);
    UNROLL for (int i = 0; i < LIMBS; i++)
    {
        UNROLL for (int n = 1; n <= LANES; n++) t->limb[i][POWERS - n] = power[n][i];
        store4(&t->limb[i][POWERS], _mm512_setzero_si512());
    }
    products d = no_products(zeros());
    add_product(&d, powers_from(t, LANES), same_power(t, LANES));
    numbers high = reduce(d);
    for (int i = 0; i < LIMBS; i++)
        store4(t->limb[i], high.limb[i]);
    tf_wipe(power, sizeof power);
}

/* p->h = the lanes' sum: limbs below 2^46, so sums below 2^49. In words again: h2 is what stands above 2^128, at most 4. */
AVX512 TF_INLINE void fold(poly1305 *p, numbers n)
{
    uint64_t limbs[LIMBS];
    tf_uint128 d[LIMBS];
    for (int i = 0; i < LIMBS; i++)
        d[i] = (uint64_t)_mm512_reduce_add_epi64(n.limb[i]);
    carry(limbs, d);
    tf_uint128 sum = limbs[0] + ((tf_uint128)limbs[1] << 44);
    p->h[0] = (uint64_t)sum;
    sum = (sum >> 64) + ((tf_uint128)limbs[2] << 24);
    p->h[1] = (uint64_t)sum;
    p->h[2] = (uint64_t)(sum >> 64);
}

/* Adds the text, filled up to whole blocks, and the block of the lengths to p->h; len >= 128. */
AVX512 TF_NOINLINE static void poly_add_text(poly1305 *p, const uint8_t *text, size_t len, uint64_t aad_len)
{
    falling_powers t;
    uint64_t before[LIMBS];
    make_powers(&t, p);
    limbs_of(before, p->h[0], p->h[1], p->h[2]);
    const numbers r16 = same_power(&t, 16), r8 = same_power(&t, 8);
    const uint64_t text_len = len;
    numbers acc = load_blocks(text);
    for (int i = 0; i < LIMBS; i++) /* what was before goes with the first block */
        acc.limb[i] = _mm512_mask_add_epi64(acc.limb[i], 1, acc.limb[i], _mm512_set1_epi64((long long)before[i]));
    for (len -= 128, text += 128; len >= 256; len -= 256, text += 256) {
        products d = no_products(load_blocks(text + 128));
        add_product(&d, load_blocks(text), r8);
        add_product(&d, acc, r16);
        acc = reduce(d);
    }

    __m512i low, high;
    while (len > 112) { /* eight blocks, the last perhaps partial */
        size_t n = len < 128 ? len : 128;
        load_last(&low, &high, text, n);
        products d = no_products(split(low, high, 0xFF));
        add_product(&d, acc, r8);
        acc = reduce(d);
        text += n;
        len -= n;
    }

    /* Up to seven blocks, and the lengths behind them: n blocks, which leave acc the powers from r^(8 + n) on. */
    size_t n = (len + 15) / 16 + 1;
    load_last(&low, &high, text, len);
    low = _mm512_mask_set1_epi64(low, (__mmask8)(1u << (n - 1)), (long long)aad_len);
    high = _mm512_mask_set1_epi64(high, (__mmask8)(1u << (n - 1)), (long long)text_len);
    products d = no_products(zeros());
    add_product(&d, split(low, high, (__mmask8)((1u << n) - 1)), powers_from(&t, n));
    add_product(&d, acc, powers_from(&t, LANES + n));
    fold(p, reduce(d));
    for (size_t at = 0; at < sizeof t; at += VECTOR)
        store4((uint8_t *)&t + at, _mm512_setzero_si512());
    RELOAD;
    clear_vectors512();
}

static void compute_tag(uint8_t tag[TF_TAG], const uint8_t poly_key[32], const uint8_t *aad, size_t aad_len, const uint8_t *text, size_t len)
{
    enum { POWERS_PAY = 512 };
    if (len < POWERS_PAY) {
        compute_short_tag(tag, poly_key, aad, aad_len, text, len);
        return;
    }
    poly1305 p;
    poly_start(&p, poly_key);
    poly_add(&p, aad, aad_len);
    poly_add_text(&p, text, len, aad_len);
    poly_tag(&p, tag);
}

const tf_aead_impl tf_chacha20_poly1305_avx512 = {"chacha20_poly1305_avx512", TF_CPU_AVX512 | TF_CPU_IFMA | TF_CPU_ZMM, set_key, seal, open};

#else
typedef int tf_chacha20_poly1305_avx512_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
