/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 in vectors against scalar arithmetic, at the edges that random texts do not reach: sums about 2^130 - 5 and 2^130, blocks of ones and of
 * zeros, the largest r. Included behind an implementation's own file, which has poly_add_text for texts of LEAST bytes or more. */
#include "check.h"

enum { LONGEST = 1300 };

static void check_text(const uint8_t poly_key[32], const uint64_t before[POLY_LIMBS], const uint8_t *text, size_t len)
{
    poly1305 scalar, vector;
    uint8_t want[16], got[16], lengths[16];
    poly_start(&scalar, poly_key);
    for (int i = 0; i < POLY_LIMBS; i++)
        scalar.h[i] = before[i];
    vector = scalar;
    poly_add(&scalar, text, len);
    tf_store64le(lengths, 77);
    tf_store64le(lengths + 8, len);
    poly_blocks(&scalar, lengths, 1);
    poly_tag(&scalar, want);
    poly_add_text(&vector, text, len, 77);
    CHECK(vector.h[2] <= 4);
    poly_tag(&vector, got);
    CHECK(memcmp(got, want, 16) == 0);
}

int main(void)
{
    static const char *const rs[] = {"00000000000000000000000000000000", "01000000000000000000000000000000", "02000000000000000000000000000000",
                                     "00000000000000000400000000000000", "ffffffffffffffffffffffffffffffff", "fbffffffffffffffffffffffffffffff"};
    static const uint64_t befores[][POLY_LIMBS] = {
        {0, 0, 0}, {UINT64_MAX - 4, UINT64_MAX, 3}, {UINT64_MAX - 5, UINT64_MAX, 3}, {UINT64_MAX, UINT64_MAX, 3}, {UINT64_MAX, UINT64_MAX, 4}};
    static uint8_t text[3][LONGEST];
    if (tested_here.cpu_needs & ~tf_cpu_features()) {
        CHECK(1); /* nothing to be run on this processor */
        return check_done();
    }
    memset(text[1], 0xFF, LONGEST);
    check_noise(text[2], LONGEST, 1);
    for (size_t r = 0; r <= sizeof rs / sizeof *rs; r++) {
        for (size_t b = 0; b < sizeof befores / sizeof *befores; b++) {
            for (size_t t = 0; t < 3; t++) {
                uint8_t poly_key[32];
                check_noise(poly_key, 32, r * 64 + b);
                if (r < sizeof rs / sizeof *rs)
                    check_hex(poly_key, 16, rs[r]);
                for (size_t len = LEAST; len <= LONGEST; len += len < LEAST + 300 ? 1 : 61)
                    check_text(poly_key, befores[b], text[t], len);
            }
        }
    }
    return check_done();
}
