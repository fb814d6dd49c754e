/* SPDX-License-Identifier: Apache-2.0 */
/* Self-test of csrc/secret.c and csrc/random.c: lengths, wiping, comparison, and randomness that is not the same twice. */
#include "../../csrc/internal.h"
#include "check.h"

static void test_handles(void)
{
    uint8_t noise[TF_SECRET_MAX + 1], out[TF_SECRET_MAX], zero[TF_SECRET_MAX] = {0};
    tf_secret *secret = tf_secret_new();
    if (!CHECK(secret != NULL))
        return;
    check_noise(noise, sizeof noise, 1);
    CHECK(tf_secret_length(secret) == 0);
    CHECK(tf_secret_set(secret, noise, TF_SECRET_MAX) == TF_OK);
    CHECK(tf_secret_length(secret) == TF_SECRET_MAX);
    CHECK(tf_secret_reveal(secret, out, TF_SECRET_MAX) == TF_OK && memcmp(out, noise, TF_SECRET_MAX) == 0);

    CHECK(tf_secret_set(secret, noise, 32) == TF_OK);
    CHECK(memcmp(secret->bytes, noise, 32) == 0 && memcmp(secret->bytes + 32, zero, TF_SECRET_MAX - 32) == 0);
    CHECK(tf_secret_reveal(secret, out, 31) == TF_ERR_ARGUMENT && memcmp(out, zero, 31) == 0);
    CHECK(tf_secret_reveal(secret, out, 33) == TF_ERR_ARGUMENT && memcmp(out, zero, 33) == 0);
    CHECK(tf_secret_reveal(secret, NULL, 0) == TF_ERR_ARGUMENT);

    CHECK(tf_secret_set(secret, noise, TF_SECRET_MAX + 1) == TF_ERR_ARGUMENT && tf_secret_length(secret) == 0);
    CHECK(tf_secret_set(secret, noise, 32) == TF_OK);
    tf_secret_wipe(secret);
    CHECK(tf_secret_length(secret) == 0 && memcmp(secret->bytes, zero, TF_SECRET_MAX) == 0);
    CHECK(tf_secret_set(secret, NULL, 0) == TF_OK && tf_secret_reveal(secret, NULL, 0) == TF_OK);
    tf_secret_free(secret);
    tf_secret_free(NULL);
}

static void test_random(void)
{
    uint8_t a[1000] = {0}, b[1000] = {0};
    CHECK(tf_random(a, sizeof a) == TF_OK && tf_random(b, sizeof b) == TF_OK);
    CHECK(memcmp(a, b, 32) != 0 && memcmp(a, b, sizeof a) != 0);
    /* Every part of a long request is filled: 32 zeros in a row have one chance in 2^256. */
    uint8_t zero[32] = {0};
    for (size_t i = 0; i + 32 <= sizeof a; i++)
        CHECK(memcmp(a + i, zero, 32) != 0);
    CHECK(tf_random(NULL, 0) == TF_OK);

    tf_secret x, y;
    CHECK(tf_secret_random(&x, 48) == TF_OK && x.len == 48);
    CHECK(tf_secret_random(&y, 48) == TF_OK && memcmp(x.bytes, y.bytes, 48) != 0);
    CHECK(tf_secret_random(&x, TF_SECRET_MAX) == TF_OK && x.len == TF_SECRET_MAX);
    CHECK(tf_secret_random(&x, TF_SECRET_MAX + 1) == TF_ERR_ARGUMENT && x.len == 0);
}

static void test_equal(void)
{
    uint8_t a[65], b[65];
    check_noise(a, sizeof a, 2);
    memcpy(b, a, sizeof a);
    CHECK(tf_equal(a, b, 0) == 1 && tf_equal(a, b, sizeof a) == 1);
    for (size_t i = 0; i < sizeof a; i++)
        for (int bit = 0; bit < 8; bit++) {
            b[i] ^= (uint8_t)(1 << bit);
            CHECK(tf_equal(a, b, sizeof a) == 0);
            CHECK(tf_equal(a, b, i) == 1);
            b[i] = a[i];
        }
}

int main(void)
{
    test_handles();
    test_random();
    test_equal();
    return check_done();
}
