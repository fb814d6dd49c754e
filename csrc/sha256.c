/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256's compression function in portable C, beneath hash.c. FIPS 180-4, 4.1.2 and 6.2.2: additions, rotations and Boolean functions of
 * 32-bit words alone, so its time does not depend on the data. */
#include "internal.h"

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const uint32_t tf_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

TF_INLINE uint32_t rotr(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* One round without the renaming of the eight variables: what step 3 of 6.2.2 calls e and a is left in d and h. */
TF_INLINE void step(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g, uint32_t *h, uint32_t k_plus_w)
{
    uint32_t ch = g ^ (e & (f ^ g));
    uint32_t maj = (a & b) | (c & (a | b));
    uint32_t t1 = *h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ch + k_plus_w;
    *d += t1;
    *h = t1 + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + maj;
}

/* W(t) for t = i modulo 16, at the place of W(t - 16); in the first 16 rounds it is there already. */
TF_INLINE uint32_t word(uint32_t w[16], int i, int is_first)
{
    if (is_first)
        return w[i];
    uint32_t w_15 = w[(i + 1) & 15], w_2 = w[(i + 14) & 15];
    uint32_t sigma0 = rotr(w_15, 7) ^ rotr(w_15, 18) ^ w_15 >> 3;
    uint32_t sigma1 = rotr(w_2, 17) ^ rotr(w_2, 19) ^ w_2 >> 10;
    return w[i] += sigma0 + w[(i + 9) & 15] + sigma1;
}

/* Eight rounds: after these every variable is back at its place. i and is_first are constants where this is inlined. */
TF_INLINE void eight_steps(uint32_t s[8], uint32_t w[16], const uint32_t *k, int i, int is_first)
{
    step(s[0], s[1], s[2], &s[3], s[4], s[5], s[6], &s[7], k[i] + word(w, i, is_first));
    step(s[7], s[0], s[1], &s[2], s[3], s[4], s[5], &s[6], k[i + 1] + word(w, i + 1, is_first));
    step(s[6], s[7], s[0], &s[1], s[2], s[3], s[4], &s[5], k[i + 2] + word(w, i + 2, is_first));
    step(s[5], s[6], s[7], &s[0], s[1], s[2], s[3], &s[4], k[i + 3] + word(w, i + 3, is_first));
    step(s[4], s[5], s[6], &s[7], s[0], s[1], s[2], &s[3], k[i + 4] + word(w, i + 4, is_first));
    step(s[3], s[4], s[5], &s[6], s[7], s[0], s[1], &s[2], k[i + 5] + word(w, i + 5, is_first));
    step(s[2], s[3], s[4], &s[5], s[6], s[7], s[0], &s[1], k[i + 6] + word(w, i + 6, is_first));
    step(s[1], s[2], s[3], &s[4], s[5], s[6], s[7], &s[0], k[i + 7] + word(w, i + 7, is_first));
}

static void compress(uint32_t state[8], const uint8_t *blocks, size_t count)
{
    uint32_t w[16], s[8];
    for (; count > 0; count--, blocks += 64) {
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 16; i++)
            w[i] = tf_load32be(blocks + 4 * i);
        eight_steps(s, w, tf_sha256_k, 0, 1);
        eight_steps(s, w, tf_sha256_k, 8, 1);
        for (int t = 16; t < 64; t += 16) {
            eight_steps(s, w, tf_sha256_k + t, 0, 0);
            eight_steps(s, w, tf_sha256_k + t, 8, 0);
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
    tf_wipe(w, sizeof w);
    tf_wipe(s, sizeof s);
}

const tf_sha256_impl tf_sha256_portable = {"sha256_portable", 0, compress, NULL};
