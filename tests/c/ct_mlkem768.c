/* SPDX-License-Identifier: Apache-2.0 */
/* Constant time of ML-KEM-768: seeds, messages, the decapsulation key, all that is drawn from them, and whether a ciphertext was rejected, are
 * secret; rho, encapsulation keys and ciphertexts are public. */
#include "ct_check.h"

int main(int argc, char **argv)
{
    tf_secret sent, received;
    uint8_t ek[TF_MLKEM768_EK], ct[TF_MLKEM768_CT], seed[TF_MLKEM768_SEED], m[32];
    ct_start(argc, argv);
    tf_mlkem768_key *key = tf_mlkem768_key_new();
    CHECK(key != NULL && tf_mlkem768_generate(key, ek) == TF_OK);
    for (uint64_t n = 0; n < 30; n++) { /* two or so draw a fourth block */
        if (n > 0) {
            ct_noise(seed, sizeof seed, n);
            CHECK(tf_test_mlkem768_generate(key, ek, seed) == TF_OK);
        }
        ct_noise(m, sizeof m, 100 + n);
        CHECK((n == 0 ? tf_mlkem768_encapsulate(&sent, ct, ek) : tf_test_mlkem768_encapsulate(&sent, ct, ek, m)) == TF_OK);
        CHECK(tf_mlkem768_decapsulate(&received, key, ct) == TF_OK && tf_equal(sent.bytes, received.bytes, 32) == 1);
        ct[n] ^= 1;
        CHECK(tf_mlkem768_decapsulate(&received, key, ct) == TF_OK && tf_equal(sent.bytes, received.bytes, 32) == 0);
    }
    ek[0] = 0xff; /* a coefficient that is not below q */
    ek[1] |= 0x0f;
    CHECK(tf_mlkem768_encapsulate(&sent, ct, ek) == TF_ERR_PEER_KEY);
    CHECK(tf_secret_join(&sent, &received, &received) == TF_OK && sent.len == 64);
    tf_mlkem768_key_free(key);
    return check_done();
}
