/* SPDX-License-Identifier: Apache-2.0 */
/* Constant time of the AEADs: key, nonce and plaintext are secret; lengths, additional data and ciphertext are public. */
#include "ct_check.h"

static void run(int aead, size_t len)
{
    uint8_t key[32], nonce[12], aad[13], *plain = malloc(len + 1), *sealed = malloc(len + 16), *opened = malloc(len + 1);
    if (!CHECK(plain != NULL && sealed != NULL && opened != NULL))
        exit(2);
    ct_noise(key, sizeof key, len);
    ct_noise(nonce, sizeof nonce, len + 1); /* in TLS 1.3 the nonce is made of a secret iv */
    ct_noise(plain, len, len + 2);
    check_noise(aad, sizeof aad, len + 3);
    CHECK(tf_test_aead_seal(aead, sealed, key, nonce, aad, sizeof aad, plain, len) == TF_OK);
    CHECK(tf_test_aead_open(aead, opened, key, nonce, aad, sizeof aad, sealed, len + 16) == TF_OK);
    sealed[len / 2] ^= 1;
    CHECK(tf_test_aead_open(aead, opened, key, nonce, aad, sizeof aad, sealed, len + 16) == TF_ERR_BAD_RECORD_MAC);
    free(plain);
    free(sealed);
    free(opened);
}

int main(int argc, char **argv)
{
    static const int aeads[] = {TF_AES_128_GCM, TF_AES_256_GCM, TF_CHACHA20_POLY1305};
    static const size_t lengths[] = {0, 1, 15, 16, 17, 48, 49, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 600, 1024, 1023, 1350, 1586};
    ct_start(argc, argv);
    for (size_t a = 0; a < sizeof aeads / sizeof *aeads; a++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            run(aeads[a], lengths[i]);
    return check_done();
}
