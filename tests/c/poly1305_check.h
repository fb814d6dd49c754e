/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 alone, which the AEAD's interface cannot bring to its edges: RFC 8439's awkward sums, and the last reduction from chosen limbs against
 * long subtraction. Included by a program for each arithmetic, behind poly1305.h. */
#include "check.h"

#if defined(TF_INT128)
static const int limb_bits[POLY_LIMBS] = {0, 64, 128};
static const uint64_t limb_edges[] = {0, 1, 2, 3, 4, 5, 6, UINT64_MAX - 6, UINT64_MAX - 5, UINT64_MAX - 4, UINT64_MAX - 3, UINT64_MAX};
typedef uint64_t limb;
#else
static const int limb_bits[POLY_LIMBS] = {0, 26, 52, 78, 104};
static const uint64_t limb_edges[] = {0, 1, 5, 0x3FFFFFA, 0x3FFFFFB, 0x3FFFFFF};
typedef uint32_t limb;
#endif

enum { EDGES = sizeof limb_edges / sizeof *limb_edges };

/* RFC 8439, A.3, vectors 7 to 11: whole blocks with r at hand. */
static void check_vectors(void)
{
    static const struct {
        const char *r, *s, *text, *tag;
    } vectors[] = {
        {"02000000000000000000000000000000", "00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff",
         "03000000000000000000000000000000"},
        {"02000000000000000000000000000000", "ffffffffffffffffffffffffffffffff", "02000000000000000000000000000000",
         "03000000000000000000000000000000"},
        {"01000000000000000000000000000000", "00000000000000000000000000000000",
         "fffffffffffffffffffffffffffffffff0ffffffffffffffffffffffffffffff11000000000000000000000000000000", "05000000000000000000000000000000"},
        {"01000000000000000000000000000000", "00000000000000000000000000000000",
         "fffffffffffffffffffffffffffffffffbfefefefefefefefefefefefefefefe01010101010101010101010101010101", "00000000000000000000000000000000"},
        {"02000000000000000000000000000000", "00000000000000000000000000000000", "fdffffffffffffffffffffffffffffff",
         "faffffffffffffffffffffffffffffff"},
        {"01000000000000000400000000000000", "00000000000000000000000000000000",
         "e33594d7505e43b900000000000000003394d7505e4379cd010000000000000000000000000000000000000000000000010000000000000000000000000000 00",
         "14000000000000005500000000000000"},
        {"01000000000000000400000000000000", "00000000000000000000000000000000",
         "e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000000", "13000000000000000000000000000000"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        poly1305 p;
        uint8_t key[32], text[64], tag[16];
        check_hex(key, 16, vectors[i].r);
        check_hex(key + 16, 16, vectors[i].s);
        size_t len = check_hex(text, sizeof text, vectors[i].text);
        poly_start(&p, key);
        poly_blocks(&p, text, len / 16);
        poly_tag(&p, tag);
        CHECK(check_is(tag, vectors[i].tag));
    }
}

/* x += value << bit over words of 32 bits. */
static void reference_add(uint32_t x[6], uint64_t value, int bit)
{
    for (int i = 0; i < 64 && value != 0; i++, value >>= 1) {
        uint64_t carry = value & 1;
        int at = bit + i;
        carry <<= at % 32;
        for (int w = at / 32; w < 6 && carry != 0; w++) {
            carry += x[w];
            x[w] = (uint32_t)carry;
            carry >>= 32;
        }
    }
}

/* x modulo 2^130 - 5 by subtraction, then + pad modulo 2^128. */
static void reference_tag(uint32_t x[6], const uint8_t pad[16], uint8_t tag[16])
{
    while (x[5] != 0 || x[4] >= 4 || (x[4] == 3 && x[3] == UINT32_MAX && x[2] == UINT32_MAX && x[1] == UINT32_MAX && x[0] >= UINT32_MAX - 4)) {
        reference_add(x, 5, 0); /* - (2^130 - 5) = + 5 - 2^130 */
        uint64_t high = ((uint64_t)x[5] << 32 | x[4]) - 4;
        x[4] = (uint32_t)high;
        x[5] = (uint32_t)(high >> 32);
    }
    reference_add(x, tf_load64le(pad), 0);
    reference_add(x, tf_load64le(pad + 8), 64);
    for (int i = 0; i < 4; i++)
        tf_store32le(tag + 4 * i, x[i]);
}

/* Every combination of edge limbs, and a limb past its size as poly_blocks may leave it (h2 or h[1], by its carry), with an awkward pad. */
static void check_last_reduction(void)
{
    static const char *const pads[] = {"00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff", "0000000000000080fbffffffffffffff"};
    size_t combinations = 1;
    for (int i = 0; i < POLY_LIMBS; i++)
        combinations *= EDGES;
    for (size_t n = 0; n < combinations; n++) {
        for (int excess = 0; excess < 2; excess++) {
            poly1305 p;
            uint8_t key[32] = {0}, tag[16], want[16];
            uint32_t x[6] = {0};
            check_hex(key + 16, 16, pads[n % 3]);
            poly_start(&p, key);
            size_t rest = n;
            for (int i = 0; i < POLY_LIMBS; i++) {
                uint64_t edge = limb_edges[rest % EDGES];
                rest /= EDGES;
#if defined(TF_INT128)
                if (i == 2)
                    edge = (edge & 3) + (uint64_t)excess; /* at most 4 */
#else
                if (i == 1)
                    edge += (uint64_t)excess * 1000;
#endif
                p.h[i] = (limb)edge;
                reference_add(x, edge, limb_bits[i]);
            }
            poly_tag(&p, tag);
            reference_tag(x, key + 16, want);
            CHECK(memcmp(tag, want, 16) == 0);
        }
    }
}

int main(void)
{
    check_vectors();
    check_last_reduction();
    return check_done();
}
