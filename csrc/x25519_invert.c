/* SPDX-License-Identifier: Apache-2.0 */
/* Inversion modulo p = 2^255 - 19 for the 64-bit arithmetic of x25519_field.h, in constant time by divsteps: half the time of a^(p - 2). Bernstein,
 * Yang, "Fast constant-time gcd computation and modular inversion" (2019), with delta starting at 1/2, as P. Wuille proposed in 2021.
 *
 * A divstep takes (delta, f, g), f odd, to (1 - delta, g, (g - f)/2) if delta > 0 and g is odd, and else to (1 + delta, f, (g + (g mod 2) f)/2). From
 * delta = 1/2, f = p and 0 <= g < p, 590 of them leave g = 0 and f = +-gcd; 588 do, as tools/x25519_divsteps.py finds in exact arithmetic by Wuille's
 * method. They depend on the low bits of f and g alone, so 59 at a time are taken on one word, as a matrix of integers that is then applied to f and
 * g, and modulo p to d and e, where d a = f and e a = g: the inverse of a is f d in the end. */
#include "internal.h"

#if defined(TF_INT128)
#include "x25519_field.h"

enum { BATCHES = 10, STEPS = 59, DIGITS = 5, PART = 20, FIELD = 21 };

__extension__ typedef __int128 int128;

/* sum of v[i] 2^(59 i), v[0] to v[3] below 2^59 and not negative, v[4] with the sign. */
typedef struct {
    int64_t v[DIGITS];
} number;

/* (f, g) to 2^-n (u f + v g, q f + r g) by n divsteps. */
typedef struct {
    int64_t u, v, q, r;
} matrix;

/* What is secret on the way, so that one wipe ends it. */
typedef struct {
    number f, g, d, e;
    matrix all, part, before;
    uint8_t bytes[32];
} work;

static const int64_t mask59 = ((int64_t)1 << STEPS) - 1;

/* n <= 20 divsteps on the low bits of f and g; delta = 1/2 + the value kept. In one word go f's low n bits + 2^21 u + 2^42 v, and in another those of
 * g + 2^21 q + 2^42 r: a divstep is linear, and one addition and one shift do it to all three. u and r start at -2^n, so that halving is exact n
 * times, and end as the matrix with the other sign. Bounds: |f|, |g| < 2^20; |u| + |v| <= 2^20 and |q| + |r| <= 2^20, as the half of a sum or
 * difference of two rows; -2^20 <= u, v, q, r < 2^20, as (-2^20 - (2^20 - 1))/2 and (2^20 - 1 + 2^20)/2 are inside. |v| = |r| = 2^20 would make u = q
 * = 0, but the determinant is never 0: |v| + |r| < 2^21, and with |u| + |q| <= 2^21 - |v| - |r| the sum of both words is below 2^63. */
static void divsteps(matrix *m, int64_t *delta, uint64_t f, uint64_t g, int n)
{
    const uint64_t low = ((uint64_t)1 << n) - 1, minus = 0 - ((uint64_t)1 << n);
    int64_t d = *delta;
    f = (f & low) + (minus << FIELD);
    g = (g & low) + (minus << 2 * FIELD);
    for (int i = 0; i < n; i++) {
        uint64_t odd = 0 - (g & 1), positive = ~(uint64_t)(d >> 63), both = tf_barrier(odd & positive);
        uint64_t x = ((f ^ positive) - positive) & odd; /* f, or -f, or 0 */
        f ^= (f ^ g) & both;
        g = (uint64_t)((int64_t)(g + x) >> 1);
        d = (int64_t)((uint64_t)d ^ both) + 1; /* -d or d + 1 */
    }
    *delta = d;
    const int64_t half = (int64_t)1 << PART;
    int64_t uv = ((int64_t)f + half) >> FIELD, qr = ((int64_t)g + half) >> FIELD;
    int64_t v = (uv + half) >> FIELD, r = (qr + half) >> FIELD;
    m->u = v * 2 * half - uv;
    m->v = -v;
    m->q = r * 2 * half - qr;
    m->r = -r;
}

/* part before: the entries of both are at most 2^n, and of the product 2^(n + n'), as sums of |u| + |v| <= 2^n rows. */
static void compose(matrix *r, const matrix *part, const matrix *before)
{
    r->u = part->u * before->u + part->v * before->q;
    r->v = part->u * before->v + part->v * before->r;
    r->q = part->q * before->u + part->r * before->q;
    r->r = part->q * before->v + part->r * before->r;
}

/* Low bits of f and g after the divsteps of m: f and g exact modulo 2^k go in, modulo 2^(k - n) come out. */
static void advance(uint64_t *f, uint64_t *g, const matrix *m, int n)
{
    uint64_t x = (uint64_t)m->u * *f + (uint64_t)m->v * *g, y = (uint64_t)m->q * *f + (uint64_t)m->r * *g;
    *f = x >> n;
    *g = y >> n;
}

/* 59 divsteps: 20, 20 and 19, which need the low 59 bits of f and g. */
static void batch(work *w, int64_t *delta)
{
    uint64_t f = (uint64_t)w->f.v[0], g = (uint64_t)w->g.v[0];
    divsteps(&w->before, delta, f, g, PART);
    advance(&f, &g, &w->before, PART);
    divsteps(&w->part, delta, f, g, PART);
    advance(&f, &g, &w->part, PART);
    compose(&w->all, &w->part, &w->before);
    divsteps(&w->part, delta, f, g, STEPS - 2 * PART);
    w->before = w->all;
    compose(&w->all, &w->part, &w->before);
}

/* (a, b) = 2^-59 m (a, b), and modulo p if `modulo`: with k p added, k = x / 19 modulo 2^59 for the low digit x, the low digit is 0 there too. |u| +
 * |v| <= 2^59, so |a| and |b| do not grow, or by less than p; columns are below 2^59 2^59 + 19 2^59 and a carry, far from 2^127. */
static void apply(number *a, number *b, const matrix *m, int modulo)
{
    const uint64_t inverse19 = 0x6bca1af286bca1b; /* 19 times this is 1 modulo 2^59 */
    int128 x = (int128)m->u * a->v[0] + (int128)m->v * b->v[0], y = (int128)m->q * a->v[0] + (int128)m->r * b->v[0];
    int64_t kx = 0, ky = 0;
    if (modulo) {
        kx = (int64_t)((uint64_t)x * inverse19) & mask59;
        ky = (int64_t)((uint64_t)y * inverse19) & mask59;
        x -= (int128)kx * 19;
        y -= (int128)ky * 19;
    }
    for (int i = 1; i < DIGITS; i++) {
        x = (x >> STEPS) + (int128)m->u * a->v[i] + (int128)m->v * b->v[i];
        y = (y >> STEPS) + (int128)m->q * a->v[i] + (int128)m->r * b->v[i];
        if (i == DIGITS - 1) { /* 2^255 = 2^19 2^(4 59) */
            x += (int128)kx << 19;
            y += (int128)ky << 19;
        }
        a->v[i - 1] = (int64_t)x & mask59;
        b->v[i - 1] = (int64_t)y & mask59;
    }
    a->v[DIGITS - 1] = (int64_t)(x >> STEPS);
    b->v[DIGITS - 1] = (int64_t)(y >> STEPS);
}

void tf_x25519_invert(fe *r, const fe *a)
{
    static const number p = {
        {((int64_t)1 << STEPS) - 19, ((int64_t)1 << STEPS) - 1, ((int64_t)1 << STEPS) - 1, ((int64_t)1 << STEPS) - 1, (1 << 19) - 1}};
    static const int64_t sixteen_p[DIGITS] = {-304, 0, 0, 0, 1 << 23}; /* 2^259 - 304 */
    work w;
    memset(&w, 0, sizeof w);
    /* The representative below p: 0 must be 0 here, to become 0 and not whatever d is. */
    fe_store(w.bytes, a);
    const uint64_t x[5] = {tf_load64le(w.bytes), tf_load64le(w.bytes + 8), tf_load64le(w.bytes + 16), tf_load64le(w.bytes + 24), 0};
    w.f = p;
    w.g.v[0] = (int64_t)x[0] & mask59;
    for (int i = 1; i < DIGITS; i++) /* from bit 59 i = 64 i - 5 i */
        w.g.v[i] = (int64_t)(x[i - 1] >> (64 - 5 * i) | x[i] << 5 * i) & mask59;
    w.e.v[0] = 1;
    int64_t delta = 0;
    for (int i = 0; i < BATCHES; i++) {
        batch(&w, &delta);
        apply(&w.f, &w.g, &w.all, 0);
        apply(&w.d, &w.e, &w.all, 1);
    }

    /* |d| < 11 p. Its sign is turned where f = -1; 16p more make it positive, below 2^260; what is above 2^255, at most 31, comes back as 19 times
     * that. */
    int64_t sign = (int64_t)tf_barrier((uint64_t)(w.f.v[DIGITS - 1] >> 63)), carry = 0;
    for (int i = 0; i < DIGITS; i++) {
        carry += (w.d.v[i] ^ sign) - sign + sixteen_p[i];
        w.d.v[i] = i < DIGITS - 1 ? carry & mask59 : carry;
        carry >>= STEPS;
    }
    const uint64_t v[DIGITS] = {(uint64_t)w.d.v[0], (uint64_t)w.d.v[1], (uint64_t)w.d.v[2], (uint64_t)w.d.v[3], (uint64_t)w.d.v[4]};
    r->v[0] = (v[0] & mask51) + 19 * (v[4] >> 19);
    r->v[1] = (v[0] >> 51 | v[1] << 8) & mask51;
    r->v[2] = (v[1] >> 43 | v[2] << 16) & mask51;
    r->v[3] = (v[2] >> 35 | v[3] << 24) & mask51;
    r->v[4] = (v[3] >> 27 | v[4] << 32) & mask51;
    tf_wipe(&w, sizeof w);
}

#endif
