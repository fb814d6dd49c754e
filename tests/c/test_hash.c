/* SPDX-License-Identifier: Apache-2.0 */
/* Self-test of csrc/hash.c and every SHA-2 implementation: FIPS 180-4's examples, every length over four blocks, every way to cut a message in two.
 */
#include "../../csrc/internal.h"
#include "check.h"

static const char two_blocks[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";

typedef struct {
    int hash;
    const char *empty, *abc, *block, *blocks, *million;
    const char *lengths; /* the hash of the digests of the first 0, 1, .. 300 bytes of 0, 7, 14, .. modulo 256; from another implementation */
} vectors;

static const vectors all[] = {
    {TF_SHA256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1", "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
     "3b05b530351f50663ba5ac734c246d169eafec6b57c70dc6dc94cad39d04aad8"},
    {TF_SHA384, "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
     "3391fdddfc8dc7393707a65b1b4709397cf8b1d162af05abfe8f450de5f36bc6b0455a8520bc4e6f5fe95b1fe3c8452b",
     "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039",
     "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8985",
     "00ff192ce1d334e39d1ce94d135f2673fdd482a9f3b5bb8a86f1b38f7b7d1ccc0c1df396672e98a3d26b1bf65bfa0acf"},
    {TF_SHA512, "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c33596fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445",
     "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
     "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b",
     "8a732a2ef96b72c61264041d982c51f52f584ba520746f8dfcbe356c60311e9d68a05c40ac64998fb6bfca078a50d008373e7d30159f0e4626b1102c1cf370b3"},
};

static int digest_is(int hash, const char *message, const char *want)
{
    uint8_t out[TF_HASH_MAX];
    return tf_hash_once(hash, out, (const uint8_t *)message, strlen(message)) == TF_OK && check_is(out, want);
}

static void test_vectors(const vectors *v)
{
    uint8_t out[TF_HASH_MAX], piece[1000], message[301];
    CHECK(digest_is(v->hash, "", v->empty));
    CHECK(digest_is(v->hash, "abc", v->abc));
    CHECK(digest_is(v->hash, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", v->block));
    CHECK(digest_is(v->hash, two_blocks, v->blocks));

    tf_hash *million = tf_hash_new(v->hash), *lengths = tf_hash_new(v->hash);
    if (!CHECK(million != NULL && lengths != NULL))
        return;
    memset(piece, 'a', sizeof piece);
    for (int i = 0; i < 1000; i++)
        CHECK(tf_hash_update(million, piece, sizeof piece) == TF_OK);
    CHECK(tf_hash_digest(million, out) == TF_OK && check_is(out, v->million));

    for (size_t n = 0; n < sizeof message; n++) {
        message[n] = (uint8_t)(7 * n); /* the byte that the next turn adds */
        CHECK(tf_hash_once(v->hash, out, message, n) == TF_OK);
        CHECK(tf_hash_update(lengths, out, tf_hash_length(v->hash)) == TF_OK);
    }
    CHECK(tf_hash_digest(lengths, out) == TF_OK && check_is(out, v->lengths));
    tf_hash_free(million);
    tf_hash_free(lengths);
}

/* Any cut gives the same digest; a digest taken on the way and a clone change nothing. */
static void test_cuts(int hash)
{
    uint8_t message[400], whole[TF_HASH_MAX], half[TF_HASH_MAX], out[TF_HASH_MAX];
    check_noise(message, sizeof message, 3);
    for (size_t cut = 0; cut <= sizeof message; cut++) {
        tf_hash *a = tf_hash_new(hash);
        CHECK(tf_hash_update(a, message, cut) == TF_OK);
        CHECK(tf_hash_digest(a, out) == TF_OK);
        CHECK(tf_hash_once(hash, half, message, cut) == TF_OK);
        CHECK(memcmp(out, half, tf_hash_length(hash)) == 0);
        tf_hash *b = tf_hash_clone(a);
        CHECK(tf_hash_update(a, message + cut, sizeof message - cut) == TF_OK);
        CHECK(tf_hash_digest(a, out) == TF_OK);
        CHECK(tf_hash_once(hash, whole, message, sizeof message) == TF_OK);
        CHECK(memcmp(out, whole, tf_hash_length(hash)) == 0);
        CHECK(tf_hash_digest(b, out) == TF_OK && memcmp(out, half, tf_hash_length(hash)) == 0);
        tf_hash_free(a);
        tf_hash_free(b);
    }
}

/* The implementation of each mask against the portable one, at every length and eight alignments. */
static void test_implementations(int hash)
{
    static const uint32_t masks[] = {TF_CPU_SHANI | TF_CPU_ARM_SHA2, TF_CPU_AVX2 | TF_CPU_BMI2 | TF_CPU_ARM_SHA512, ~(uint32_t)0};
    uint8_t message[1108], portable[TF_HASH_MAX], out[TF_HASH_MAX];
    check_noise(message, sizeof message, 4);
    for (size_t m = 0; m < sizeof masks / sizeof *masks; m++)
        for (size_t n = 0; n <= 1100; n++) {
            tf_cpu_limit(0);
            CHECK(tf_hash_once(hash, portable, message + n % 8, n) == TF_OK);
            tf_cpu_limit(masks[m]);
            CHECK(tf_hash_once(hash, out, message + n % 8, n) == TF_OK);
            CHECK(memcmp(out, portable, tf_hash_length(hash)) == 0);
        }
    tf_cpu_limit(~(uint32_t)0);
}

static int selected(int primitive, const char *name)
{
    return strcmp(tf_implementation(primitive), name) == 0;
}

/* Which implementation a mask selects. */
static void test_dispatch(void)
{
    tf_cpu_limit(~(uint32_t)0);
    if (tf_cpu_features() & TF_CPU_SHANI)
        CHECK(selected(TF_PRIMITIVE_SHA256, "sha256_shani"));
    if (tf_cpu_features() & TF_CPU_ARM_SHA2)
        CHECK(selected(TF_PRIMITIVE_SHA256, "sha256_armv8"));
    if (tf_cpu_features() & TF_CPU_ARM_SHA512)
        CHECK(selected(TF_PRIMITIVE_SHA512, "sha512_armv8"));
    const uint32_t avx2 = TF_CPU_AVX2 | TF_CPU_BMI2, avx512 = avx2 | TF_CPU_AVX512;
    if ((tf_cpu_features() & avx512) == avx512)
        CHECK(selected(TF_PRIMITIVE_SHA512, "sha512_avx512vl"));
    tf_cpu_limit(~(uint32_t)TF_CPU_AVX512);
    if ((tf_cpu_features() & avx2) == avx2)
        CHECK(selected(TF_PRIMITIVE_SHA512, "sha512_avx2"));
    tf_cpu_limit(~(uint32_t)(TF_CPU_SHANI | TF_CPU_ARM_SHA2));
    CHECK(selected(TF_PRIMITIVE_SHA256, "sha256_portable"));
    tf_cpu_limit(~(uint32_t)(TF_CPU_AVX2 | TF_CPU_ARM_SHA512));
    CHECK(selected(TF_PRIMITIVE_SHA512, "sha512_portable"));
    tf_cpu_limit(~(uint32_t)0);
    printf("%s %s %s\n", tf_implementation(TF_PRIMITIVE_AES_GCM), tf_implementation(TF_PRIMITIVE_SHA256), tf_implementation(TF_PRIMITIVE_SHA512));
}

static void test_misuse(void)
{
    uint8_t out[TF_HASH_MAX];
    CHECK(tf_hash_length(TF_SHA256) == 32 && tf_hash_length(TF_SHA384) == 48 && tf_hash_length(TF_SHA512) == 64);
    CHECK(tf_hash_length(0) == 0 && tf_hash_length(4) == 0 && tf_hash_length(-1) == 0);
    CHECK(tf_hash_new(0) == NULL && tf_hash_new(4) == NULL);
    CHECK(tf_hash_once(4, out, NULL, 0) == TF_ERR_ARGUMENT);
    CHECK(tf_hash_once(TF_SHA256, out, NULL, 0) == TF_OK);
    tf_hash_free(NULL);

    tf_hash state; /* the bound of 2^61 bytes is refused, not wrapped */
    CHECK(tf_hash_start(&state, TF_SHA256) == TF_OK);
    state.total = ((uint64_t)1 << 61) - 64;
    CHECK(tf_hash_update(&state, out, 64) == TF_ERR_ARGUMENT);
    CHECK(tf_hash_update(&state, out, 63) == TF_OK);
}

int main(void)
{
    static const uint32_t masks[] = {0, ~(uint32_t)0};
    for (size_t m = 0; m < 2; m++) {
        tf_cpu_limit(masks[m]);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            test_vectors(&all[i]);
            test_cuts(all[i].hash);
        }
    }
    for (int hash = TF_SHA256; hash <= TF_SHA512; hash++)
        test_implementations(hash);
    test_dispatch();
    test_misuse();
    return check_done();
}
