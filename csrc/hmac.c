/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC (RFC 2104) over hash.c, for kdf.c and schedule.c. A key is two hash states, prepared once; a message of one block costs two compressions, and
 * the two halves of a key, or two messages, go side by side where the processor gains from it. */
#include "internal.h"

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
    k->inner = k->outer = *tf_hash_initial(hash);
    tf_hash_compress_two(hash, &k->inner, ipad, &k->outer, opad);
    tf_wipe(ipad, sizeof ipad);
    tf_wipe(opad, sizeof opad);
}

void tf_hmac_start(const tf_hmac_key *k, tf_hash *inner)
{
    inner->hash = k->hash;
    inner->total = tf_hash_block(k->hash);
    inner->state = k->inner;
}

/* FIPS 180-4, 5.1, after the key's block and len bytes of content at the front of the last block: a one bit, zeros, the length in bits. */
static void end_block(int hash, uint8_t *block, size_t len)
{
    size_t size = tf_hash_block(hash);
    block[len] = 0x80;
    memset(block + len + 1, 0, size - len - 1);
    tf_store64be(block + size - 8, (uint64_t)(size + len) * 8);
}

/* out = H(K ^ opad, digest), the end of every HMAC. */
static void finish(const tf_hmac_key *k, uint8_t *out, uint8_t digest_block[TF_HASH_BLOCK_MAX])
{
    tf_hash_words outer = k->outer;
    end_block(k->hash, digest_block, tf_hash_length(k->hash));
    tf_hash_compress(k->hash, &outer, digest_block, 1);
    tf_hash_store(k->hash, out, &outer);
    tf_wipe(&outer, sizeof outer);
}

void tf_hmac_finish(const tf_hmac_key *k, tf_hash *inner, uint8_t *out)
{
    TF_ALIGNED(16) uint8_t block[TF_HASH_BLOCK_MAX];
    tf_hash_finish(inner, block);
    finish(k, out, block);
    tf_wipe(block, sizeof block);
}

int tf_hmac_is_short(int hash, size_t len)
{
    size_t size = tf_hash_block(hash);
    return len < size - size / 8;
}

void tf_hmac_short(const tf_hmac_key *k, uint8_t *out, uint8_t block[TF_HASH_BLOCK_MAX], size_t len)
{
    tf_hash_words inner = k->inner;
    end_block(k->hash, block, len);
    tf_hash_compress(k->hash, &inner, block, 1);
    tf_hash_store(k->hash, block, &inner);
    finish(k, out, block);
    tf_wipe(&inner, sizeof inner);
}

void tf_hmac_short_two(const tf_hmac_key *const k[2], uint8_t *const out[2], uint8_t block[2][TF_HASH_BLOCK_MAX], const size_t len[2])
{
    int hash = k[0]->hash;
    tf_hash_words a = k[0]->inner, b = k[1]->inner;
    end_block(hash, block[0], len[0]);
    end_block(hash, block[1], len[1]);
    tf_hash_compress_two(hash, &a, block[0], &b, block[1]);
    tf_hash_store(hash, block[0], &a);
    tf_hash_store(hash, block[1], &b);
    end_block(hash, block[0], tf_hash_length(hash));
    end_block(hash, block[1], tf_hash_length(hash));
    a = k[0]->outer;
    b = k[1]->outer;
    tf_hash_compress_two(hash, &a, block[0], &b, block[1]);
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
        TF_ALIGNED(16) uint8_t block[TF_HASH_BLOCK_MAX];
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
