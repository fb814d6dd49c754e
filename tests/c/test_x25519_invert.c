/* SPDX-License-Identifier: Apache-2.0 */
/* Self-test of the inversion modulo 2^255 - 19 that this build uses: csrc/x25519_invert.c, or x25519_field.h's without __int128. */
#include "../../csrc/x25519_field.h"
#include "check.h"

/* a a^-1 = 1, also in place; 0 for both forms of 0. */
static void check_inverse(const uint8_t bytes[32])
{
    static const uint8_t zero[32] = {0}, one[32] = {1};
    uint8_t out[32];
    fe a, b, c;
    fe_load(&a, bytes);
    fe_store(out, &a);
    int is_zero = memcmp(out, zero, 32) == 0;
    invert(&b, &a);
#if defined(TF_INT128)
    for (int i = 0; i < 5; i++)
        CHECK(b.v[i] < ((uint64_t)1 << 51) + (1 << 13));
#endif
    fe_mul(&c, &a, &b);
    fe_store(out, &c);
    CHECK(memcmp(out, is_zero ? zero : one, 32) == 0);
    invert(&a, &a);
    fe_mul(&c, &a, is_zero ? &a : &b);
    fe_store(out, &c);
    fe_mul(&c, &b, &b);
    uint8_t square[32];
    fe_store(square, &c);
    CHECK(memcmp(out, square, 32) == 0);
}

/* Noise; words of ones and zeros; 0 to 40 and p down to p - 40, with 0 to 18 also as p to 2^255 - 1; powers of two, their sums with 1, and with -1.
 */
int main(void)
{
    uint8_t bytes[64];
    for (uint64_t seed = 0; seed < 6000; seed++) {
        check_noise(bytes, sizeof bytes, seed);
        if (seed % 2)
            for (size_t i = 0; i < 32; i++)
                bytes[i] = bytes[32 + i] & 1 << i % 8 ? 0xff : 0;
        check_inverse(bytes);
    }
    for (int n = -18; n <= 40; n++) {
        memset(bytes, 0xff, 32);
        bytes[31] = 0x7f;
        bytes[0] = (uint8_t)(0xed - n);
        check_inverse(bytes);
        memset(bytes, 0, 32);
        bytes[0] = (uint8_t)(n + 18);
        check_inverse(bytes);
    }
    for (int bit = 0; bit < 255; bit++) {
        memset(bytes, 0, 32);
        bytes[bit / 8] = (uint8_t)(1 << bit % 8);
        check_inverse(bytes);
        bytes[0] |= 1;
        check_inverse(bytes);
        memset(bytes, 0xff, (size_t)bit / 8);
        bytes[bit / 8] = (uint8_t)((1 << bit % 8) - 1);
        check_inverse(bytes);
    }
    return check_done();
}
