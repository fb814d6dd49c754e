/* SPDX-License-Identifier: Apache-2.0 */
/* The field of X25519, for every file that computes in it: one of two arithmetics modulo p = 2^255 - 19, and the inversion over it. */
#ifndef TF_X25519_FIELD_H
#define TF_X25519_FIELD_H

#include "internal.h"

#if defined(TF_INT128)
#include "x25519_fe51.h"
#else
#include "x25519_fe25.h"
#endif

/* RFC 7748, 5: little endian, the top bit ignored; values of p and more are accepted and mean their residue. Tight. */
TF_INLINE void fe_load(fe *r, const uint8_t in[32])
{
    const uint64_t w[4] = {tf_load64le(in), tf_load64le(in + 8), tf_load64le(in + 16), tf_load64le(in + 24)};
    fe_from_words(r, w);
}

/* r = 1 / a, and 0 for a = 0, for tight a: x25519_invert.c, or by Fermat. */
#if defined(TF_INT128)

void tf_x25519_invert(fe *r, const fe *a);

TF_INLINE void invert(fe *r, const fe *a)
{
    tf_x25519_invert(r, a);
}

#else

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

/* a^(p - 2), where p - 2 = 2^255 - 21. Beside each line stands the exponent reached. */
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

#endif

void tf_x25519_base(uint8_t out[32], const uint8_t scalar[32]); /* x25519_base.c: the base of every implementation without vectors of 512 bits */
void tf_x25519_multiply_ifma(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32]); /* x86_64/x25519_ifma.c */

#endif
