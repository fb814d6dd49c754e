/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 in portable C, beneath kex.c: the Montgomery ladder of RFC 7748, 5, written once over one of two field arithmetics; multiples of the base
 * point are x25519_base.c's. Every scalar takes the same instructions and the same addresses. */
#include "x25519_field.h"

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

const tf_x25519_impl tf_x25519_portable = {"x25519_portable", 0, multiply, tf_x25519_base, NULL};
