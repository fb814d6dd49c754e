/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20-Poly1305 (RFC 8439) with AVX-512: ChaCha20 of 16 blocks side by side on 512-bit registers, and Poly1305 of longer texts in 8 lanes with
 * the 52-bit products of IFMA. dispatch.c chooses it; aead.c checked the lengths. */
#include "../internal.h"

#if defined(TF_X86_64) && defined(TF_INT128)

#include "clear_x86.h"

#include <immintrin.h>

#define KERNEL TF_TARGET("avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512ifma")

/* ---- ChaCha20 ---- */

enum { VECTOR = 64, BATCH = 16 * 64, FRAME = 768 };

typedef __m512i words;
#define ADD32(a, b) _mm512_add_epi32(a, b)
#define XOR(a, b) _mm512_xor_si512(a, b)
#define ROTATE16(x) _mm512_rol_epi32(x, 16)
#define ROTATE12(x) _mm512_rol_epi32(x, 12)
#define ROTATE8(x) _mm512_rol_epi32(x, 8)
#define ROTATE7(x) _mm512_rol_epi32(x, 7)
#define SPREAD32(x) _mm512_set1_epi32((int)(x))
#define COUNT32 _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define IN_MEMORY(x) ((void)0)

#include "../chacha20_words.h"

KERNEL TF_INLINE __m512i load4(const void *p)
{
    return _mm512_loadu_si512(p);
}

KERNEL TF_INLINE void store4(void *p, __m512i x)
{
    _mm512_storeu_si512(p, x);
}

KERNEL TF_INLINE __m512i four_times(const uint32_t *p)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* Four blocks, from vectors that each have the same quarter of them. */
KERNEL TF_INLINE void blocks_of(__m512i out[4], __m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab01 = _mm512_shuffle_i32x4(a, b, 0x44), cd01 = _mm512_shuffle_i32x4(c, d, 0x44);
    __m512i ab23 = _mm512_shuffle_i32x4(a, b, 0xEE), cd23 = _mm512_shuffle_i32x4(c, d, 0xEE);
    out[0] = _mm512_shuffle_i32x4(ab01, cd01, 0x88);
    out[1] = _mm512_shuffle_i32x4(ab01, cd01, 0xDD);
    out[2] = _mm512_shuffle_i32x4(ab23, cd23, 0x88);
    out[3] = _mm512_shuffle_i32x4(ab23, cd23, 0xDD);
}

/* x of chacha20_words as bytes, XOR those at in unless it is NULL. */
KERNEL TF_INLINE void store_words(uint8_t *out, const uint8_t *in, __m512i x[16])
{
    /* x[4 q + j] becomes quarter q of the blocks j, 4 + j, 8 + j, 12 + j. */
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
            store4(out + at, in == NULL ? block[i] : XOR(block[i], load4(in + at)));
        }
    }
}

#define QUARTER_ROUND(a, b, c, d)                                                                                                                    \
    do {                                                                                                                                             \
        a = ADD32(a, b);                                                                                                                             \
        d = ROTATE16(XOR(d, a));                                                                                                                     \
        c = ADD32(c, d);                                                                                                                             \
        b = ROTATE12(XOR(b, c));                                                                                                                     \
        a = ADD32(a, b);                                                                                                                             \
        d = ROTATE8(XOR(d, a));                                                                                                                      \
        c = ADD32(c, d);                                                                                                                             \
        b = ROTATE7(XOR(b, c));                                                                                                                      \
    } while (0)
#define TURN(x, places) _mm512_shuffle_epi32(x, (_MM_PERM_ENUM)(places))

/* 4 groups blocks (1 or 2 groups, a constant wherever this is expanded), a quarter of four blocks in a vector: done after the rounds of one block. */
KERNEL TF_INLINE void few_blocks(const chacha_state *s, int groups, uint8_t *stream, const uint8_t *nonce, uint32_t counter)
{
    const __m512i a0 = four_times(s->words), b0 = four_times(s->words + 4), c0 = four_times(s->words + 8);
    const __m128i last = _mm_set_epi64x((long long)tf_load64le(nonce + 4), (long long)(counter | (uint64_t)tf_load32le(nonce) << 32));
    __m512i a[2], b[2], c[2], d[2], d0[2];
    UNROLL for (int g = 0; g < groups; g++)
    {
        d0[g] = ADD32(_mm512_broadcast_i32x4(last), _mm512_set_epi32(0, 0, 0, 4 * g + 3, 0, 0, 0, 4 * g + 2, 0, 0, 0, 4 * g + 1, 0, 0, 0, 4 * g));
        a[g] = a0, b[g] = b0, c[g] = c0, d[g] = d0[g];
    }
    for (int round = 0; round < 10; round++) {
        UNROLL for (int g = 0; g < groups; g++)
        {
            QUARTER_ROUND(a[g], b[g], c[g], d[g]);
            b[g] = TURN(b[g], 0x39); /* diagonals become columns */
            c[g] = TURN(c[g], 0x4E);
            d[g] = TURN(d[g], 0x93);
        }
        UNROLL for (int g = 0; g < groups; g++)
        {
            QUARTER_ROUND(a[g], b[g], c[g], d[g]);
            b[g] = TURN(b[g], 0x93);
            c[g] = TURN(c[g], 0x4E);
            d[g] = TURN(d[g], 0x39);
        }
    }
    UNROLL for (int g = 0; g < groups; g++)
    {
        __m512i block[4];
        blocks_of(block, ADD32(a[g], a0), ADD32(b[g], b0), ADD32(c[g], c0), ADD32(d[g], d0[g]));
        UNROLL for (int i = 0; i < 4; i++) store4(stream + VECTOR * (4 * g + i), block[i]);
    }
}

KERNEL TF_NOINLINE static size_t key_stream(const chacha_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t counter, size_t len)
{
    size_t made = len <= 4 * 64 ? 4 * 64 : len <= 8 * 64 ? 8 * 64 : BATCH;
    if (made == 4 * 64)
        few_blocks(s, 1, stream, nonce, counter);
    else if (made == 8 * 64)
        few_blocks(s, 2, stream, nonce, counter);
    else {
        words x[16];
        chacha20_words(x, s, nonce, counter);
        store_words(stream, NULL, x);
    }
    clear_vectors512();
    return made;
}

KERNEL TF_NOINLINE static void xor_batches(const chacha_state *s, uint8_t *out, const uint8_t *in, const uint8_t *nonce, uint32_t counter,
                                           size_t count)
{
    for (; count > 0; count--, out += BATCH, in += BATCH, counter += BATCH / 64) {
        words x[16];
        chacha20_words(x, s, nonce, counter);
        store_words(out, in, x);
    }
    clear_vectors512();
}

/* ---- Poly1305: limbs of 44, 44 and 42 bits ---- */

enum { LANES = 8, LIMBS = 3, LANES_PAY = 512, POLY_FRAME = 1280 };

typedef __m512i lanes;
typedef struct {
    __m512i limb[LIMBS];
} numbers;

/* The low halves of 52-bit products, and the high halves, which weigh 2^52 times as much. */
typedef struct {
    __m512i low[LIMBS], high[LIMBS];
} products;

typedef struct {
    __m512i limb[LIMBS], folded[LIMBS]; /* the second times 20, from 1 on */
} factors;

#include "../poly1305_lanes.h"

KERNEL TF_INLINE lanes load_lanes(const uint64_t *p)
{
    return load4(p);
}

KERNEL TF_INLINE void store_lanes(uint64_t *p, lanes x)
{
    store4(p, x);
}

KERNEL TF_INLINE lanes spread(uint64_t x)
{
    return _mm512_set1_epi64((long long)x);
}

KERNEL TF_INLINE lanes in_first_lane(uint64_t x)
{
    return _mm512_maskz_set1_epi64(1, (long long)x);
}

KERNEL TF_INLINE lanes add(lanes a, lanes b)
{
    return _mm512_add_epi64(a, b);
}

KERNEL TF_INLINE void clear_vectors(void)
{
    clear_vectors512();
}

TF_INLINE void split_number(uint64_t limbs[LIMBS], uint64_t low, uint64_t high, uint64_t top)
{
    limbs[0] = low & M44;
    limbs[1] = (low >> 44 | high << 20) & M44;
    limbs[2] = high >> 24 | top << 40;
}

/* Blocks with their 2^128 in the lanes that `present` names. */
KERNEL TF_INLINE numbers split(__m512i low, __m512i high, __mmask8 present)
{
    const __m512i m44 = spread(M44);
    numbers n = {{_mm512_and_si512(low, m44), _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20)), m44),
                  _mm512_or_si512(_mm512_srli_epi64(high, 24), _mm512_maskz_set1_epi64(present, (long long)1 << 40))}};
    return n;
}

/* The first or the second halves of eight blocks, in order. */
KERNEL TF_INLINE __m512i halves(__m512i first, __m512i second, int which)
{
    return _mm512_permutex2var_epi64(first, _mm512_set_epi64(14 + which, 12 + which, 10 + which, 8 + which, 6 + which, 4 + which, 2 + which, which),
                                     second);
}

KERNEL TF_INLINE numbers load_blocks(const uint8_t *text)
{
    __m512i first = load4(text), second = load4(text + VECTOR);
    return split(halves(first, second, 0), halves(first, second, 1), 0xFF);
}

/* The first n <= 64 of a vector's bytes. */
TF_INLINE __mmask64 first_bytes(size_t n)
{
    return n == 0 ? 0 : ~(uint64_t)0 >> (VECTOR - n);
}

KERNEL TF_INLINE numbers load_last(const uint8_t *text, size_t len, size_t n, uint64_t aad_len, uint64_t text_len)
{
    __m512i first = _mm512_maskz_loadu_epi8(first_bytes(len < VECTOR ? len : VECTOR), text), second = _mm512_setzero_si512();
    if (len > VECTOR)
        second = _mm512_maskz_loadu_epi8(first_bytes(len - VECTOR), text + VECTOR);
    __m512i low = halves(first, second, 0), high = halves(first, second, 1);
    if (n == 0)
        return split(low, high, 0xFF);
    const __mmask8 lengths = (__mmask8)(1u << (n - 1));
    return split(_mm512_mask_set1_epi64(low, lengths, (long long)aad_len), _mm512_mask_set1_epi64(high, lengths, (long long)text_len),
                 (__mmask8)((1u << n) - 1));
}

KERNEL TF_INLINE products start_products(numbers addend)
{
    products p;
    UNROLL for (int i = 0; i < LIMBS; i++)
    {
        p.low[i] = addend.limb[i];
        p.high[i] = _mm512_setzero_si512();
    }
    return p;
}

KERNEL TF_INLINE factors factors_of(numbers r)
{
    factors f;
    UNROLL for (int i = 0; i < LIMBS; i++) f.limb[i] = r.limb[i];
    UNROLL for (int i = 1; i < LIMBS; i++) f.folded[i] = add(_mm512_slli_epi64(r.limb[i], 4), _mm512_slli_epi64(r.limb[i], 2)); /* 20 r */
    return f;
}

/* The limbs of a and r are below 2^46, 20 r is below 2^51: all operands have 52 bits. */
KERNEL TF_INLINE void add_product(products *p, numbers a, const factors *r)
{
    UNROLL for (int i = 0; i < LIMBS; i++) UNROLL for (int j = 0; j < LIMBS; j++)
    {
        __m512i factor = j >= i ? r->limb[j - i] : r->folded[LIMBS + j - i];
        p->low[j] = _mm512_madd52lo_epu64(p->low[j], a.limb[i], factor);
        p->high[j] = _mm512_madd52hi_epu64(p->high[j], a.limb[i], factor);
    }
}

/* With at most two products in p and an addend below 2^46:
 *   low < 6 * 2^52 + 2^46 < 2^55, and high[0], high[1] < 6 * 2^(46 + 51 - 52) < 2^48, high[2] < 6 * 2^(46 + 46 - 52) < 2^43.
 * A high half weighs 2^8 in the next limb's unit, as limbs have 44 bits; that of limb 2 weighs 2^(88 + 52) = 2^10 2^130 = 5 * 2^10 modulo p.
 *   d0 = low[0] < 2^55, d1, d2 < 2^55 + 2^56 < 2^57; the carry out of d2 is below 2^15 + 2^53, five times that below 2^56,
 *   so limb 0 carries at most 2^12 once more into limb 1.
 * What comes out has limb 0 < 2^44, limb 1 < 2^44 + 2^13 and limb 2 < 2^42 + 2^13: with a block's limbs added all are below 2^46. */
KERNEL TF_INLINE numbers reduce(products p)
{
    const __m512i m44 = spread(M44), m42 = spread(M42);
    __m512i d0 = p.low[0], d1 = add(p.low[1], _mm512_slli_epi64(p.high[0], 8)), d2 = add(p.low[2], _mm512_slli_epi64(p.high[1], 8));
    __m512i top = add(_mm512_srli_epi64(d2, 42), _mm512_slli_epi64(p.high[2], 10));
    __m512i n0 = add(_mm512_and_si512(d0, m44), add(top, _mm512_slli_epi64(top, 2)));
    __m512i n1 = add(_mm512_and_si512(d1, m44), _mm512_srli_epi64(d0, 44)), n2 = add(_mm512_and_si512(d2, m42), _mm512_srli_epi64(d1, 44));
    numbers n = {{_mm512_and_si512(n0, m44), add(n1, _mm512_srli_epi64(n0, 44)), n2}};
    return n;
}

/* Eight limbs of 46 bits make 49. */
KERNEL TF_INLINE void fold(poly1305 *p, numbers n)
{
    words_of44(p->h, carry44((uint64_t)_mm512_reduce_add_epi64(n.limb[0]), (uint64_t)_mm512_reduce_add_epi64(n.limb[1]),
                             (uint64_t)_mm512_reduce_add_epi64(n.limb[2])));
}

const tf_aead_impl tf_chacha20_poly1305_avx512 = {"chacha20_poly1305_avx512", TF_CPU_AVX512 | TF_CPU_IFMA | TF_CPU_ZMM, set_key, seal, open};

#else
typedef int tf_chacha20_poly1305_avx512_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
