/* SPDX-License-Identifier: Apache-2.0 */
/* Self-test of csrc/kex.c and X25519: RFC 7748's vectors and iteration, keys that give zero, values past p; the base point's combs, one scalar and
 * eight, against the ladder; both field arithmetics against each other; the pool. */
#include "../../csrc/internal.h"
#include "check.h"

/* The arithmetic that this build does not use, as a second implementation in this program. */
#if defined(TF_INT128)
#undef TF_INT128
#define tf_x25519_portable other_arithmetic
#define tf_x25519_base other_base
extern const tf_x25519_impl other_arithmetic;
#include "../../csrc/x25519.c"
#include "../../csrc/x25519_base.c"
#undef tf_x25519_base
#undef tf_x25519_portable
#define HAVE_BOTH 1
#endif

enum { POOL_SIZE = 2 * 32 * TF_X25519_BATCH }; /* at least this much is in a pool */

typedef struct {
    const char *scalar, *u, *out;
} vector;

/* RFC 7748, 5.2 (the second u has its top bit set, which is to be ignored) and 6.1. */
static const vector vectors[] = {
    {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
    {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d", "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
     "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
    {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    {"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
};

/* u coordinates of order 1, 2, 4 and 8 on the curve and its twist, with their unreduced forms below 2^255 (RFC 7748, 6.1 and 7). */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void test_vectors(const tf_x25519_impl *impl)
{
    uint8_t k[32], u[32], out[32];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        check_hex(k, 32, vectors[i].scalar);
        check_hex(u, 32, vectors[i].u);
        impl->multiply(out, k, u);
        CHECK(check_is(out, vectors[i].out));
    }
    check_hex(k, 32, vectors[2].scalar);
    impl->base(out, k);
    CHECK(check_is(out, vectors[3].u)); /* Alice's public key is what Bob used */
    check_hex(k, 32, vectors[3].scalar);
    impl->base(out, k);
    CHECK(check_is(out, vectors[2].u));

    /* RFC 7748, 5.2: k, u = X25519(k, u), k after 1 and after 1,000 turns. */
    uint8_t nine[32] = {9};
    memcpy(k, nine, 32);
    memcpy(u, nine, 32);
    for (int i = 1; i <= 1000; i++) {
        impl->multiply(out, k, u);
        memcpy(u, k, 32);
        memcpy(k, out, 32);
        if (i == 1)
            CHECK(check_is(k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
    }
    CHECK(check_is(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

/* 2^255 - 19 + n and n are one point for n = 2..18, whatever the top bit says. */
static void test_unreduced(const tf_x25519_impl *impl)
{
    uint8_t k[32], reduced[32], out[32];
    check_noise(k, sizeof k, 5);
    for (int n = 2; n <= 18; n++) {
        uint8_t small[32] = {(uint8_t)n}, large[32];
        memset(large, 0xff, sizeof large);
        large[0] = (uint8_t)(0xed + n);
        impl->multiply(reduced, k, small);
        impl->multiply(out, k, large);
        CHECK(memcmp(out, reduced, 32) == 0);
        large[31] = 0x7f;
        impl->multiply(out, k, large);
        CHECK(memcmp(out, reduced, 32) == 0);
    }
}

/* One scalar: multiplication of the base point is multiplication of u = 9. In a batch each lane is its scalar's, whatever the others are. */
static void check_base(const tf_x25519_impl *impl, const uint8_t k[32])
{
    static const uint8_t nine[32] = {9};
    static uint8_t scalars[TF_X25519_BATCH][32], expected[TF_X25519_BATCH][32];
    static size_t lane;
    uint8_t out[32], all[TF_X25519_BATCH][32];
    memcpy(scalars[lane], k, 32);
    tf_x25519_portable.multiply(expected[lane], k, nine);
    impl->base(out, k);
    CHECK(memcmp(out, expected[lane], 32) == 0);
    lane = (lane + 1) % TF_X25519_BATCH;
    if (impl->base8 == NULL || lane % 3 != 0) /* full of new scalars, and half old ones at other places */
        return;
    impl->base8(all, (const uint8_t(*)[32])scalars);
    for (size_t i = 0; i < TF_X25519_BATCH; i++)
        CHECK(memcmp(all[i], expected[i], 32) == 0);
}

/* Scalars of noise; of zeros and ones; of one bit, and of all but one; the group's order and its multiples up to the fifteenth, with their
 * neighbours, before clamping; and of one byte again and again. 4,000 of noise read each of the 448 entries with each sign some 190 times. */
static void test_base(const tf_x25519_impl *impl, uint64_t random_count)
{
    uint8_t k[32];
    for (uint64_t seed = 0; seed < random_count; seed++) {
        check_noise(k, sizeof k, 1000 + seed);
        check_base(impl, k);
    }
    for (int bit = 0; bit < 256; bit++) {
        memset(k, 0, sizeof k);
        k[bit / 8] = (uint8_t)(1 << bit % 8);
        check_base(impl, k);
        for (size_t i = 0; i < sizeof k; i++)
            k[i] = (uint8_t)~k[i];
        check_base(impl, k);
    }
    for (int fill = 0; fill < 256; fill++) {
        memset(k, fill, sizeof k);
        check_base(impl, k);
    }
    /* RFC 8032, 5.1: L = 2^252 + 27742317777372353535851937790883648493. */
    uint8_t order[32];
    check_hex(order, 32, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    for (int times = 1; times < 16; times++)
        for (int near = -1; near <= 1; near++) {
            int carry = near;
            for (size_t i = 0; i < sizeof k; i++) {
                carry += times * order[i];
                k[i] = (uint8_t)(carry & 0xff);
                carry >>= 8;
            }
            check_base(impl, k);
        }
}

/* Random inputs, and inputs whose words are all ones or all zeros, where carries run furthest. */
static void test_agrees(const tf_x25519_impl *impl)
{
    uint8_t noise[96], a[32], b[32];
    for (uint64_t seed = 0; seed < 600; seed++) {
        check_noise(noise, sizeof noise, seed);
        if (seed % 2)
            for (size_t i = 0; i < 64; i++)
                noise[i] = noise[64 + i % 32] & 1 << i % 8 ? 0xff : 0;
        tf_x25519_portable.multiply(a, noise, noise + 32);
        impl->multiply(b, noise, noise + 32);
        CHECK(memcmp(a, b, 32) == 0);
    }
}

static void test_exchange(void)
{
    tf_secret alice, bob, one, two;
    uint8_t alice_public[32], bob_public[32], again[32], zero[32] = {0};
    CHECK(tf_x25519_generate(&alice, alice_public) == TF_OK && alice.len == 32);
    CHECK(tf_x25519_generate(&bob, bob_public) == TF_OK && memcmp(alice.bytes, bob.bytes, 32) != 0);
    CHECK(tf_x25519_public(again, &alice) == TF_OK && memcmp(again, alice_public, 32) == 0);
    CHECK(tf_x25519_exchange(&one, &alice, bob_public) == TF_OK && one.len == 32);
    CHECK(tf_x25519_exchange(&two, &bob, alice_public) == TF_OK);
    CHECK(memcmp(one.bytes, two.bytes, 32) == 0);
    tf_secret same = bob; /* shared may be private_key */
    CHECK(tf_x25519_exchange(&same, &same, alice_public) == TF_OK && memcmp(same.bytes, one.bytes, 32) == 0);

    for (size_t i = 0; i < sizeof low_order / sizeof *low_order; i++)
        for (int top = 0; top < 2; top++) {
            check_hex(again, 32, low_order[i]);
            again[31] = (uint8_t)(again[31] | top << 7);
            one = two;
            CHECK(tf_x25519_exchange(&one, &alice, again) == TF_ERR_PEER_KEY);
            CHECK(one.len == 0 && memcmp(one.bytes, zero, 32) == 0);
        }

    tf_secret_set(&bob, zero, 31);
    CHECK(tf_x25519_exchange(&one, &bob, alice_public) == TF_ERR_ARGUMENT && one.len == 0);
    CHECK(tf_x25519_public(again, &bob) == TF_ERR_ARGUMENT && memcmp(again, zero, 32) == 0);
}

/* Pairs of the pool are pairs, no two alike; what was given is in the pool no more. */
static void test_pool(void)
{
    enum { TAKEN = 3 * TF_X25519_BATCH + 3 };
    tf_x25519_pool *pool = tf_x25519_pool_new();
    tf_secret private_keys[TAKEN];
    uint8_t public_key[32], again[32];
    for (size_t i = 0; i < TAKEN; i++) {
        CHECK(tf_x25519_take(pool, &private_keys[i], public_key) == TF_OK && private_keys[i].len == 32);
        CHECK(tf_x25519_public(again, &private_keys[i]) == TF_OK && memcmp(again, public_key, 32) == 0);
        for (size_t j = 0; j < i; j++)
            CHECK(memcmp(private_keys[i].bytes, private_keys[j].bytes, 32) != 0);
        if (pool != NULL) /* at any offset of the one page that the pool is in */
            for (size_t at = 0; at + 32 <= POOL_SIZE; at++)
                CHECK(memcmp((const uint8_t *)pool + at, private_keys[i].bytes, 32) != 0);
    }
    tf_x25519_pool_free(pool);
    tf_x25519_pool_free(NULL);
    CHECK(tf_x25519_take(NULL, &private_keys[0], public_key) == TF_OK);
    CHECK(tf_x25519_public(again, &private_keys[0]) == TF_OK && memcmp(again, public_key, 32) == 0);
}

int main(void)
{
    static const uint32_t masks[] = {0, TF_CPU_AVX512 | TF_CPU_IFMA, ~(uint32_t)0};
    const tf_x25519_impl *last = NULL;
    for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
        tf_cpu_limit(masks[m]);
        if (tf_dispatch_x25519() == last)
            continue;
        last = tf_dispatch_x25519();
        test_vectors(last);
        test_unreduced(last);
        test_base(last, 4000);
        test_agrees(last);
        test_exchange();
        test_pool();
    }
#if defined(HAVE_BOTH)
    test_vectors(&other_arithmetic);
    test_unreduced(&other_arithmetic);
    test_base(&other_arithmetic, 1000);
    test_agrees(&other_arithmetic);
#endif
    return check_done();
}
