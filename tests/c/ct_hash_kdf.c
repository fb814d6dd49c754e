/* SPDX-License-Identifier: Apache-2.0 */
/* Constant time of hashing, HMAC, HKDF and the TLS 1.3 key schedule: keys, secrets and messages are secret; lengths, labels and transcripts are
 * public. */
#include "ct_check.h"

static void run_hash(int hash)
{
    uint8_t message[300], key[150], a[TF_HASH_MAX], b[TF_HASH_MAX];
    ct_noise(message, sizeof message, 1);
    ct_noise(key, sizeof key, 2);
    for (size_t n = 0; n <= sizeof message; n += 29) {
        CHECK(tf_hash_once(hash, a, message, n) == TF_OK);
        CHECK(tf_hmac(hash, a, key, n / 2, message, n) == TF_OK);
        CHECK(tf_hmac(hash, b, key, n / 2, message, n) == TF_OK);
        CHECK(tf_equal(a, b, tf_hash_length(hash)) == 1);
        b[n % tf_hash_length(hash)] ^= 0x10;
        CHECK(tf_equal(a, b, tf_hash_length(hash)) == 0);
    }
    tf_hash *state = tf_hash_new(hash);
    if (!CHECK(state != NULL))
        return;
    CHECK(tf_hash_update(state, message, 100) == TF_OK && tf_hash_update(state, message, 200) == TF_OK);
    CHECK(tf_hash_digest(state, a) == TF_OK);
    tf_hash_free(state);
}

static void run_schedule(int hash)
{
    tf_secret psk, shared, early, handshake, master, client, server, exporter, out;
    uint8_t bytes[TF_SECRET_MAX], transcript[TF_HASH_MAX], ours[TF_HASH_MAX], theirs[TF_HASH_MAX];
    const uint8_t *label = (const uint8_t *)"key";
    size_t length = tf_hash_length(hash);
    ct_noise(bytes, sizeof bytes, 3);
    check_noise(transcript, sizeof transcript, 4);
    CHECK(tf_secret_set(&psk, bytes, length) == TF_OK && tf_secret_random(&shared, 32) == TF_OK);
    CHECK(tf_early_secret(hash, &early, &psk) == TF_OK);
    CHECK(tf_handshake_secrets(hash, &handshake, &client, &server, &early, &shared, transcript) == TF_OK);
    CHECK(tf_finished(hash, ours, &client, transcript) == TF_OK && tf_finished(hash, theirs, &server, transcript) == TF_OK);
    CHECK(tf_equal(ours, theirs, length) == 0); /* a Finished is secret until it is sent or was compared */
    CHECK(tf_application_secrets(hash, &master, &client, &server, &exporter, &handshake, transcript) == TF_OK);
    CHECK(tf_hkdf_expand_label(hash, &out, 16, &client, label, 3, NULL, 0) == TF_OK);
    CHECK(tf_hkdf_extract(hash, &out, &master, &exporter) == TF_OK);
    CHECK(tf_hkdf_expand(hash, &out, 200, &out, transcript, length) == TF_OK);
    CHECK(tf_secret_reveal(&out, bytes, 200) == TF_OK && bytes[0] + bytes[199] >= 0); /* revealed bytes are public: no report here */
}

int main(int argc, char **argv)
{
    static const int hashes[] = {TF_SHA256, TF_SHA384, TF_SHA512};
    ct_start(argc, argv);
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        run_hash(hashes[i]);
        run_schedule(hashes[i]);
    }
    return check_done();
}
