/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 by the 52-bit multiplications of AVX-512 IFMA, beneath kex.c: the Montgomery ladder of RFC 7748, 5, as x25519.c has it, with the four
 * numbers of its state in the four lanes of a vector, so that a step takes three vector multiplications in a row for ten. The base point is
 * x25519_base.c's. Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VPMADD52LUQ and VPMADD52HUQ.
 *
 * Four values of the field in five vectors of 51-bit limbs, which are those of x25519_fe51.h in each lane. Limbs are "tight" as there, below
 * 2^51 + 2^13. VPMADD52 reads 52 bits of its factors: it takes tight ones, so every sum is carried before it is multiplied. */
#include "../internal.h"

#if defined(TF_X86_64) && defined(TF_INT128)
#include "../x25519_field.h"

#include <immintrin.h>

#define IFMA TF_TARGET("avx2,avx512f,avx512vl,avx512dq,avx512ifma")

/* Before a loop over limbs: gcc below -O3 would keep the loop, and the vectors in memory. Other compilers unroll it unasked. */
#if defined(__GNUC__) && !defined(__clang__)
#define UNROLLED _Pragma("GCC unroll 5")
#else
#define UNROLLED
#endif

typedef struct {
    __m256i v[5];
} fe4;

/* Masks of lanes, and the lanes of a permutation, the lowest first. */
enum { LANE0 = 1, LANE1 = 2, LANE2 = 4, LANE3 = 8 };
#define LANES(a, b, c, d) ((a) | (b) << 2 | (c) << 4 | (d) << 6)

TF_INLINE IFMA __m256i each(uint64_t x)
{
    return _mm256_set1_epi64x((int64_t)x);
}

/* Limbs below 2^59 to tight ones, all at once. A carry is below 2^8, and 19 times the last below 2^13. */
TF_INLINE IFMA void carry(fe4 *r, const __m256i t[5])
{
    const __m256i low = each(mask51);
    __m256i last = _mm256_srli_epi64(t[4], 51);
    __m256i c0 = _mm256_srli_epi64(t[0], 51), c1 = _mm256_srli_epi64(t[1], 51), c2 = _mm256_srli_epi64(t[2], 51), c3 = _mm256_srli_epi64(t[3], 51);
    r->v[0] = _mm256_madd52lo_epu64(_mm256_and_si256(t[0], low), last, each(19));
    r->v[1] = _mm256_add_epi64(_mm256_and_si256(t[1], low), c0);
    r->v[2] = _mm256_add_epi64(_mm256_and_si256(t[2], low), c1);
    r->v[3] = _mm256_add_epi64(_mm256_and_si256(t[3], low), c2);
    r->v[4] = _mm256_add_epi64(_mm256_and_si256(t[4], low), c3);
}

/* lo[j] += the low 52 bits of a b[j], hi[j] += the bits above. */
TF_INLINE IFMA void row(__m256i *lo, __m256i *hi, __m256i a, const fe4 *b)
{
    lo[0] = _mm256_madd52lo_epu64(lo[0], a, b->v[0]);
    lo[1] = _mm256_madd52lo_epu64(lo[1], a, b->v[1]);
    lo[2] = _mm256_madd52lo_epu64(lo[2], a, b->v[2]);
    lo[3] = _mm256_madd52lo_epu64(lo[3], a, b->v[3]);
    lo[4] = _mm256_madd52lo_epu64(lo[4], a, b->v[4]);
    hi[0] = _mm256_madd52hi_epu64(hi[0], a, b->v[0]);
    hi[1] = _mm256_madd52hi_epu64(hi[1], a, b->v[1]);
    hi[2] = _mm256_madd52hi_epu64(hi[2], a, b->v[2]);
    hi[3] = _mm256_madd52hi_epu64(hi[3], a, b->v[3]);
    hi[4] = _mm256_madd52hi_epu64(hi[4], a, b->v[4]);
}

/* low + 2 high + 19 (low5 + 2 high5). */
TF_INLINE IFMA __m256i column(__m256i low, __m256i high, __m256i low5, __m256i high5)
{
    __m256i x = _mm256_add_epi64(low5, _mm256_add_epi64(high5, high5));
    __m256i near = _mm256_add_epi64(low, _mm256_add_epi64(high, high));
    return _mm256_add_epi64(_mm256_add_epi64(near, x), _mm256_add_epi64(_mm256_slli_epi64(x, 1), _mm256_slli_epi64(x, 4)));
}

/* r = a b + c, all tight. The product of limbs i and j is low + 2^52 high: low goes to column i + j, and 2 high to column i + j + 1, for a column is
 * 51 bits; 2^255 = 19 brings columns 5 to 9 to 0 to 4. A low is below 2^52, and a high below (2^51 + 2^13)^2 / 2^52 < 2^50 + 2^13. The largest column
 * is the first: 1 + 19 * 4 lows and 19 * 5 highs twice, below 77 * 2^52 + 95 * (2^51 + 2^14) < 125 * 2^52; c makes that less than 2^59. */
TF_INLINE IFMA void multiply_add(fe4 *r, const fe4 *a, const fe4 *b, const fe4 *c)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i lo[10] = {c->v[0], c->v[1], c->v[2], c->v[3], c->v[4], zero, zero, zero, zero, zero};
    __m256i hi[10] = {zero, zero, zero, zero, zero, zero, zero, zero, zero, zero};
    row(lo + 0, hi + 1, a->v[0], b);
    row(lo + 1, hi + 2, a->v[1], b);
    row(lo + 2, hi + 3, a->v[2], b);
    row(lo + 3, hi + 4, a->v[3], b);
    row(lo + 4, hi + 5, a->v[4], b);
    __m256i t[5];
    UNROLLED
    for (int i = 0; i < 5; i++)
        t[i] = column(lo[i], hi[i], lo[i + 5], hi[i + 5]);
    carry(r, t);
}

/* Tight a + b in the lanes of plus, a - b in those of minus, a in the others; tight. As fe_add and fe_sub: a - b + 2p is below 2^53. */
TF_INLINE IFMA void add_subtract(fe4 *r, const fe4 *a, const fe4 *b, __mmask8 plus, __mmask8 minus)
{
    __m256i t[5];
    UNROLLED
    for (int i = 0; i < 5; i++) {
        __m256i twice_p = _mm256_maskz_mov_epi64(minus, each(i == 0 ? 0xfffffffffffda : 0xffffffffffffe));
        __m256i x = _mm256_mask_add_epi64(a->v[i], plus, a->v[i], b->v[i]);
        t[i] = _mm256_mask_sub_epi64(x, minus, _mm256_add_epi64(a->v[i], twice_p), b->v[i]);
    }
    carry(r, t);
}

/* One turn on (x2, z2, x3, z3), in RFC 7748's names, with the halves exchanged first if swap is 2 in every lane and not if it is 0. factors is
 * (1, -, 1, x1). z2 = E (AA + 121665 E) is E (BB + 121666 E) here. */
TF_INLINE IFMA void ladder_step(fe4 *state, const fe4 *factors, __m256i swap)
{
    const __m256i x_lanes = _mm256_xor_si256(_mm256_setr_epi64x(0, 0, 2, 2), swap), z_lanes = _mm256_xor_si256(_mm256_setr_epi64x(1, 1, 3, 3), swap);
    const __m256i a24 = _mm256_setr_epi64x(0, 121666, 0, 0), zero = _mm256_setzero_si256();
    const fe4 none = {{zero, zero, zero, zero, zero}};
    fe4 a, b, c, abcd, products;
    UNROLLED
    for (int i = 0; i < 5; i++) {
        a.v[i] = _mm256_permutexvar_epi64(x_lanes, state->v[i]);
        b.v[i] = _mm256_permutexvar_epi64(z_lanes, state->v[i]);
    }
    add_subtract(&abcd, &a, &b, LANE0 | LANE2, LANE1 | LANE3); /* (A, B, C, D) */
    UNROLLED
    for (int i = 0; i < 5; i++)
        b.v[i] = _mm256_permutex_epi64(abcd.v[i], LANES(0, 1, 1, 0)); /* (A, B, B, A) */
    multiply_add(&products, &abcd, &b, &none);                        /* (AA, BB, CB, DA) */

    UNROLLED
    for (int i = 0; i < 5; i++) {
        a.v[i] = _mm256_permutex_epi64(products.v[i], LANES(0, 0, 2, 3)); /* (AA, AA, CB, DA) */
        b.v[i] = _mm256_permutex_epi64(products.v[i], LANES(1, 1, 3, 2)); /* (BB, BB, DA, CB) */
    }
    add_subtract(&a, &a, &b, LANE2, LANE1 | LANE3); /* (AA, E, DA + CB, DA - CB) */
    UNROLLED
    for (int i = 0; i < 5; i++) {
        c.v[i] = _mm256_maskz_mov_epi64(LANE1, b.v[i]); /* (0, BB, 0, 0) */
        b.v[i] = _mm256_mask_mov_epi64(a.v[i], LANE0 | LANE1, b.v[i]);
        b.v[i] = _mm256_mask_mov_epi64(b.v[i], LANE1, i == 0 ? a24 : zero); /* (BB, 121666, DA + CB, DA - CB) */
    }
    multiply_add(&products, &a, &b, &c); /* (x2, BB + 121666 E, x3, (DA - CB)^2) */

    UNROLLED
    for (int i = 0; i < 5; i++) {
        a.v[i] = _mm256_mask_mov_epi64(products.v[i], LANE1, a.v[i]);        /* (x2, E, x3, (DA - CB)^2) */
        b.v[i] = _mm256_mask_mov_epi64(factors->v[i], LANE1, products.v[i]); /* (1, BB + 121666 E, 1, x1) */
    }
    multiply_add(state, &a, &b, &none);
}

/* The scalar's bits from the highest; the 256th is 0, and its turn leaves the points what they were. Clamping ends every scalar with a 0: nothing is
 * left to exchange after the last turn. A function by itself: run_ct.sh reads what the compiler made of it. */
IFMA TF_NOINLINE static void ladder(uint64_t lanes[5][4], const uint64_t factor_lanes[5][4], const uint8_t k[32])
{
    fe4 state, factors;
    UNROLLED
    for (int i = 0; i < 5; i++) {
        state.v[i] = _mm256_loadu_si256((const __m256i *)(const void *)lanes[i]);
        factors.v[i] = _mm256_loadu_si256((const __m256i *)(const void *)factor_lanes[i]);
    }
    uint64_t swapped = 0;
    for (const uint8_t *byte = k + 32; byte > k;) {
        uint64_t bits = *--byte;
        for (int n = 0; n < 8; n++) {
            uint64_t bit = bits >> 7 & 1;
            bits <<= 1;
            ladder_step(&state, &factors, each(2 * tf_barrier(swapped ^ bit)));
            swapped = bit;
        }
    }
    UNROLLED
    for (int i = 0; i < 5; i++)
        _mm256_storeu_si256((__m256i *)(void *)lanes[i], state.v[i]);
}

void tf_x25519_multiply_ifma(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32])
{
    uint8_t k[32];
    memcpy(k, scalar, sizeof k);
    k[0] &= 248;
    k[31] = (uint8_t)((k[31] & 127) | 64);

    fe x1, x2, z2;
    uint64_t state[5][4] = {{1, 0, 0, 1}}, factors[5][4] = {{1, 0, 1, 0}};
    fe_load(&x1, point);
    for (int i = 0; i < 5; i++)
        state[i][2] = factors[i][3] = x1.v[i];
    ladder(state, factors, k);
    for (int i = 0; i < 5; i++) {
        x2.v[i] = state[i][0];
        z2.v[i] = state[i][1];
    }
    invert(&z2, &z2);
    fe_mul(&x2, &x2, &z2);
    fe_store(out, &x2);
    tf_wipe(k, sizeof k);
    tf_wipe(state, sizeof state);
    tf_wipe(&x2, sizeof x2);
    tf_wipe(&z2, sizeof z2);
}

const tf_x25519_impl tf_x25519_ifma = {"x25519_ifma", TF_CPU_AVX512 | TF_CPU_IFMA, tf_x25519_multiply_ifma, tf_x25519_base, NULL};

#endif
