/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 key agreement between secret handles, over the dispatched implementation. RFC 7748, 6.1; RFC 8446, 4.2.8.2 and 7.4.2. */
#include "internal.h"

enum { X25519_LENGTH = 32 };

int tf_x25519_public(uint8_t *public_key, const tf_secret *private_key)
{
    if (private_key->len != X25519_LENGTH) {
        memset(public_key, 0, X25519_LENGTH);
        return TF_ERR_ARGUMENT;
    }
    tf_dispatch_x25519()->base(public_key, private_key->bytes);
    TF_PUBLIC(public_key, X25519_LENGTH); /* goes out in key_share */
    return TF_OK;
}

int tf_x25519_generate(tf_secret *private_key, uint8_t *public_key)
{
    int rc = tf_secret_random(private_key, X25519_LENGTH);
    if (rc) {
        memset(public_key, 0, X25519_LENGTH);
        return rc;
    }
    return tf_x25519_public(public_key, private_key);
}

int tf_x25519_exchange(tf_secret *shared, const tf_secret *private_key, const uint8_t *peer_public)
{
    static const uint8_t zero[X25519_LENGTH];
    if (private_key->len != X25519_LENGTH) {
        tf_secret_wipe(shared);
        return TF_ERR_ARGUMENT;
    }
    uint8_t bytes[X25519_LENGTH];
    tf_dispatch_x25519()->multiply(bytes, private_key->bytes, peer_public);
    /* RFC 8446, 7.4.2: MUST check whether the computed Diffie-Hellman shared secret is the all-zero value and abort if so. The verdict is public: it
     * depends on the peer's key alone. */
    int rc = tf_equal(bytes, zero, sizeof bytes) ? TF_ERR_PEER_KEY : TF_OK;
    if (rc)
        tf_secret_wipe(shared);
    else
        tf_secret_set(shared, bytes, sizeof bytes);
    tf_wipe(bytes, sizeof bytes);
    return rc;
}
