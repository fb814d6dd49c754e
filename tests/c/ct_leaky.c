/* SPDX-License-Identifier: Apache-2.0 */
/* The leak that run_ct.sh must catch: ct_leaky MASK SOURCE LEAK, where LEAK (branch or index) looks at a secret byte, plain or come out of SOURCE.
 * With SOURCE none it is a toy; with a primitive it shows that the harness follows secrets through that implementation's instructions. */
#include "ct_check.h"

static const uint8_t table[256] = {1, 2, 3};
static volatile int sink;

/* Byte at of what sealing len zeros gives: of the ciphertext, or from len on of the tag. */
static uint8_t sealed_byte(int aead, const uint8_t *key_bytes, size_t len, size_t at)
{
    static tf_aead_key key;
    static uint8_t out[1400 + TF_TAG];
    CHECK(tf_aead_set_key(&key, aead, key_bytes, 32) == TF_OK);
    key.impl->seal(&key, out, out, NULL, 0, out, len, -1);
    return out[at];
}

/* A coefficient that depends on secret bytes by arithmetic alone. */
static uint8_t transformed_byte(const uint8_t *secret)
{
    tf_mlkem_poly p = {{0}};
    for (size_t i = 0; i < 64; i++)
        p.c[i] = secret[i];
    tf_dispatch_mlkem768()->transform(&p);
    return (uint8_t)p.c[200];
}

/* A byte of four states that secret bytes were permuted in. */
static uint8_t permuted_byte(const uint8_t *secret)
{
    tf_keccak_x4 states = {{{0}}};
    for (size_t s = 0; s < 4; s++)
        states.lane[0][s] = tf_load64le(secret + 8 * s);
    tf_dispatch_keccak_x4()->permute(&states, 4);
    return (uint8_t)states.lane[24][3];
}

/* A byte that depends on secret bytes through a primitive, taken before anything declassifies it. */
static uint8_t leak_source(const char *source)
{
    uint8_t secret[TF_X25519_BATCH * 32], out[TF_X25519_BATCH * 32] = {9};
    ct_noise(secret, sizeof secret, 1);
    if (strcmp(source, "none") == 0)
        return secret[0];
    if (strcmp(source, "aes_gcm") == 0)
        return sealed_byte(TF_AES_256_GCM, secret, 32, 0);
    if (strcmp(source, "aes_gcm_tag") == 0)
        return sealed_byte(TF_AES_256_GCM, secret, 32, 32);
    if (strcmp(source, "chacha20_poly1305") == 0)
        return sealed_byte(TF_CHACHA20_POLY1305, secret, 32, 0);
    if (strcmp(source, "chacha20_poly1305_tag") == 0)
        return sealed_byte(TF_CHACHA20_POLY1305, secret, 32, 32);
    if (strcmp(source, "chacha20_poly1305_long") == 0) /* long enough for other kernels than the short ones */
        return sealed_byte(TF_CHACHA20_POLY1305, secret, 1400, 1300);
    if (strcmp(source, "chacha20_poly1305_long_tag") == 0)
        return sealed_byte(TF_CHACHA20_POLY1305, secret, 1400, 1400);
    if (strcmp(source, "mlkem768_ntt") == 0)
        return transformed_byte(secret);
    if (strcmp(source, "keccak_x4") == 0)
        return permuted_byte(secret);
    if (strcmp(source, "sha256") == 0)
        tf_hash_once(TF_SHA256, out, secret, sizeof secret);
    else if (strcmp(source, "sha512") == 0)
        tf_hash_once(TF_SHA512, out, secret, sizeof secret);
    else if (strcmp(source, "x25519") == 0)
        tf_dispatch_x25519()->multiply(out, secret, out);
    else if (strcmp(source, "x25519_base") == 0)
        tf_dispatch_x25519()->base(out, secret);
    else if (strcmp(source, "x25519_base8") == 0)
        tf_dispatch_x25519()->base8((uint8_t(*)[32])out, (const uint8_t(*)[32])secret);
    else
        exit(2);
    return out[0];
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    ct_start(argc, argv);
    uint8_t byte = leak_source(argv[2]);
    if (strcmp(argv[3], "branch") == 0) {
        if (byte & 1)
            sink = 1; /* volatile: no compiler may make it unconditional */
    } else if (strcmp(argv[3], "index") == 0)
        sink = table[byte];
    else if (strcmp(argv[3], "nothing") != 0)
        return 2;
    return 0;
}
