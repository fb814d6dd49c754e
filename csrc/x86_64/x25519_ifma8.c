/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 of the base point by AVX-512 IFMA on 512-bit vectors, beneath kex.c and x25519_pool.c: x25519_base.c's comb with eight points in the eight
 * lanes, which are those of eight scalars (key pairs for the pool), or eight parts of one scalar's sum. The exchange is x25519_ifma.c's.
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VPMADD52LUQ, VPMADD52HUQ and VPERMI2Q.
 *
 * A value of the field in each lane, in five vectors of 51-bit limbs as in x25519_ifma.c: "tight", below 2^51 + 2^13. VPMADD52 reads 52 bits of its
 * factors: it takes tight ones, so every sum is carried before it is multiplied. Secrets stay in vectors: a look-up permutes registers that hold the
 * whole table of its comb, one word of all entries after the other, and signs are masks of whole lanes. */
#include "../internal.h"

#if defined(TF_X86_64) && defined(TF_INT128)
#include "../x25519_field.h"
#include "../x25519_table.h"

#include <immintrin.h>

#define IFMA8 TF_TARGET("avx2,avx512f,avx512vl,avx512dq,avx512ifma")

/* Before a loop over limbs: gcc below -O3 would keep the loop, and the vectors in memory. Other compilers unroll it unasked. */
#if defined(__GNUC__) && !defined(__clang__)
#define UNROLLED _Pragma("GCC unroll 8")
#else
#define UNROLLED
#endif

enum { LANES = TF_X25519_BATCH, OWN = COMBS / 2 /* combs of one scalar that are added at once, one in each lane but the last */, SEVEN = 127 };

typedef struct {
    __m512i v[5];
} fe8;

/* (X/Z, Y/Z), and T = XY/Z; an entry of the table, as x25519_base.c has it. Tight. */
typedef struct {
    fe8 x, y, z, t;
} points;

typedef struct {
    fe8 plus, minus, product;
} entries;

/* What is secret in memory on the way, so that one wipe ends it. */
typedef struct {
    uint64_t words[4][LANES]; /* of each lane's scalar, clamped; its three low bits are not read */
    points p, q;
    entries entry;
    fe8 numerator, denominator; /* of u */
} work;

TF_INLINE IFMA8 __m512i each(uint64_t x)
{
    return _mm512_set1_epi64((int64_t)x);
}

/* Limbs below 2^59 to tight ones, all at once. A carry is below 2^8, and 19 times the last below 2^13. */
TF_INLINE IFMA8 void carry(fe8 *r, const __m512i t[5])
{
    const __m512i low = each(mask51);
    __m512i last = _mm512_srli_epi64(t[4], 51);
    __m512i c0 = _mm512_srli_epi64(t[0], 51), c1 = _mm512_srli_epi64(t[1], 51), c2 = _mm512_srli_epi64(t[2], 51), c3 = _mm512_srli_epi64(t[3], 51);
    r->v[0] = _mm512_madd52lo_epu64(_mm512_and_si512(t[0], low), last, each(19));
    r->v[1] = _mm512_add_epi64(_mm512_and_si512(t[1], low), c0);
    r->v[2] = _mm512_add_epi64(_mm512_and_si512(t[2], low), c1);
    r->v[3] = _mm512_add_epi64(_mm512_and_si512(t[3], low), c2);
    r->v[4] = _mm512_add_epi64(_mm512_and_si512(t[4], low), c3);
}

/* lo[j] += the low 52 bits of a b[j], hi[j] += the bits above. */
TF_INLINE IFMA8 void row(__m512i *lo, __m512i *hi, __m512i a, const fe8 *b)
{
    UNROLLED
    for (int j = 0; j < 5; j++) {
        lo[j] = _mm512_madd52lo_epu64(lo[j], a, b->v[j]);
        hi[j] = _mm512_madd52hi_epu64(hi[j], a, b->v[j]);
    }
}

/* low + 2 high + 19 (low5 + 2 high5). */
TF_INLINE IFMA8 __m512i column(__m512i low, __m512i high, __m512i low5, __m512i high5)
{
    __m512i x = _mm512_add_epi64(low5, _mm512_add_epi64(high5, high5));
    __m512i near = _mm512_add_epi64(low, _mm512_add_epi64(high, high));
    return _mm512_add_epi64(_mm512_add_epi64(near, x), _mm512_add_epi64(_mm512_slli_epi64(x, 1), _mm512_slli_epi64(x, 4)));
}

/* r = a b, all tight. The product of limbs i and j is low + 2^52 high: low goes to column i + j, and 2 high to column i + j + 1, for a column is
 * 51 bits; 2^255 = 19 brings columns 5 to 9 to 0 to 4. A low is below 2^52, and a high below (2^51 + 2^13)^2 / 2^52 < 2^50 + 2^13. The largest column
 * is the first: 1 + 19 * 4 lows and 19 * 5 highs twice, below 77 * 2^52 + 95 * (2^51 + 2^14) < 125 * 2^52 < 2^59. */
TF_INLINE IFMA8 void mul(fe8 *r, const fe8 *a, const fe8 *b)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i lo[10] = {zero, zero, zero, zero, zero, zero, zero, zero, zero, zero};
    __m512i hi[10] = {zero, zero, zero, zero, zero, zero, zero, zero, zero, zero};
    UNROLLED
    for (int i = 0; i < 5; i++)
        row(lo + i, hi + i + 1, a->v[i], b);
    __m512i t[5];
    UNROLLED
    for (int i = 0; i < 5; i++)
        t[i] = column(lo[i], hi[i], lo[i + 5], hi[i + 5]);
    carry(r, t);
}

/* Tight a + b, tight. */
TF_INLINE IFMA8 void add(fe8 *r, const fe8 *a, const fe8 *b)
{
    __m512i t[5];
    UNROLLED
    for (int i = 0; i < 5; i++)
        t[i] = _mm512_add_epi64(a->v[i], b->v[i]);
    carry(r, t);
}

/* Tight a - b + 2p, tight: 2p in limbs, as in fe_sub, is above any tight limb, and the sum below 2^53. */
TF_INLINE IFMA8 void sub(fe8 *r, const fe8 *a, const fe8 *b)
{
    __m512i t[5];
    UNROLLED
    for (int i = 0; i < 5; i++)
        t[i] = _mm512_sub_epi64(_mm512_add_epi64(a->v[i], each(i == 0 ? 0xfffffffffffda : 0xffffffffffffe)), b->v[i]);
    carry(r, t);
}

/* Exchange a and b in the lanes where mask is all ones; it is 0 in the others. */
TF_INLINE IFMA8 void swap(fe8 *a, fe8 *b, __m512i mask)
{
    UNROLLED
    for (int i = 0; i < 5; i++) {
        __m512i x = _mm512_and_si512(_mm512_xor_si512(a->v[i], b->v[i]), mask);
        a->v[i] = _mm512_xor_si512(a->v[i], x);
        b->v[i] = _mm512_xor_si512(b->v[i], x);
    }
}

/* ---- The curve: the laws of x25519_base.c, where their formulas are explained ---- */

TF_INLINE IFMA8 void finish(points *p, const fe8 *e, const fe8 *f, const fe8 *g, const fe8 *h)
{
    mul(&p->x, e, f);
    mul(&p->y, g, h);
    mul(&p->t, e, h);
    mul(&p->z, f, g);
}

/* p += entry, or p -= entry in the lanes where negate is all ones. */
IFMA8 TF_NOINLINE static void add_entries(points *p, entries *entry, __m512i negate)
{
    fe8 a, b, c, e, f, g, h;
    swap(&entry->plus, &entry->minus, negate);
    sub(&e, &p->y, &p->x);
    add(&h, &p->y, &p->x);
    mul(&a, &e, &entry->minus);
    mul(&b, &h, &entry->plus);
    mul(&c, &p->t, &entry->product);
    sub(&e, &b, &a);
    sub(&f, &p->z, &c);
    add(&g, &p->z, &c);
    add(&h, &b, &a);
    swap(&f, &g, negate);
    finish(p, &e, &f, &g, &h);
}

/* p = 2p. */
IFMA8 TF_NOINLINE static void twice(points *p)
{
    fe8 a, b, c, e, f, g, h;
    sub(&e, &p->x, &p->y);
    add(&f, &p->x, &p->y);
    mul(&h, &e, &f);
    add(&g, &p->z, &p->z);
    mul(&c, &p->z, &g);
    add(&f, &c, &h);
    mul(&c, &p->x, &p->y);
    add(&e, &c, &c);
    mul(&a, &p->x, &p->x);
    mul(&b, &p->y, &p->y);
    sub(&g, &b, &a);
    add(&h, &a, &b);
    finish(p, &e, &f, &g, &h);
}

/* Four words, the lowest first, to tight limbs: fe_from_words. */
TF_INLINE IFMA8 void from_words(fe8 *r, const __m512i w[4])
{
    const __m512i low = each(mask51);
    r->v[0] = _mm512_and_si512(w[0], low);
    r->v[1] = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w[0], 51), _mm512_slli_epi64(w[1], 13)), low);
    r->v[2] = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w[1], 38), _mm512_slli_epi64(w[2], 26)), low);
    r->v[3] = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w[2], 25), _mm512_slli_epi64(w[3], 39)), low);
    r->v[4] = _mm512_and_si512(_mm512_srli_epi64(w[3], 12), low);
}

/* One of a word's 32 values in each lane, by the low five bits of index: VPERMI2Q reads four of them, and high, all ones where the fifth is set,
 * chooses between its two results. */
TF_INLINE IFMA8 __m512i choose(const uint64_t values[ENTRIES], __m512i index, __m512i high)
{
    __m512i first = _mm512_permutex2var_epi64(_mm512_loadu_si512(values), index, _mm512_loadu_si512(values + 8));
    __m512i second = _mm512_permutex2var_epi64(_mm512_loadu_si512(values + 16), index, _mm512_loadu_si512(values + 24));
    return _mm512_xor_si512(first, _mm512_and_si512(_mm512_xor_si512(first, second), high));
}

TF_INLINE IFMA8 void look_up(entries *r, const uint64_t table[3][4][ENTRIES], __m512i index)
{
    const __m512i high = _mm512_srai_epi64(_mm512_slli_epi64(index, 59), 63);
    __m512i w[3][4];
    UNROLLED
    for (int i = 0; i < 4; i++) {
        w[0][i] = choose(table[0][i], index, high);
        w[1][i] = choose(table[1][i], index, high);
        w[2][i] = choose(table[2][i], index, high);
    }
    from_words(&r->plus, w[0]);
    from_words(&r->minus, w[1]);
    from_words(&r->product, w[2]);
}

TF_INLINE IFMA8 void constant(fe8 *r, const uint64_t words[4])
{
    __m512i w[4] = {each(words[0]), each(words[1]), each(words[2]), each(words[3])};
    from_words(r, w);
}

/* The point that the sum starts from, in every lane. */
TF_INLINE IFMA8 void start(points *p)
{
    constant(&p->x, tf_x25519_start[0]);
    constant(&p->y, tf_x25519_start[1]);
    constant(&p->t, tf_x25519_start[2]);
    UNROLLED
    for (int i = 0; i < 5; i++)
        p->z.v[i] = each(i == 0);
}

/* The digits of comb c in turn r, of each lane's scalar in four words: x25519_base.c's digits. */
TF_INLINE IFMA8 __m512i digits(__m512i *negate, const __m512i k[4], int c, int r)
{
    __m512i bits = _mm512_setzero_si512();
    for (int h = 0; h < TEETH; h++) {
        int at = 3 + r + SPACING * (TEETH * c + h);
        __m512i bit = _mm512_and_si512(_mm512_srl_epi64(k[at / 64], _mm_cvtsi32_si128(at % 64)), each(1));
        bits = _mm512_or_si512(bits, _mm512_sll_epi64(bit, _mm_cvtsi32_si128(h)));
    }
    *negate = _mm512_sub_epi64(_mm512_srli_epi64(bits, TEETH - 1), each(1));
    return _mm512_and_si512(_mm512_xor_si512(bits, *negate), each(ENTRIES - 1));
}

/* r = what a has in the lanes `far` away: 1, 2 or 4, each lane's number with that bit changed. */
TF_INLINE IFMA8 void other_lanes(fe8 *r, const fe8 *a, uint64_t far)
{
    const __m512i from = _mm512_xor_si512(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), each(far));
    UNROLLED
    for (int i = 0; i < 5; i++)
        r->v[i] = _mm512_permutexvar_epi64(from, a->v[i]);
}

/* ---- Eight scalars ---- */

/* u's numerator Z + Y and denominator Z - Y of eight scalars. A function by itself, as comb1 is: run_ct.sh reads what the compiler made of it. */
IFMA8 TF_NOINLINE static void comb8(work *w)
{
    __m512i k[4], negate;
    UNROLLED
    for (int i = 0; i < 4; i++)
        k[i] = _mm512_loadu_si512(w->words[i]);
    start(&w->p);
    for (int r = SPACING - 1; r >= 0; r--) {
        for (int c = 0; c < COMBS; c++) {
            look_up(&w->entry, tf_x25519_table[c], digits(&negate, k, c, r));
            add_entries(&w->p, &w->entry, negate);
        }
        if (r > 0)
            twice(&w->p);
    }
    add(&w->numerator, &w->p.z, &w->p.y);
    sub(&w->denominator, &w->p.z, &w->p.y);
}

/* numerator = numerator / denominator in every lane, by one inversion (Montgomery): the products of two, four and all eight denominators, and the
 * inverse of the last taken apart again. No denominator is 0, as x25519_base.c says, so no lane can spoil another. */
IFMA8 static void divide8(work *w)
{
    fe8 z2, z4, other, other2, other4;
    other_lanes(&other, &w->denominator, 1);
    mul(&z2, &w->denominator, &other);
    other_lanes(&other2, &z2, 2);
    mul(&z4, &z2, &other2);
    other_lanes(&other4, &z4, 4);
    mul(&w->denominator, &z4, &other4);

    fe inverse;
    uint64_t all[LANES];
    for (int i = 0; i < 5; i++) {
        _mm512_storeu_si512(all, w->denominator.v[i]);
        inverse.v[i] = all[0];
    }
    invert(&inverse, &inverse);
    for (int i = 0; i < 5; i++)
        w->denominator.v[i] = each(inverse.v[i]);
    mul(&w->denominator, &w->denominator, &other4);
    mul(&w->denominator, &w->denominator, &other2);
    mul(&w->denominator, &w->denominator, &other);
    mul(&w->numerator, &w->numerator, &w->denominator);
    tf_wipe(&inverse, sizeof inverse);
    tf_wipe(all, sizeof all);
}

static uint64_t clamped_word(const uint8_t scalar[32], int i)
{
    uint64_t word = tf_load64le(scalar + 8 * i);
    return i < 3 ? word : (word & ~((uint64_t)1 << 63)) | (uint64_t)1 << 62;
}

IFMA8 static void base8(uint8_t out[LANES][32], const uint8_t scalars[LANES][32])
{
    work w;
    fe u;
    uint64_t limbs[5][LANES];
    for (int n = 0; n < 4 * LANES; n++)
        w.words[n / LANES][n % LANES] = clamped_word(scalars[n % LANES], n / LANES);
    comb8(&w);
    divide8(&w);
    for (int i = 0; i < 5; i++)
        _mm512_storeu_si512(limbs[i], w.numerator.v[i]);
    for (int lane = 0; lane < LANES; lane++) {
        for (int i = 0; i < 5; i++)
            u.v[i] = limbs[i][lane];
        fe_store(out[lane], &u);
    }
    tf_wipe(&w, sizeof w);
    tf_wipe(limbs, sizeof limbs);
    tf_wipe(&u, sizeof u);
}

/* ---- One scalar: seven combs a time in seven lanes, and in the last lane the point that the sum starts from ---- */

/* In lane l the digits of comb first + l in turn r, of the scalar whose words are k's first four: x25519_base.c's digits. Lane 7 has none. */
TF_INLINE IFMA8 __m512i digits1(__m512i *negate, __m512i k, int first, int r)
{
    const __m512i lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 0);
    __m512i at = _mm512_add_epi64(each((uint64_t)(3 + r + SPACING * TEETH * first)), _mm512_mullo_epi64(lanes, each(SPACING * TEETH)));
    __m512i bits = _mm512_setzero_si512();
    for (int h = 0; h < TEETH; h++) {
        __m512i word = _mm512_permutexvar_epi64(_mm512_srli_epi64(at, 6), k);
        __m512i bit = _mm512_and_si512(_mm512_srlv_epi64(word, _mm512_and_si512(at, each(63))), each(1));
        bits = _mm512_or_si512(bits, _mm512_sll_epi64(bit, _mm_cvtsi32_si128(h)));
        at = _mm512_add_epi64(at, each(SPACING));
    }
    *negate = _mm512_maskz_sub_epi64(SEVEN, _mm512_srli_epi64(bits, TEETH - 1), each(1));
    return _mm512_and_si512(_mm512_xor_si512(bits, *negate), each(ENTRIES - 1));
}

/* The entries of combs first to first + 6 in lanes 0 to 6, and in lane 7 that of the neutral point (0, 1); the lanes where they are subtracted. */
IFMA8 TF_NOINLINE static __m512i look_up1(work *work, int first, int r)
{
    const __m512i ones = each(UINT64_MAX);
    __m512i w[3][4] = {{each(0xfffffffffffffff7), ones, ones, each(0x3fffffffffffffff)}}; /* (p + 1)/2 = 2^254 - 9 */
    __m512i negate, index = digits1(&negate, _mm512_loadu_si512(work->words[0]), first, r);
    UNROLLED
    for (int i = 0; i < 4; i++) {
        w[1][i] = w[0][i];
        w[2][i] = _mm512_setzero_si512();
    }
    for (int lane = 0; lane < OWN; lane++) {
        const __m512i one = _mm512_permutexvar_epi64(each((uint64_t)lane), index);
        const __m512i high = _mm512_srai_epi64(_mm512_slli_epi64(one, 59), 63);
        const __mmask8 here = (__mmask8)(1 << lane);
        UNROLLED
        for (int i = 0; i < 4; i++) {
            w[0][i] = _mm512_mask_mov_epi64(w[0][i], here, choose(tf_x25519_table[first + lane][0][i], one, high));
            w[1][i] = _mm512_mask_mov_epi64(w[1][i], here, choose(tf_x25519_table[first + lane][1][i], one, high));
            w[2][i] = _mm512_mask_mov_epi64(w[2][i], here, choose(tf_x25519_table[first + lane][2][i], one, high));
        }
    }
    from_words(&work->entry.plus, w[0]);
    from_words(&work->entry.minus, w[1]);
    from_words(&work->entry.product, w[2]);
    return negate;
}

TF_INLINE IFMA8 void other_points(points *q, const points *p, uint64_t far)
{
    other_lanes(&q->x, &p->x, far);
    other_lanes(&q->y, &p->y, far);
    other_lanes(&q->z, &p->z, far);
    other_lanes(&q->t, &p->t, far);
}

/* E to H of p + q in RFC 8032's names, 5.1.4. */
TF_INLINE IFMA8 void add_points(fe8 *e, fe8 *f, fe8 *g, fe8 *h, const points *p, const points *q)
{
    static const uint64_t twice_d[4] = {0xebd69b9426b2f159, 0x00e0149a8283b156, 0x198e80f2eef3d130, 0x2406d9dc56dffce7};
    fe8 a, b, c, d;
    sub(&a, &p->y, &p->x);
    sub(&b, &q->y, &q->x);
    mul(&a, &a, &b);
    add(&b, &p->y, &p->x);
    add(&c, &q->y, &q->x);
    mul(&b, &b, &c);
    constant(&d, twice_d);
    mul(&c, &p->t, &d);
    mul(&c, &c, &q->t);
    mul(&d, &p->z, &q->z);
    add(&d, &d, &d);
    sub(e, &b, &a);
    sub(f, &d, &c);
    add(g, &d, &c);
    add(h, &b, &a);
}

/* Numerator and denominator of u, in lane 0, for the scalar whose words are the first four of words[0]. */
IFMA8 TF_NOINLINE static void comb1(work *w)
{
    const __mmask8 last = 0xff & ~SEVEN;
    fe8 e, f, g, h;
    points first;
    __m512i negate = look_up1(w, 0, SPACING - 1);
    swap(&w->entry.plus, &w->entry.minus, negate);
    sub(&w->p.x, &w->entry.plus, &w->entry.minus);
    add(&w->p.y, &w->entry.plus, &w->entry.minus);
    start(&first);
    UNROLLED
    for (int i = 0; i < 5; i++) {
        w->p.x.v[i] = _mm512_mask_mov_epi64(w->p.x.v[i], last, first.x.v[i]);
        w->p.y.v[i] = _mm512_mask_mov_epi64(w->p.y.v[i], last, first.y.v[i]);
        w->p.z.v[i] = first.z.v[i];
    }
    mul(&w->p.t, &w->p.x, &w->p.y);
    for (int turn = 1; turn < 2 * SPACING; turn++) {
        if (turn % 2 == 0)
            twice(&w->p);
        negate = look_up1(w, turn % 2 * OWN, SPACING - 1 - turn / 2);
        add_entries(&w->p, &w->entry, negate);
    }
    other_points(&w->q, &w->p, 4);
    add_points(&e, &f, &g, &h, &w->p, &w->q);
    finish(&w->p, &e, &f, &g, &h);
    other_points(&w->q, &w->p, 2);
    add_points(&e, &f, &g, &h, &w->p, &w->q);
    finish(&w->p, &e, &f, &g, &h);
    other_points(&w->q, &w->p, 1);
    add_points(&e, &f, &g, &h, &w->p, &w->q);
    /* Y = GH and Z = FG, and G is not 0: u = (Z + Y)/(Z - Y) = (F + H)/(F - H). */
    add(&w->numerator, &f, &h);
    sub(&w->denominator, &f, &h);
}

IFMA8 static void base(uint8_t out[32], const uint8_t scalar[32])
{
    work w;
    fe numerator, denominator;
    uint64_t limb[LANES];
    memset(&w, 0, sizeof w);
    for (int i = 0; i < 4; i++)
        w.words[0][i] = clamped_word(scalar, i);
    comb1(&w);
    for (int i = 0; i < 5; i++) {
        _mm512_storeu_si512(limb, w.numerator.v[i]);
        numerator.v[i] = limb[0];
        _mm512_storeu_si512(limb, w.denominator.v[i]);
        denominator.v[i] = limb[0];
    }
    invert(&denominator, &denominator);
    fe_mul(&numerator, &numerator, &denominator);
    fe_store(out, &numerator);
    tf_wipe(&w, sizeof w);
    tf_wipe(limb, sizeof limb);
    tf_wipe(&numerator, sizeof numerator);
    tf_wipe(&denominator, sizeof denominator);
}

const tf_x25519_impl tf_x25519_ifma512 = {"x25519_ifma512", TF_CPU_AVX512 | TF_CPU_IFMA | TF_CPU_ZMM, tf_x25519_multiply_ifma, base, base8};

#endif
