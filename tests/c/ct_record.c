/* SPDX-License-Identifier: Apache-2.0 */
/* Constant time of record protection: traffic secrets and content are secret; lengths, wire bytes, the verdict and, after it, the type are public. */
#include "ct_check.h"

enum { CONTENT = 1200, LIMIT = 400 };

/* hash 0: TLS 1.2, whose key block is the secret. */
static void run(int aead, int hash)
{
    static uint8_t content[CONTENT], wire[2 * CONTENT], opened[CONTENT + 16640];
    tf_secret secret;
    tf_sealed sealed;
    tf_opened r;
    tf_record_writer *writer = tf_record_writer_new();
    tf_record_reader *reader = tf_record_reader_new();
    size_t secret_len = hash != 0 ? tf_hash_length(hash) : 2 * (tf_aead_key_length(aead) + (aead == TF_CHACHA20_POLY1305 ? 12 : 4));
    if (!CHECK(writer != NULL && reader != NULL) || !CHECK(tf_secret_random(&secret, secret_len) == TF_OK))
        return;
    CHECK(tf_record_writer_set_limit(writer, LIMIT) == TF_OK);
    if (hash != 0) {
        CHECK(tf_record_writer_set_key13(writer, aead, hash, &secret) == TF_OK);
        CHECK(tf_record_reader_set_key13(reader, aead, hash, &secret) == TF_OK);
    } else {
        CHECK(tf_record_writer_set_key12(writer, aead, &secret, 1) == TF_OK);
        CHECK(tf_record_reader_set_key12(reader, aead, &secret, 1) == TF_OK);
    }

    ct_noise(content, sizeof content, 1);
    CHECK(tf_record_seal(writer, 23, wire, sizeof wire, content, sizeof content, &sealed) == TF_OK && sealed.consumed == sizeof content);
    CHECK(tf_record_open(reader, opened, sizeof opened, wire, sealed.written, 0, &r) == TF_OK);
    CHECK(r.consumed == sealed.written && r.data_len == sizeof content && r.type == 0);
    CHECK(tf_equal(opened, content, sizeof content) == 1);

    CHECK(tf_record_seal(writer, 22, wire, sizeof wire, content, 100, &sealed) == TF_OK);
    CHECK(tf_record_open(reader, opened, sizeof opened, wire, sealed.written, 1, &r) == TF_OK);
    CHECK(r.type == 22 && r.other_len == 100 && r.data_len == 0);

    CHECK(tf_record_seal(writer, 23, wire, sizeof wire, content, 100, &sealed) == TF_OK);
    wire[sealed.written - 1] ^= 1;
    CHECK(tf_record_open(reader, opened, sizeof opened, wire, sealed.written, 0, &r) == TF_ERR_BAD_RECORD_MAC && r.data_len == 0);
    tf_record_writer_free(writer);
    tf_record_reader_free(reader);
}

int main(int argc, char **argv)
{
    ct_start(argc, argv);
    run(TF_AES_128_GCM, TF_SHA256);
    run(TF_AES_256_GCM, TF_SHA384);
    run(TF_CHACHA20_POLY1305, TF_SHA256);
    for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++)
        run(aead, 0);
    return check_done();
}
