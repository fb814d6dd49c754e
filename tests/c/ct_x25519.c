/* SPDX-License-Identifier: Apache-2.0 */
/* Constant time of X25519: the private key and the shared secret are secret; public keys and the all-zero verdict are public. */
#include "ct_check.h"

int main(int argc, char **argv)
{
    tf_secret ours, theirs, shared;
    uint8_t our_public[32], their_public[32], zero[32] = {0};
    ct_start(argc, argv);
    CHECK(tf_x25519_generate(&ours, our_public) == TF_OK && tf_x25519_generate(&theirs, their_public) == TF_OK);
    CHECK(memcmp(our_public, their_public, 32) != 0);
    CHECK(tf_x25519_exchange(&shared, &ours, their_public) == TF_OK);
    CHECK(tf_x25519_exchange(&theirs, &theirs, our_public) == TF_OK);
    CHECK(tf_equal(shared.bytes, theirs.bytes, 32) == 1);
    CHECK(tf_x25519_exchange(&shared, &ours, zero) == TF_ERR_PEER_KEY);

    tf_x25519_pool *pool = tf_x25519_pool_new();
    for (int i = 0; i < 9; i++) { /* a batch and the first of the next */
        CHECK(tf_x25519_take(pool, &ours, our_public) == TF_OK);
        CHECK(memcmp(our_public, their_public, 32) != 0);
    }
    CHECK(tf_x25519_exchange(&shared, &ours, their_public) == TF_OK);
    tf_x25519_pool_free(pool);
    return check_done();
}
