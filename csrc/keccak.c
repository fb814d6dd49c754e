/* SPDX-License-Identifier: Apache-2.0 */
/* Keccak-f[1600], portable: one state, and four one after the other for the interface that vector implementations fill at once; SHA3-512 of one
 * block. Beneath mlkem768.c. FIPS 202, 3 and 6.1. No table is indexed and no branch taken by what is hashed. */
#include "internal.h"

#include "keccak_round.h"

const uint64_t tf_keccak_iota[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
    0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
    0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

#define LANE uint64_t
#define XOR(a, b) ((a) ^ (b))
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define CHI(a, b, c) ((a) ^ (~(b) & (c)))
#define ROTATE(a, n) ((a) << (n) | (a) >> (64 - (n)))
#define IOTA(n) tf_keccak_iota[n]

void tf_keccak_permute(uint64_t state[25])
{
    uint64_t a[25], e[25];
    memcpy(a, state, sizeof a);
    for (int round = 0; round < 24; round += 2) {
        KECCAK_ROUND(e, a, round);
        KECCAK_ROUND(a, e, round + 1);
    }
    memcpy(state, a, sizeof a);
}

static void permute(tf_keccak_x4 *states, unsigned count)
{
    uint64_t state[25];
    for (unsigned s = 0; s < count; s++) {
        for (size_t i = 0; i < 25; i++)
            state[i] = states->lane[i][s];
        tf_keccak_permute(state);
        for (size_t i = 0; i < 25; i++)
            states->lane[i][s] = state[i];
    }
    tf_wipe(state, sizeof state);
}

void tf_sha3_512(uint8_t out[64], const uint8_t *in, size_t words, uint64_t last)
{
    uint64_t state[25] = {0};
    for (size_t i = 0; i < words; i++)
        state[i] = tf_load64le(in + 8 * i);
    state[words] = last;
    state[8] ^= (uint64_t)1 << 63;
    tf_keccak_permute(state);
    for (size_t i = 0; i < 8; i++)
        tf_store64le(out + 8 * i, state[i]);
    tf_wipe(state, sizeof state);
}

const tf_keccak_x4_impl tf_keccak_x4_portable = {"keccak_x4_portable", 0, permute};
