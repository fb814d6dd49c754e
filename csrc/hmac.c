/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC (RFC 2104) over hash.c, for kdf.c and schedule.c. A key is two hash states, prepared once; a message of one block costs two compressions, and
 * the two halves of a key, or two messages, go side by side where the processor gains from it. */
#include "internal.h"

static void compress(const tf_hmac_key *k, tf_hash_words *state, const uint8_t *block)
{
    if (k->hash == TF_SHA256)
        k->sha256->compress(state->h32, block, 1);
    else
        k->sha512->compress(state->h64, block, 1);
}

static void compress_two(const tf_hmac_key *k, tf_hash_words *a, const uint8_t *block_a, tf_hash_words *b, const uint8_t *block_b)
{
    if (k->hash == TF_SHA256 && k->sha256->compress_two != NULL) {
        k->sha256->compress_two(a->h32, block_a, b->h32, block_b);
    } else if (k->hash != TF_SHA256 && k->sha512->compress_two != NULL) {
        k->sha512->compress_two(a->h64, block_a, b->h64, block_b);
    } else {
        compress(k, a, block_a);
        compress(k, b, block_b);
    }
}

void tf_hmac_set_key(tf_hmac_key *k, int hash, const uint8_t *key, size_t len)
{
    TF_ALIGNED(16) uint8_t ipad[TF_HASH_BLOCK_MAX], opad[TF_HASH_BLOCK_MAX] = {0};
    if (len > tf_hash_block(hash))
        tf_hash_once(hash, opad, key, len);
    else if (len > 0)
        memcpy(opad, key, len);
    for (size_t i = 0; i < sizeof opad; i++) { /* more than SHA-256's block, whose end is not read */
        ipad[i] = opad[i] ^ 0x36;
        opad[i] ^= 0x5c;
    }
    k->hash = hash;
    k->sha256 = tf_dispatch_sha256();
    k->sha512 = tf_dispatch_sha512();
    k->inner = k->outer = *tf_hash_initial(hash);
    compress_two(k, &k->inner, ipad, &k->outer, opad);
    tf_wipe(ipad, sizeof ipad);
    tf_wipe(opad, sizeof opad);
}

void tf_hmac_start(const tf_hmac_key *k, tf_hash *inner)
{
    inner->hash = k->hash;
    inner->total = tf_hash_block(k->hash);
    inner->state = k->inner;
}

/* FIPS 180-4, 5.1, where the key's block and then len bytes of content at the front of block are the message: zeros stand behind the content, into
 * which go a one bit and the length in bits. */
TF_INLINE void end_message(int hash, uint8_t block[TF_HASH_BLOCK_MAX], size_t len)
{
    size_t size = hash == TF_SHA256 ? 64 : 128;
    block[len] = 0x80;
    block[size - 2] = (uint8_t)((size + len) * 8 >> 8); /* of the 8 bytes these two are enough for two blocks */
    block[size - 1] = (uint8_t)((size + len) * 8);
}

/* The last block of H(K ^ opad, digest): the digest is that of the inner state. */
TF_INLINE void outer_block(int hash, uint8_t block[TF_HASH_BLOCK_MAX], const tf_hash_words *inner)
{
    if (hash == TF_SHA256)
        memset(block + 32, 0, 32);
    else
        memset(block + 48, 0, 80);
    tf_hash_store(hash, block, inner);
    end_message(hash, block, hash == TF_SHA256 ? 32 : hash == TF_SHA384 ? 48 : 64);
}

void tf_hmac_finish(const tf_hmac_key *k, tf_hash *inner, uint8_t *out)
{
    TF_ALIGNED(16) uint8_t block[TF_HASH_BLOCK_MAX] = {0};
    tf_hash_words outer = k->outer;
    tf_hash_finish(inner, block);
    end_message(k->hash, block, tf_hash_length(k->hash));
    compress(k, &outer, block);
    tf_hash_store(k->hash, out, &outer);
    tf_wipe(block, sizeof block);
    tf_wipe(&outer, sizeof outer);
}

int tf_hmac_is_short(int hash, size_t len)
{
    return len < (hash == TF_SHA256 ? 64 - 8 : 128 - 16);
}

void tf_hmac_short(const tf_hmac_key *k, uint8_t *out, uint8_t block[TF_HASH_BLOCK_MAX], size_t len)
{
    tf_hash_words state = k->inner;
    end_message(k->hash, block, len);
    compress(k, &state, block);
    outer_block(k->hash, block, &state);
    state = k->outer;
    compress(k, &state, block);
    tf_hash_store(k->hash, out, &state);
    tf_wipe(&state, sizeof state);
}

void tf_hmac_short_two(const tf_hmac_key *const k[2], uint8_t *const out[2], uint8_t block[2][TF_HASH_BLOCK_MAX], const size_t len[2])
{
    int hash = k[0]->hash;
    tf_hash_words a = k[0]->inner, b = k[1]->inner;
    end_message(hash, block[0], len[0]);
    end_message(hash, block[1], len[1]);
    compress_two(k[0], &a, block[0], &b, block[1]);
    outer_block(hash, block[0], &a);
    outer_block(hash, block[1], &b);
    a = k[0]->outer;
    b = k[1]->outer;
    compress_two(k[0], &a, block[0], &b, block[1]);
    tf_hash_store(hash, out[0], &a);
    tf_hash_store(hash, out[1], &b);
    tf_wipe(&a, sizeof a);
    tf_wipe(&b, sizeof b);
}

void tf_hmac_once(int hash, uint8_t *out, const uint8_t *key, size_t key_len, const uint8_t *in, size_t len)
{
    tf_hmac_key k;
    tf_hmac_set_key(&k, hash, key, key_len);
    if (tf_hmac_is_short(hash, len)) {
        TF_ALIGNED(16) uint8_t block[TF_HASH_BLOCK_MAX] = {0};
        if (len > 0)
            memcpy(block, in, len);
        tf_hmac_short(&k, out, block, len);
        tf_wipe(block, sizeof block);
    } else {
        tf_hash inner;
        tf_hmac_start(&k, &inner);
        tf_hash_update(&inner, in, len);
        tf_hmac_finish(&k, &inner, out);
    }
    tf_wipe(&k, sizeof k);
}

int tf_hmac(int hash, uint8_t *out, const uint8_t *key, size_t key_len, const uint8_t *in, size_t len)
{
    if (tf_hash_length(hash) == 0)
        return TF_ERR_ARGUMENT;
    tf_hmac_once(hash, out, key, key_len, in, len);
    return TF_OK;
}
