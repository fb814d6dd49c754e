/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512's compression function (SHA-384's too) in portable C, beneath hash.c. FIPS 180-4, 4.1.3 and 6.4.2: additions, rotations and Boolean
 * functions of 64-bit words alone, so its time does not depend on the data. */
#include "internal.h"

/* FIPS 180-4, 4.2.3: the first 64 bits of the fractional parts of the cube roots of the first 80 primes. */
const uint64_t tf_sha512_k[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b,
    0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1,
    0x9bdc06a725c71235, 0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65, 0x2de92c6f592b0275,
    0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b, 0xa2bfe8a14cf10364, 0xa81a664bbc423001,
    0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8,
    0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec, 0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915,
    0xc67178f2e372532b, 0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c, 0x4cc5d4becb3e42b6,
    0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

TF_INLINE uint64_t rotr(uint64_t x, int n)
{
    return x >> n | x << (64 - n);
}

/* One round without the renaming of the eight variables: what step 3 of 6.4.2 calls e and a is left in d and h. */
TF_INLINE void step(uint64_t a, uint64_t b, uint64_t c, uint64_t *d, uint64_t e, uint64_t f, uint64_t g, uint64_t *h, uint64_t k_plus_w)
{
    uint64_t ch = g ^ (e & (f ^ g));
    uint64_t maj = (a & b) | (c & (a | b));
    uint64_t t1 = *h + (rotr(e, 14) ^ rotr(e, 18) ^ rotr(e, 41)) + ch + k_plus_w;
    *d += t1;
    *h = t1 + (rotr(a, 28) ^ rotr(a, 34) ^ rotr(a, 39)) + maj;
}

/* W(t) for t = i modulo 16, at the place of W(t - 16); in the first 16 rounds it is there already. */
TF_INLINE uint64_t word(uint64_t w[16], int i, int is_first)
{
    if (is_first)
        return w[i];
    uint64_t w_15 = w[(i + 1) & 15], w_2 = w[(i + 14) & 15];
    uint64_t sigma0 = rotr(w_15, 1) ^ rotr(w_15, 8) ^ w_15 >> 7;
    uint64_t sigma1 = rotr(w_2, 19) ^ rotr(w_2, 61) ^ w_2 >> 6;
    return w[i] += sigma0 + w[(i + 9) & 15] + sigma1;
}

/* Eight rounds: after these every variable is back at its place. i and is_first are constants where this is inlined. */
TF_INLINE void eight_steps(uint64_t s[8], uint64_t w[16], const uint64_t *k, int i, int is_first)
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

static void compress(uint64_t state[8], const uint8_t *blocks, size_t count)
{
    uint64_t w[16], s[8];
    for (; count > 0; count--, blocks += 128) {
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 16; i++)
            w[i] = tf_load64be(blocks + 8 * i);
        eight_steps(s, w, tf_sha512_k, 0, 1);
        eight_steps(s, w, tf_sha512_k, 8, 1);
        for (int t = 16; t < 80; t += 16) {
            eight_steps(s, w, tf_sha512_k + t, 0, 0);
            eight_steps(s, w, tf_sha512_k + t, 8, 0);
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
    tf_wipe(w, sizeof w);
    tf_wipe(s, sizeof s);
}

const tf_sha512_impl tf_sha512_portable = {"sha512_portable", 0, compress, NULL};
