/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 in portable C, beneath kex.c: the Montgomery ladder of RFC 7748, 5, written once over one of two field arithmetics. Every scalar takes the
 * same instructions and the same addresses. */
#include "internal.h"

#if defined(TF_INT128)
#include "x25519_fe51.h"
#else
#include "x25519_fe25.h"
#endif

/* For the inversion, where a copy of the multiplication at each place would gain nothing. */
static TF_NOINLINE void multiply_by(fe *r, const fe *a)
{
    fe_mul(r, r, a);
}

/* r = a^(2^n), n >= 1. */
static TF_NOINLINE void square_times(fe *r, const fe *a, int n)
{
    fe_sq(r, a);
    while (--n > 0)
        fe_sq(r, r);
}

/* r = 1 / a, and 0 for a = 0: a^(p - 2) by Fermat, where p - 2 = 2^255 - 21. Beside each line stands the exponent reached. */
static void invert(fe *r, const fe *a)
{
    fe z11, z5, z10, z50, z100, t; /* z11 = a^11; zn = a^(2^n - 1) */
    square_times(&t, a, 1);        /* 2 */
    square_times(&z5, &t, 2);      /* 8 */
    multiply_by(&z5, a);           /* 9 */
    z11 = z5;
    multiply_by(&z11, &t);         /* 11 */
    square_times(&t, &z11, 1);     /* 22 */
    multiply_by(&z5, &t);          /* 22 + 9 = 2^5 - 1 */
    square_times(&z10, &z5, 5);    /* 2^10 - 2^5 */
    multiply_by(&z10, &z5);        /* 2^10 - 1 */
    square_times(&t, &z10, 10);    /* 2^20 - 2^10 */
    multiply_by(&t, &z10);         /* 2^20 - 1 */
    square_times(&z50, &t, 20);    /* 2^40 - 2^20 */
    multiply_by(&z50, &t);         /* 2^40 - 1 */
    square_times(&z50, &z50, 10);  /* 2^50 - 2^10 */
    multiply_by(&z50, &z10);       /* 2^50 - 1 */
    square_times(&z100, &z50, 50); /* 2^100 - 2^50 */
    multiply_by(&z100, &z50);      /* 2^100 - 1 */
    square_times(&t, &z100, 100);  /* 2^200 - 2^100 */
    multiply_by(&t, &z100);        /* 2^200 - 1 */
    square_times(&t, &t, 50);      /* 2^250 - 2^50 */
    multiply_by(&t, &z50);         /* 2^250 - 1 */
    square_times(&t, &t, 5);       /* 2^255 - 2^5 */
    multiply_by(&t, &z11);         /* 2^255 - 32 + 11 */
    *r = t;
    tf_wipe(&z11, sizeof z11);
    tf_wipe(&z5, sizeof z5);
    tf_wipe(&z10, sizeof z10);
    tf_wipe(&z50, sizeof z50);
    tf_wipe(&z100, sizeof z100);
    tf_wipe(&t, sizeof t);
}

/* What the ladder carries: n P = x2 / z2 and (n + 1) P = x3 / z3, for the bits n of the scalar read so far. */
typedef struct {
    fe x1, x2, z2, x3, z3;
} ladder;

/* One turn, in RFC 7748's names. Tight in, tight out; every sum or difference is of tight values, so each product gets loose ones. */
TF_INLINE void ladder_step(ladder *l)
{
    fe a, b, c, d, e, aa, bb, da, cb;
    fe_add(&a, &l->x2, &l->z2);
    fe_sub(&b, &l->x2, &l->z2);
    fe_add(&c, &l->x3, &l->z3);
    fe_sub(&d, &l->x3, &l->z3);
    fe_mul(&da, &d, &a);
    fe_mul(&cb, &c, &b);
    fe_sq(&aa, &a);
    fe_sq(&bb, &b);
    fe_add(&c, &da, &cb);
    fe_sub(&d, &da, &cb);
    fe_sq(&l->x3, &c);
    fe_sq(&d, &d);
    fe_mul(&l->z3, &l->x1, &d);
    fe_mul(&l->x2, &aa, &bb);
    fe_sub(&e, &aa, &bb);
    fe_add_121665(&a, &aa, &e);
    fe_mul(&l->z2, &e, &a);
}

static void multiply(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32])
{
    uint8_t k[32];
    memcpy(k, scalar, sizeof k);
    k[0] &= 248;
    k[31] = (uint8_t)((k[31] & 127) | 64);

    ladder l;
    memset(&l, 0, sizeof l);
    fe_load(&l.x1, point);
    l.x2.v[0] = 1;
    l.x3 = l.x1;
    l.z3.v[0] = 1;
    uint64_t swapped = 0;
    for (int t = 254; t >= 0; t--) {
        uint64_t bit = k[t / 8] >> t % 8 & 1;
        fe_swap(&l.x2, &l.x3, 0 - (swapped ^ bit));
        fe_swap(&l.z2, &l.z3, 0 - (swapped ^ bit));
        swapped = bit;
        ladder_step(&l);
    }
    fe_swap(&l.x2, &l.x3, 0 - swapped);
    fe_swap(&l.z2, &l.z3, 0 - swapped);

    invert(&l.z2, &l.z2);
    fe_mul(&l.x2, &l.x2, &l.z2);
    fe_store(out, &l.x2);
    tf_wipe(k, sizeof k);
    tf_wipe(&l, sizeof l);
}

static void base(uint8_t out[32], const uint8_t scalar[32])
{
    static const uint8_t nine[32] = {9}; /* RFC 7748, 6.1 */
    multiply(out, scalar, nine);
}

const tf_x25519_impl tf_x25519_portable = {"x25519_portable", 0, multiply, base};
