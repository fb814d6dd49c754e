/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, SHA-384 and SHA-512 over the dispatched compression functions: the transcript hash, and what kdf.c builds HMAC from. FIPS 180-4, 5 and 6.
 */
#include "internal.h"

#include <stdlib.h>

/* FIPS 180-4, 5.3.3: the first 32 bits of the fractional parts of the square roots of the first 8 primes. */
static const tf_hash_words sha256_initial = {
    .h32 = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
};

/* FIPS 180-4, 5.3.4: the first 64 bits of the same for the 9th to 16th primes. */
static const tf_hash_words sha384_initial = {
    .h64 =
        {
            0xcbbb9d5dc1059ed8,
            0x629a292a367cd507,
            0x9159015a3070dd17,
            0x152fecd8f70e5939,
            0x67332667ffc00b31,
            0x8eb44a8768581511,
            0xdb0c2e0d64f98fa7,
            0x47b5481dbefa4fa4,
        },
};

/* FIPS 180-4, 5.3.5: the same for the first 8 primes. */
static const tf_hash_words sha512_initial = {
    .h64 =
        {
            0x6a09e667f3bcc908,
            0xbb67ae8584caa73b,
            0x3c6ef372fe94f82b,
            0xa54ff53a5f1d36f1,
            0x510e527fade682d1,
            0x9b05688c2b3e6c1f,
            0x1f83d9abfb41bd6b,
            0x5be0cd19137e2179,
        },
};

/* SHA-256 bounds a message to 2^64 - 1 bits; one bound serves all three. */
static const uint64_t total_max = ((uint64_t)1 << 61) - 1;

size_t tf_hash_length(int hash)
{
    return hash == TF_SHA256 ? 32 : hash == TF_SHA384 ? 48 : hash == TF_SHA512 ? 64 : 0;
}

size_t tf_hash_block(int hash)
{
    return hash == TF_SHA256 ? 64 : 128;
}

const tf_hash_words *tf_hash_initial(int hash)
{
    return hash == TF_SHA256 ? &sha256_initial : hash == TF_SHA384 ? &sha384_initial : hash == TF_SHA512 ? &sha512_initial : NULL;
}

int tf_hash_start(tf_hash *state, int hash)
{
    const tf_hash_words *initial = tf_hash_initial(hash);
    memset(state, 0, sizeof *state);
    if (initial == NULL)
        return TF_ERR_ARGUMENT;
    state->state = *initial;
    state->hash = hash;
    return TF_OK;
}

void tf_hash_store(int hash, uint8_t *out, const tf_hash_words *state)
{
    if (hash == TF_SHA256)
        for (size_t i = 0; i < 8; i++)
            tf_store32be(out + 4 * i, state->h32[i]);
    else
        for (size_t i = 0; i < (hash == TF_SHA384 ? 6 : 8); i++)
            tf_store64be(out + 8 * i, state->h64[i]);
}

static void compress(tf_hash *state, const uint8_t *blocks, size_t count)
{
    if (state->hash == TF_SHA256)
        tf_dispatch_sha256()->compress(state->state.h32, blocks, count);
    else
        tf_dispatch_sha512()->compress(state->state.h64, blocks, count);
}

int tf_hash_update(tf_hash *state, const uint8_t *in, size_t len)
{
    size_t block = tf_hash_block(state->hash), fill = (size_t)(state->total % block);
    if (len > total_max - state->total)
        return TF_ERR_ARGUMENT;
    if (len == 0)
        return TF_OK;
    state->total += len;
    if (fill > 0) {
        size_t part = len < block - fill ? len : block - fill;
        memcpy(state->block + fill, in, part);
        if (fill + part < block)
            return TF_OK;
        compress(state, state->block, 1);
        in += part;
        len -= part;
    }
    size_t count = len / block;
    if (count > 0)
        compress(state, in, count);
    if (len > count * block)
        memcpy(state->block, in + count * block, len - count * block);
    return TF_OK;
}

/* FIPS 180-4, 5.1: a one bit, zeros, and the length in bits as the last 8 bytes of a block (of the last 16 in SHA-512, the first 8 being zero here).
 */
void tf_hash_finish(tf_hash *state, uint8_t *out)
{
    size_t block = tf_hash_block(state->hash), fill = (size_t)(state->total % block);
    state->block[fill++] = 0x80;
    if (fill > block - block / 8) {
        memset(state->block + fill, 0, block - fill);
        compress(state, state->block, 1);
        fill = 0;
    }
    memset(state->block + fill, 0, block - fill);
    tf_store64be(state->block + block - 8, state->total * 8);
    compress(state, state->block, 1);

    tf_hash_store(state->hash, out, &state->state);
    tf_wipe(state, sizeof *state);
}

tf_hash *tf_hash_new(int hash)
{
    tf_hash *state = calloc(1, sizeof *state);
    if (state != NULL && tf_hash_start(state, hash)) {
        free(state);
        return NULL;
    }
    return state;
}

tf_hash *tf_hash_clone(const tf_hash *state)
{
    tf_hash *copy = malloc(sizeof *copy);
    if (copy != NULL)
        *copy = *state;
    return copy;
}

void tf_hash_free(tf_hash *state)
{
    if (state == NULL)
        return;
    tf_wipe(state, sizeof *state);
    free(state);
}

int tf_hash_digest(const tf_hash *state, uint8_t *out)
{
    tf_hash copy = *state;
    tf_hash_finish(&copy, out);
    return TF_OK;
}

int tf_hash_update_digest(tf_hash *state, uint8_t *out, const uint8_t *in, size_t len)
{
    int rc = tf_hash_update(state, in, len);
    return rc ? rc : tf_hash_digest(state, out);
}

int tf_hash_once(int hash, uint8_t *out, const uint8_t *in, size_t len)
{
    tf_hash state;
    int rc = tf_hash_start(&state, hash);
    if (!rc)
        rc = tf_hash_update(&state, in, len);
    if (rc)
        return rc;
    tf_hash_finish(&state, out);
    return TF_OK;
}
