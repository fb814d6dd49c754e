/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 of the base point, which makes key pairs, beneath kex.c: a comb over the twisted Edwards form of the curve with a table of constants, where
 * the ladder of x25519.c would take three times as long. Hamburg, "Fast and compact elliptic-curve cryptography" (2012), 3.3, signed multi-comb;
 * RFC 8032, 5.1, edwards25519; RFC 7748, 4.1, the map u = (1 + y)/(1 - y), which takes its base point B to u = 9. Every scalar takes the same
 * instructions and the same addresses: each look-up reads all entries.
 *
 * A clamped scalar is 8k, k of 252 bits. With the digits b = +1 or -1 for its bits 1 or 0, the sum of b 2^i over the DIGITS = COMBS TEETH SPACING =
 * 252 bits is 2k - (2^DIGITS - 1); 8kB is that many times 4B, and (2^DIGITS - 1) 4B, which the sum starts from. Bit r + SPACING (TEETH c + h) of k is
 * tooth h of comb c in turn r: a turn adds one entry of each comb, which stands for its TEETH digits, and between turns the sum is doubled. */
#include "x25519_field.h"
#include "x25519_table.h"

/* (x, y) = (X/Z, Y/Z), and T = XY/Z. Tight. */
typedef struct {
    fe x, y, z, t;
} extended;

/* (y + x)/2, (y - x)/2 and d x y. Halves make every value of the addition half that of RFC 8032, 5.1.4, and its 2 Z1 Z2 a plain Z. Tight. */
typedef struct {
    fe plus, minus, product;
} prepared;

/* What one instruction masks: two words where the compiler has vectors, as in chacha20_poly1305.c. */
#if defined(TF_INT128)
typedef uint64_t chunk __attribute__((vector_size(16)));
#else
typedef uint64_t chunk;
#endif
enum { CHUNK_WORDS = sizeof(chunk) / 8, CHUNKS = ENTRIES / CHUNK_WORDS };

/* words = entry index, by reading all of them. */
static void look_up(uint64_t words[3][4], const uint64_t entries[3][4][ENTRIES], uint64_t index)
{
    uint64_t masks[ENTRIES];
    chunk mask[CHUNKS];
    for (uint64_t i = 0; i < ENTRIES; i++)
        masks[i] = ~tf_mask_nonzero(i ^ index);
    memcpy(mask, masks, sizeof mask);
    for (int n = 0; n < 12; n++) {
        chunk sum = {0}, entry;
        for (size_t i = 0; i < CHUNKS; i++) {
            memcpy(&entry, &entries[n / 4][n % 4][i * CHUNK_WORDS], sizeof entry);
            sum |= entry & mask[i];
        }
        uint64_t parts[CHUNK_WORDS];
        memcpy(parts, &sum, sizeof parts);
        words[n / 4][n % 4] = parts[0] | parts[CHUNK_WORDS - 1];
    }
}

/* What is secret on the way, so that one wipe ends it. A to H as RFC 8032, 5.1.4, names them. */
typedef struct {
    uint8_t k[32];
    uint64_t words[3][4];
    prepared entry;
    fe a, b, c, e, f, g, h;
    extended p;
} sum;

/* What both laws end with. Loose E to H. */
static void finish(sum *s)
{
    fe_mul(&s->p.x, &s->e, &s->f);
    fe_mul(&s->p.y, &s->g, &s->h);
    fe_mul(&s->p.t, &s->e, &s->h);
    fe_mul(&s->p.z, &s->f, &s->g);
}

/* p += entry, or p -= entry if negate is all ones: -(x, y) = (-x, y) exchanges y + x and y - x, and Z - T d x y and Z + T d x y. Complete: d is no
 * square. */
static void add(sum *s, uint64_t negate)
{
    fe_swap(&s->entry.plus, &s->entry.minus, negate);
    fe_sub(&s->e, &s->p.y, &s->p.x);
    fe_add(&s->h, &s->p.y, &s->p.x);
    fe_mul(&s->a, &s->e, &s->entry.minus);
    fe_mul(&s->b, &s->h, &s->entry.plus);
    fe_mul(&s->c, &s->p.t, &s->entry.product);
    fe_sub(&s->e, &s->b, &s->a);
    fe_sub(&s->f, &s->p.z, &s->c);
    fe_add(&s->g, &s->p.z, &s->c);
    fe_add(&s->h, &s->b, &s->a);
    fe_swap(&s->f, &s->g, negate);
    finish(s);
}

/* p = 2p. RFC 8032's E = -2XY, G = X^2 - Y^2 and C = 2Z^2 are taken as products, so that each sum is of tight values; E and G with the other sign
 * change that of all four results, which are the same point. */
static void twice(sum *s)
{
    fe_sub(&s->e, &s->p.x, &s->p.y);
    fe_add(&s->f, &s->p.x, &s->p.y);
    fe_mul(&s->h, &s->e, &s->f); /* X^2 - Y^2 */
    fe_add(&s->g, &s->p.z, &s->p.z);
    fe_mul(&s->c, &s->p.z, &s->g);
    fe_add(&s->f, &s->c, &s->h);
    fe_mul(&s->c, &s->p.x, &s->p.y);
    fe_add(&s->e, &s->c, &s->c);
    fe_sq(&s->a, &s->p.x);
    fe_sq(&s->b, &s->p.y);
    fe_sub(&s->g, &s->b, &s->a);
    fe_add(&s->h, &s->a, &s->b);
    finish(s);
}

/* The digits of comb c in turn r: an entry's number, and whether it is to be subtracted. Entries have a positive last tooth: if that bit is 0, the
 * entry of the opposite digits is subtracted. */
static uint64_t digits(uint64_t *negate, const uint8_t k[32], int c, int r)
{
    uint64_t bits = 0;
    for (int h = 0; h < TEETH; h++) {
        int at = 3 + r + SPACING * (TEETH * c + h);
        bits |= (uint64_t)(k[at / 8] >> at % 8 & 1) << h;
    }
    *negate = (bits >> (TEETH - 1)) - 1;
    return (bits ^ *negate) & (ENTRIES - 1);
}

void tf_x25519_base(uint8_t out[32], const uint8_t scalar[32])
{
    sum s;
    memset(&s, 0, sizeof s);
    memcpy(s.k, scalar, 32);
    s.k[31] = (uint8_t)((s.k[31] & 127) | 64); /* the three bits that clamping clears are not read */
    fe_from_words(&s.p.x, tf_x25519_start[0]);
    fe_from_words(&s.p.y, tf_x25519_start[1]);
    fe_from_words(&s.p.t, tf_x25519_start[2]);
    s.p.z.v[0] = 1;
    for (int r = SPACING - 1; r >= 0; r--) {
        for (int c = 0; c < COMBS; c++) {
            uint64_t negate, index = digits(&negate, s.k, c, r);
            look_up(s.words, tf_x25519_table[c], index);
            fe_from_words(&s.entry.plus, s.words[0]);
            fe_from_words(&s.entry.minus, s.words[1]);
            fe_from_words(&s.entry.product, s.words[2]);
            add(&s, negate);
        }
        if (r > 0)
            twice(&s);
    }

    /* u = (Z + Y)/(Z - Y), and Z is not Y: 8kB is not 0, since B's order is a prime above 2^252. */
    fe_add(&s.a, &s.p.z, &s.p.y);
    fe_sub(&s.b, &s.p.z, &s.p.y);
    invert(&s.b, &s.b);
    fe_mul(&s.c, &s.a, &s.b);
    fe_store(out, &s.c);
    tf_wipe(&s, sizeof s);
}
