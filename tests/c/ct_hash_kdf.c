/* SPDX-License-Identifier: Apache-2.0 */
/* Constant time of hashing, HMAC, HKDF, the TLS 1.3 key schedule, and TLS 1.2's PRF, Finished and choice of a premaster secret: keys, secrets and
 * messages are secret, and what RSA decryption gave, with its length; other lengths, labels and transcripts are public. */
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
    tf_secret psk, shared, master, client, server, exporter, out;
    uint8_t bytes[TF_SECRET_MAX], transcript[TF_HASH_MAX], ours[TF_HASH_MAX], theirs[TF_HASH_MAX];
    const uint8_t *label = (const uint8_t *)"key";
    size_t length = tf_hash_length(hash);
    ct_noise(bytes, sizeof bytes, 3);
    check_noise(transcript, sizeof transcript, 4);
    CHECK(tf_secret_set(&psk, bytes, length) == TF_OK && tf_secret_random(&shared, 32) == TF_OK);
    CHECK(tf_early_secret(hash, &master, &psk) == TF_OK && tf_secret_random(&client, length) == TF_OK && tf_secret_random(&exporter, 48) == TF_OK);
    if (hash != TF_SHA512) {
        tf_schedule *s = tf_schedule_new(hash == TF_SHA256 ? TF_AES_128_GCM : TF_AES_256_GCM, hash);
        if (!CHECK(s != NULL))
            return;
        CHECK(tf_schedule_handshake(s, &shared, &psk, transcript) == TF_OK);
        CHECK(tf_schedule_finished(s, ours, TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET, transcript) == TF_OK);
        CHECK(tf_schedule_finished(s, theirs, TF_SERVER_HANDSHAKE_TRAFFIC_SECRET, transcript) == TF_OK);
        CHECK(tf_equal(ours, theirs, length) == 0); /* a Finished is secret until it is sent or was compared */
        CHECK(tf_schedule_application(s, transcript) == TF_OK);
        CHECK(tf_schedule_secret(s, &server, TF_SERVER_APPLICATION_TRAFFIC_SECRET) == TF_OK);
        CHECK(tf_schedule_resumption(s, transcript) == TF_OK);
        CHECK(tf_schedule_resumption_psk(s, &out, transcript, 3) == TF_OK);
        CHECK(tf_binder(hash, ours, &out, transcript) == TF_OK && tf_finished(hash, theirs, &server, transcript) == TF_OK);
        CHECK(tf_equal(ours, theirs, length) == 0);
        tf_schedule_free(s);
    }
    CHECK(tf_hkdf_expand_label(hash, &out, 16, &client, label, 3, NULL, 0) == TF_OK);
    CHECK(tf_hkdf_extract(hash, &out, &master, &exporter) == TF_OK);
    CHECK(tf_hkdf_expand(hash, &out, 200, &out, transcript, length) == TF_OK);
    CHECK(tf_secret_reveal(&out, bytes, 200) == TF_OK && bytes[0] + bytes[199] >= 0); /* revealed bytes are public: no report here */
}

static void run_prf12(int hash)
{
    uint8_t decrypted[48], transcript[TF_HASH_MAX], ours[12], theirs[12];
    tf_secret random, premaster, master, key_block;
    const uint8_t *label = (const uint8_t *)"server finished";
    check_noise(transcript, sizeof transcript, 5);
    for (size_t len = 0; len <= 49; len += 7) {
        for (int version = 0; version <= 0x0303; version += 0x0303) {
            size_t secret_len = len;
            TF_SECRET(&secret_len, sizeof secret_len);
            ct_noise(decrypted, sizeof decrypted, len);
            if (version != 0) {
                decrypted[0] = decrypted[1] = 3; /* chosen, if the length is 48 */
                TF_SECRET(decrypted, 2);
            }
            CHECK(tf_secret_random(&random, 48) == TF_OK);
            CHECK(tf_premaster_select(&premaster, decrypted, len == 49 ? secret_len - 1 : secret_len, 0x0303, &random) == TF_OK);
            CHECK(tf_equal(premaster.bytes, random.bytes, 48) == (len != 49 || version == 0));
        }
    }
    CHECK(tf_prf12(hash, &master, 48, &premaster, label, 15, transcript, sizeof transcript) == TF_OK);
    CHECK(tf_prf12(hash, &key_block, 72, &master, label, 13, transcript, sizeof transcript) == TF_OK);
    CHECK(tf_finished12(hash, ours, &master, label, 15, transcript) == TF_OK);
    CHECK(tf_finished12(hash, theirs, &key_block, label, 15, transcript) == TF_OK);
    CHECK(tf_equal(ours, theirs, 12) == 0); /* secret until it was compared */
}

int main(int argc, char **argv)
{
    static const int hashes[] = {TF_SHA256, TF_SHA384, TF_SHA512};
    ct_start(argc, argv);
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        run_hash(hashes[i]);
        run_schedule(hashes[i]);
    }
    run_prf12(TF_SHA256);
    run_prf12(TF_SHA384);
    return check_done();
}
