/* SPDX-License-Identifier: Apache-2.0 */
/* AEAD contexts between record.c and the implementations: key lengths, the choice of implementation, the wipe; and the calls for test vectors. */
#include "internal.h"

size_t tf_aead_key_length(int aead)
{
    switch (aead) {
    case TF_AES_128_GCM:
        return 16;
    case TF_AES_256_GCM:
    case TF_CHACHA20_POLY1305:
        return 32;
    default:
        return 0;
    }
}

int tf_aead_set_key(tf_aead_key *key, int aead, const uint8_t *bytes, size_t len)
{
    if (len == 0 || len != tf_aead_key_length(aead))
        return TF_ERR_ARGUMENT;
    key->impl = aead == TF_CHACHA20_POLY1305 ? tf_dispatch_chacha20_poly1305() : tf_dispatch_aes_gcm();
    key->impl->set_key(key, bytes, len);
    return TF_OK;
}

void tf_aead_wipe(tf_aead_key *key)
{
    tf_wipe(key, sizeof *key);
}

void tf_aead_seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                  int trailer)
{
    static const uint8_t nothing = 0; /* in may be NULL when len is 0, and NULL plus an offset is not C */
    key->impl->seal(key, out, nonce, aad, aad_len, len > 0 ? in : &nothing, len, trailer);
    TF_PUBLIC(out, len + (trailer >= 0) + TF_TAG); /* ciphertext and tag go on the wire */
}

int tf_aead_open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                 const uint8_t *tag)
{
    return key->impl->open(key, out, nonce, aad, aad_len, in, len, tag) == 0 ? TF_OK : TF_ERR_BAD_RECORD_MAC;
}

/* RFC 5116: AES-GCM takes at most 2^36 - 31 bytes and ChaCha20-Poly1305 2^38 - 64; a record has 2^14. The tests' calls stop at 2^32. */
static int too_long(size_t len)
{
    return (uint64_t)len >> 32 != 0;
}

int tf_test_aead_seal(int aead, uint8_t *out, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in,
                      size_t len)
{
    tf_aead_key context;
    if (too_long(len) || too_long(aad_len) || tf_aead_set_key(&context, aead, key, tf_aead_key_length(aead)))
        return TF_ERR_ARGUMENT;
    tf_aead_seal(&context, out, nonce, aad, aad_len, in, len, -1);
    tf_aead_wipe(&context);
    return TF_OK;
}

int tf_test_aead_open(int aead, uint8_t *out, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in,
                      size_t len)
{
    tf_aead_key context;
    if (len < TF_TAG || too_long(len) || too_long(aad_len) || tf_aead_set_key(&context, aead, key, tf_aead_key_length(aead)))
        return TF_ERR_ARGUMENT;
    int rc = tf_aead_open(&context, out, nonce, aad, aad_len, in, len - TF_TAG, in + len - TF_TAG);
    tf_aead_wipe(&context);
    return rc;
}
