/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20-Poly1305 (RFC 8439) with AVX2: ChaCha20 of 8 blocks side by side on 256-bit registers, and Poly1305 of longer texts in 4 lanes with 32-bit
 * products. dispatch.c chooses it; aead.c checked the lengths. */
#include "../internal.h"

#if defined(TF_X86_64) && defined(TF_INT128)

#include "clear_x86.h"

#include <immintrin.h>

#define KERNEL TF_TARGET("avx2")

/* ---- ChaCha20 ---- */

enum { BATCH = 8 * 64, FRAME = 512 };

typedef __m256i words;
#define ADD32(a, b) _mm256_add_epi32(a, b)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define TURNED(from)                                                                                                                                 \
    {                                                                                                                                                \
        from, 0x04040404 + (from), 0x08080808 + (from), 0x0C0C0C0C + (from), from, 0x04040404 + (from), 0x08080808 + (from), 0x0C0C0C0C + (from)     \
    }
/* For vpshufb: the bytes of each word from the places that a constant names, the lowest last. */
static const TF_ALIGNED(32) uint32_t turn16[8] = TURNED(0x01000302), turn8[8] = TURNED(0x02010003);
#if defined(__GNUC__) && !defined(__clang__)
/* gcc would give the two constants registers, and keep words of the state on the stack for it. */
KERNEL TF_INLINE __m256i turn_bytes(__m256i x, const uint32_t from[8])
{
    __asm__("vpshufb %1, %0, %0" : "+x"(x) : "m"(*(const __m256i *)(const void *)from));
    return x;
}
#define IN_MEMORY(x) __asm__("" : "+m"(x))
#else
KERNEL TF_INLINE __m256i turn_bytes(__m256i x, const uint32_t from[8])
{
    return _mm256_shuffle_epi8(x, _mm256_load_si256((const __m256i *)(const void *)from));
}
#define IN_MEMORY(x) ((void)0)
#endif
#define ROTATE(x, bits) _mm256_or_si256(_mm256_slli_epi32(x, bits), _mm256_srli_epi32(x, 32 - (bits)))
#define ROTATE16(x) turn_bytes(x, turn16)
#define ROTATE12(x) ROTATE(x, 12)
#define ROTATE8(x) turn_bytes(x, turn8)
#define ROTATE7(x) ROTATE(x, 7)
#define SPREAD32(x) _mm256_set1_epi32((int)(x))
#define COUNT32 _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0)

#include "../chacha20_words.h"

KERNEL TF_INLINE __m256i load2(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

KERNEL TF_INLINE void store2(void *p, __m256i x)
{
    _mm256_storeu_si256((__m256i *)p, x);
}

KERNEL TF_INLINE __m256i twice(const uint32_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* Half a block at `at`, XOR what is there of the text unless that is NULL. */
KERNEL TF_INLINE void store_half(uint8_t *out, const uint8_t *in, size_t at, __m256i x)
{
    store2(out + at, in == NULL ? x : XOR(x, load2(in + at)));
}

/* x of chacha20_words as bytes, XOR those at in unless it is NULL. */
KERNEL TF_INLINE void store_words(uint8_t *out, const uint8_t *in, __m256i x[16])
{
    /* x[4 q + j] becomes quarter q of the blocks j and 4 + j. */
    UNROLL for (int q = 0; q < 16; q += 4)
    {
        __m256i low01 = _mm256_unpacklo_epi32(x[q], x[q + 1]), low23 = _mm256_unpacklo_epi32(x[q + 2], x[q + 3]);
        __m256i high01 = _mm256_unpackhi_epi32(x[q], x[q + 1]), high23 = _mm256_unpackhi_epi32(x[q + 2], x[q + 3]);
        x[q] = _mm256_unpacklo_epi64(low01, low23);
        x[q + 1] = _mm256_unpackhi_epi64(low01, low23);
        x[q + 2] = _mm256_unpacklo_epi64(high01, high23);
        x[q + 3] = _mm256_unpackhi_epi64(high01, high23);
    }
    UNROLL for (int j = 0; j < 4; j++)
    {
        UNROLL for (int half = 0; half < 2; half++)
        {
            __m256i a = x[8 * half + j], b = x[8 * half + 4 + j];
            size_t at = 64 * (size_t)j + 32 * (size_t)half;
            store_half(out, in, at, _mm256_permute2x128_si256(a, b, 0x20));
            store_half(out, in, at + 4 * 64, _mm256_permute2x128_si256(a, b, 0x31));
        }
    }
}

#define QUARTER_ROUND(a, b, c, d)                                                                                                                    \
    do {                                                                                                                                             \
        a = ADD32(a, b);                                                                                                                             \
        d = XOR(d, a);                                                                                                                               \
        d = ROTATE16(d);                                                                                                                             \
        c = ADD32(c, d);                                                                                                                             \
        b = XOR(b, c);                                                                                                                               \
        b = ROTATE12(b);                                                                                                                             \
        a = ADD32(a, b);                                                                                                                             \
        d = XOR(d, a);                                                                                                                               \
        d = ROTATE8(d);                                                                                                                              \
        c = ADD32(c, d);                                                                                                                             \
        b = XOR(b, c);                                                                                                                               \
        b = ROTATE7(b);                                                                                                                              \
    } while (0)

/* Four blocks, a quarter of two blocks in a vector: done soon after the rounds of one block. */
KERNEL TF_INLINE void four_blocks(const chacha_state *s, uint8_t *stream, const uint8_t *nonce, uint32_t counter)
{
    const __m256i a0 = twice(s->words), b0 = twice(s->words + 4), c0 = twice(s->words + 8);
    const __m128i last = _mm_set_epi64x((long long)tf_load64le(nonce + 4), (long long)(counter | (uint64_t)tf_load32le(nonce) << 32));
    __m256i a[2], b[2], c[2], d[2], d0[2];
    UNROLL for (int g = 0; g < 2; g++)
    {
        d0[g] = ADD32(_mm256_broadcastsi128_si256(last), _mm256_set_epi32(0, 0, 0, 2 * g + 1, 0, 0, 0, 2 * g));
        a[g] = a0, b[g] = b0, c[g] = c0, d[g] = d0[g];
    }
    for (int round = 0; round < 10; round++) {
        UNROLL for (int g = 0; g < 2; g++)
        {
            QUARTER_ROUND(a[g], b[g], c[g], d[g]);
            b[g] = _mm256_shuffle_epi32(b[g], 0x39); /* diagonals become columns */
            c[g] = _mm256_shuffle_epi32(c[g], 0x4E);
            d[g] = _mm256_shuffle_epi32(d[g], 0x93);
        }
        UNROLL for (int g = 0; g < 2; g++)
        {
            QUARTER_ROUND(a[g], b[g], c[g], d[g]);
            b[g] = _mm256_shuffle_epi32(b[g], 0x93);
            c[g] = _mm256_shuffle_epi32(c[g], 0x4E);
            d[g] = _mm256_shuffle_epi32(d[g], 0x39);
        }
    }
    UNROLL for (int g = 0; g < 2; g++)
    {
        __m256i qa = ADD32(a[g], a0), qb = ADD32(b[g], b0), qc = ADD32(c[g], c0), qd = ADD32(d[g], d0[g]);
        store2(stream + 128 * g, _mm256_permute2x128_si256(qa, qb, 0x20));
        store2(stream + 128 * g + 32, _mm256_permute2x128_si256(qc, qd, 0x20));
        store2(stream + 128 * g + 64, _mm256_permute2x128_si256(qa, qb, 0x31));
        store2(stream + 128 * g + 96, _mm256_permute2x128_si256(qc, qd, 0x31));
    }
}

KERNEL TF_NOINLINE static size_t key_stream(const chacha_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t counter, size_t len)
{
    size_t made = len <= 4 * 64 ? 4 * 64 : BATCH;
    words x[16];
    if (made < BATCH)
        four_blocks(s, stream, nonce, counter);
    else {
        chacha20_words(x, s, nonce, counter);
        store_words(stream, NULL, x);
    }
    clear_vectors256();
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
    clear_vectors256();
}

/* ---- Poly1305: limbs of 26 bits ---- */

enum { LANES = 4, LIMBS = 5, LANES_PAY = 256, POLY_FRAME = 3584 };

typedef __m256i lanes;
typedef struct {
    __m256i limb[LIMBS];
} numbers, products;

static const uint64_t M26 = 0x3FFFFFF;

typedef struct {
    __m256i limb[LIMBS], folded[LIMBS]; /* the second times 5, from 1 on */
} factors;

#include "../poly1305_lanes.h"

KERNEL TF_INLINE lanes load_lanes(const uint64_t *p)
{
    return load2(p);
}

KERNEL TF_INLINE void store_lanes(uint64_t *p, lanes x)
{
    store2(p, x);
}

KERNEL TF_INLINE lanes spread(uint64_t x)
{
    return _mm256_set1_epi64x((long long)x);
}

KERNEL TF_INLINE lanes in_first_lane(uint64_t x)
{
    return _mm256_set_epi64x(0, 0, 0, (long long)x);
}

KERNEL TF_INLINE lanes add(lanes a, lanes b)
{
    return _mm256_add_epi64(a, b);
}

KERNEL TF_INLINE void clear_vectors(void)
{
    clear_vectors256();
}

TF_INLINE void split_number(uint64_t limbs[LIMBS], uint64_t low, uint64_t high, uint64_t top)
{
    limbs[0] = low & M26;
    limbs[1] = low >> 26 & M26;
    limbs[2] = (low >> 52 | high << 12) & M26;
    limbs[3] = high >> 14 & M26;
    limbs[4] = high >> 40 | top << 24;
}

/* Four blocks, whose top limbs get top_bits too: their 2^128. */
KERNEL TF_INLINE numbers split(__m256i first, __m256i second, __m256i top_bits)
{
    const __m256i m26 = spread(M26);
    first = _mm256_permute4x64_epi64(first, 0xD8); /* low halves, high halves */
    second = _mm256_permute4x64_epi64(second, 0xD8);
    __m256i low = _mm256_permute2x128_si256(first, second, 0x20), high = _mm256_permute2x128_si256(first, second, 0x31);
    numbers n = {{_mm256_and_si256(low, m26), _mm256_and_si256(_mm256_srli_epi64(low, 26), m26),
                  _mm256_and_si256(_mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12)), m26),
                  _mm256_and_si256(_mm256_srli_epi64(high, 14), m26), _mm256_or_si256(_mm256_srli_epi64(high, 40), top_bits)}};
    return n;
}

KERNEL TF_INLINE numbers load_blocks(const uint8_t *text)
{
    return split(load2(text), load2(text + 32), spread((uint64_t)1 << 24));
}

KERNEL TF_INLINE numbers load_last(const uint8_t *text, size_t len, size_t n, uint64_t aad_len, uint64_t text_len)
{
    uint8_t last[16 * LANES] = {0};
    memcpy(last, text, len);
    if (n > 0) {
        tf_store64le(last + 16 * (n - 1), aad_len);
        tf_store64le(last + 16 * (n - 1) + 8, text_len);
    }
    /* 2^24 in the first n lanes, or in all. */
    const __m256i present = _mm256_cmpgt_epi64(spread(n > 0 ? n : LANES), _mm256_set_epi64x(3, 2, 1, 0));
    return split(load2(last), load2(last + 32), _mm256_and_si256(present, spread((uint64_t)1 << 24)));
}

KERNEL TF_INLINE products start_products(numbers addend)
{
    return addend;
}

KERNEL TF_INLINE factors factors_of(numbers r)
{
    factors f;
    UNROLL for (int i = 0; i < LIMBS; i++) f.limb[i] = r.limb[i];
    UNROLL for (int i = 1; i < LIMBS; i++) f.folded[i] = add(r.limb[i], _mm256_slli_epi64(r.limb[i], 2)); /* 5 r: 2^130 = 5 modulo p */
    return f;
}

/* The limbs of a are below 2^28, those of r below 2^27, so 5 r < 2^30: all operands have 32 bits, and a sum of five products is below 5 * 2^58. */
KERNEL TF_INLINE void add_product(products *p, numbers a, const factors *r)
{
    UNROLL for (int i = 0; i < LIMBS; i++) UNROLL for (int j = 0; j < LIMBS; j++) p->limb[j] =
        add(p->limb[j], _mm256_mul_epu32(a.limb[i], j >= i ? r->limb[j - i] : r->folded[LIMBS + j - i]));
}

/* d's limb `from` becomes short, and what it carries goes to limb `to`. */
KERNEL TF_INLINE void carry(products *d, int from, int to)
{
    __m256i over = _mm256_srli_epi64(d->limb[from], 26);
    d->limb[from] = _mm256_and_si256(d->limb[from], spread(M26));
    if (to == 0)
        over = add(over, _mm256_slli_epi64(over, 2));
    d->limb[to] = add(d->limb[to], over);
}

/* Two products and an addend below 2^28: every limb is below 10 * 2^58 + 2^28 < 2^62. Two carries go round side by side, each below 2^36 + 1 at first
 * and five times that into limb 0, below 2^39: so at the second visit limbs 3 and 0 carry less than 2^13. What comes out is below 2^26 but for limb 1
 * and limb 4, which are below 2^26 + 2^13: with a block's limbs added all are below 2^28. */
KERNEL TF_INLINE numbers reduce(products d)
{
    carry(&d, 0, 1);
    carry(&d, 3, 4);
    carry(&d, 1, 2);
    carry(&d, 4, 0);
    carry(&d, 2, 3);
    carry(&d, 0, 1);
    carry(&d, 3, 4);
    return d;
}

/* Four limbs of 28 bits make 30; but for what limb 4 carries the sum is below 2^130 + 2^109. */
KERNEL TF_INLINE void fold(poly1305 *p, numbers n)
{
    uint64_t lane[LANES], limb[LIMBS];
    for (int i = 0; i < LIMBS; i++) {
        store_lanes(lane, n.limb[i]);
        limb[i] = lane[0] + lane[1] + lane[2] + lane[3];
    }
    limb[0] += 5 * (limb[4] >> 26);
    limb[4] &= M26;
    tf_uint128 sum = limb[0] + ((tf_uint128)limb[1] << 26) + ((tf_uint128)limb[2] << 52);
    p->h[0] = (uint64_t)sum;
    sum = (sum >> 64) + (limb[3] << 14) + ((tf_uint128)limb[4] << 40);
    p->h[1] = (uint64_t)sum;
    p->h[2] = (uint64_t)(sum >> 64);
}

const tf_aead_impl tf_chacha20_poly1305_avx2 = {"chacha20_poly1305_avx2", TF_CPU_AVX2, set_key, seal, open};

#else
typedef int tf_chacha20_poly1305_avx2_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
