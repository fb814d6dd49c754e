/* SPDX-License-Identifier: Apache-2.0 */
/* Self-test of csrc/mlkem768.c and Keccak: digests of what other implementations make of the same seeds, every backend against the portable one,
 * implicit rejection, keys that are refused. */
#include "../../csrc/internal.h"
#include "check.h"

static const uint32_t masks[] = {0, TF_CPU_AVX2, TF_CPU_AVX512, TF_CPU_AVX2 | TF_CPU_AVX512, ~(uint32_t)0};
enum { MASKS = sizeof masks / sizeof *masks };

static void check_digest(const uint8_t *in, size_t len, const char *expected)
{
    uint8_t digest[32];
    CHECK(tf_hash_once(TF_SHA256, digest, in, len) == TF_OK && check_is(digest, expected));
}

static void test_keccak(void)
{
    /* FIPS 202's SHA3-512 of the empty message, and of eight words. */
    uint8_t out[64], in[64] = {0};
    tf_sha3_512(out, in, 0, 0x06);
    CHECK(check_is(out, "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6"
                        "15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26"));
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    tf_sha3_512(out, in, 8, 0x06);
    CHECK(check_is(out, "cb29601efbee71f4dfbb7f1c2bdaeafdb212df6ae35f8bb1ee6c0a245b99f3f3"
                        "5a82957567a30cfb01ae28b94c7223a62c5c786e8624b8faddcb913e3ab2ce71"));

    /* Whatever stands in the lanes, each state of four is permuted like one alone. */
    static const uint64_t fills[] = {0, ~(uint64_t)0, 0x5555555555555555, 0x8000000000000001};
    for (size_t m = 0; m < MASKS; m++) {
        tf_cpu_limit(masks[m]);
        const tf_keccak_x4_impl *impl = tf_dispatch_keccak_x4();
        for (uint64_t seed = 0; seed < 400; seed++)
            for (unsigned count = 1; count <= 4; count++) {
                tf_keccak_x4 states;
                uint64_t one[4][25];
                uint8_t noise[800];
                check_noise(noise, sizeof noise, seed);
                for (size_t s = 0; s < 4; s++)
                    for (size_t i = 0; i < 25; i++) {
                        one[s][i] = seed < 4 ? fills[seed] : tf_load64le(noise + 8 * (25 * s + i));
                        states.lane[i][s] = one[s][i];
                    }
                impl->permute(&states, count);
                for (size_t s = 0; s < count; s++) {
                    tf_keccak_permute(one[s]);
                    int same = 1;
                    for (size_t i = 0; i < 25; i++)
                        same &= states.lane[i][s] == one[s][i];
                    CHECK(same);
                }
            }
    }
}

static uint32_t bits_at(const uint8_t *p, size_t index, unsigned d)
{
    uint32_t value = 0;
    for (unsigned bit = 0; bit < d; bit++) {
        size_t at = index * d + bit;
        value |= (uint32_t)(p[at / 8] >> at % 8 & 1) << bit;
    }
    return value;
}

/* Compress_d and Decompress_d of every value (FIPS 203, 4.2.1), by division; every representative of a coefficient is encoded as the canonical one.
 */
static void test_encoding(void)
{
    for (size_t m = 0; m < MASKS; m++) {
        tf_cpu_limit(masks[m]);
        const tf_mlkem768_impl *impl = tf_dispatch_mlkem768();
        tf_mlkem_poly p;
        uint8_t twelve[384], ten[320], four[128], one[32], in[384];
        int good = 1;
        for (int first = -TF_MLKEM_Q; first <= TF_MLKEM_Q; first += 251) {
            for (int i = 0; i < 256; i++) {
                int c = first + (i * 5) % 256;
                p.c[i] = (int16_t)(c > TF_MLKEM_Q ? TF_MLKEM_Q : c);
            }
            impl->encode12(twelve, &p);
            impl->encode10(ten, &p);
            impl->encode4(four, &p);
            impl->encode1(one, &p);
            for (size_t i = 0; i < 256; i++) {
                uint32_t x = (uint32_t)(p.c[i] + 2 * TF_MLKEM_Q) % TF_MLKEM_Q;
                good &= bits_at(twelve, i, 12) == x;
                good &= bits_at(ten, i, 10) == ((x << 11) + TF_MLKEM_Q) / (2 * TF_MLKEM_Q) % 1024;
                good &= bits_at(four, i, 4) == ((x << 5) + TF_MLKEM_Q) / (2 * TF_MLKEM_Q) % 16;
                good &= bits_at(one, i, 1) == ((x << 2) + TF_MLKEM_Q) / (2 * TF_MLKEM_Q) % 2;
            }
        }
        CHECK(good);
        for (uint64_t seed = 0; seed < 60; seed++) {
            check_noise(in, sizeof in, seed);
            int above = impl->decode12(&p, in), expected = 0;
            for (size_t i = 0; i < 256; i++) {
                good &= p.c[i] == (int32_t)bits_at(in, i, 12);
                expected |= p.c[i] >= TF_MLKEM_Q;
            }
            good &= (above != 0) == expected;
            impl->decode10(&p, in);
            for (size_t i = 0; i < 256; i++)
                good &= p.c[i] == (int32_t)(bits_at(in, i, 10) * TF_MLKEM_Q + 512) >> 10;
            impl->decode4(&p, in);
            for (size_t i = 0; i < 256; i++)
                good &= p.c[i] == (int32_t)(bits_at(in, i, 4) * TF_MLKEM_Q + 8) >> 4;
            impl->decode1(&p, in);
            for (size_t i = 0; i < 256; i++)
                good &= p.c[i] == (int32_t)bits_at(in, i, 1) * ((TF_MLKEM_Q + 1) / 2);
            impl->noise(&p, in);
            for (size_t i = 0; i < 256; i++) {
                uint32_t four_bits = bits_at(in, i, 4);
                good &= p.c[i] == (int32_t)((four_bits & 1) + (four_bits >> 1 & 1)) - (int32_t)((four_bits >> 2 & 1) + (four_bits >> 3));
            }
        }
        CHECK(good);
    }
}

/* What a polynomial in this implementation's order is to others: canonical coefficients in the standard's order. */
static void standard(const tf_mlkem768_impl *impl, uint8_t out[384], tf_mlkem_poly p)
{
    impl->order(&p);
    impl->encode12(out, &p);
}

/* The transforms and the product of polynomials whose coefficients are as large as they may be, in signs that make every sum as large as it can get,
 * and of noise, are what the portable code makes of them. */
static void test_arithmetic(void)
{
    const tf_mlkem768_impl *portable = &tf_mlkem768_portable;
    static const int16_t sizes[] = {TF_MLKEM_Q, 1664, 1665, 1};
    for (size_t m = 0; m < MASKS; m++) {
        tf_cpu_limit(masks[m]);
        const tf_mlkem768_impl *impl = tf_dispatch_mlkem768();
        for (uint64_t seed = 0; seed < 200; seed++) {
            tf_mlkem_poly ours[6], theirs[6], r, s;
            uint8_t noise[512], a[384], b[384];
            for (size_t k = 0; k < 6; k++) {
                check_noise(noise, sizeof noise, 6 * seed + k);
                for (size_t i = 0; i < 256; i++) {
                    int16_t size = sizes[seed % 4];
                    int16_t any = (int16_t)((noise[2 * i] | noise[2 * i + 1] << 8) % (2 * TF_MLKEM_Q + 1) - TF_MLKEM_Q);
                    int16_t sign = seed < 36 ? (int16_t)((i >> seed / 4 & 1) != 0 ? -1 : 1) : (int16_t)(noise[i] & 1 ? -1 : 1);
                    theirs[k].c[i] = seed < 100 ? (int16_t)(size * sign) : any;
                }
                ours[k] = theirs[k];
                impl->order(&ours[k]);
            }
            r = ours[0];
            s = theirs[0];
            impl->transform_back(&r);
            portable->transform_back(&s);
            impl->encode12(a, &r);
            portable->encode12(b, &s);
            CHECK(memcmp(a, b, sizeof a) == 0);
            impl->multiply(&r, ours, 1, ours + 3);
            portable->multiply(&s, theirs, 1, theirs + 3);
            standard(impl, a, r);
            standard(portable, b, s);
            CHECK(memcmp(a, b, sizeof a) == 0);
            r = s = theirs[1];
            impl->transform(&r);
            portable->transform(&s);
            standard(impl, a, r);
            standard(portable, b, s);
            CHECK(memcmp(a, b, sizeof a) == 0);
            int16_t largest = 0;
            for (size_t i = 0; i < 256; i++)
                largest = (int16_t)(abs(r.c[i]) > largest ? abs(r.c[i]) : largest);
            CHECK(largest <= TF_MLKEM_Q);
        }
    }
}

/* SampleNTT's loop in two calls, the first of 24 to 336 bytes: candidates below q in their order, never more than 256. */
static void test_uniform(void)
{
    for (size_t m = 0; m < MASKS; m++) {
        tf_cpu_limit(masks[m]);
        const tf_mlkem768_impl *impl = tf_dispatch_mlkem768();
        int good = 1;
        for (uint64_t seed = 0; seed < 600; seed++) {
            struct {
                tf_mlkem_poly p;
                int16_t guard[16];
            } out;
            uint8_t in[672];
            size_t cut = 24 * (1 + (size_t)seed % 27), wanted = 0;
            int16_t expected[256];
            check_noise(in, sizeof in, seed);
            if (seed % 3 == 0)
                memset(in, seed % 2 ? 0 : 0xff, (size_t)seed % sizeof in);
            for (size_t i = 0; i < 448 && wanted < 256; i++)
                if (bits_at(in, i, 12) < TF_MLKEM_Q)
                    expected[wanted++] = (int16_t)bits_at(in, i, 12);
            memset(&out, 0x7e, sizeof out);
            size_t have = impl->uniform(&out.p, 0, in, cut);
            have = impl->uniform(&out.p, have, in + cut, sizeof in - cut);
            good &= have == wanted && memcmp(out.p.c, expected, 2 * wanted) == 0;
            for (size_t i = 0; i < 16; i++)
                good &= out.guard[i] == 0x7e7e;
        }
        CHECK(good);
    }
}

/* Everything that one seed and one message give. */
typedef struct {
    uint8_t ek[TF_MLKEM768_EK], ct[TF_MLKEM768_CT], shared[32], rejected[32];
} results;

static void run(results *r, tf_mlkem768_key *key, const uint8_t seed[64], const uint8_t m[32], size_t flip)
{
    tf_secret sent, received;
    CHECK(tf_test_mlkem768_generate(key, r->ek, seed) == TF_OK);
    CHECK(tf_test_mlkem768_encapsulate(&sent, r->ct, r->ek, m) == TF_OK && sent.len == 32);
    CHECK(tf_mlkem768_decapsulate(&received, key, r->ct) == TF_OK && received.len == 32);
    memcpy(r->shared, sent.bytes, 32);
    CHECK(memcmp(received.bytes, r->shared, 32) == 0);
    uint8_t changed[TF_MLKEM768_CT];
    memcpy(changed, r->ct, sizeof changed);
    changed[flip / 8] = (uint8_t)(changed[flip / 8] ^ 1 << flip % 8);
    CHECK(tf_mlkem768_decapsulate(&received, key, changed) == TF_OK && received.len == 32);
    memcpy(r->rejected, received.bytes, 32);
    CHECK(memcmp(r->rejected, r->shared, 32) != 0);

    /* J(z | c) by the portable permutation: eight blocks, and a ninth of 32 bytes. */
    uint64_t state[25] = {0};
    uint8_t message[9 * 136] = {0}, expected[32];
    memcpy(message, seed + 32, 32);
    memcpy(message + 32, changed, sizeof changed);
    message[32 + TF_MLKEM768_CT] = 0x1f;
    message[sizeof message - 1] = 0x80;
    for (size_t block = 0; block < 9; block++) {
        for (size_t i = 0; i < 17; i++)
            state[i] ^= tf_load64le(message + 136 * block + 8 * i);
        tf_keccak_permute(state);
    }
    for (size_t i = 0; i < 4; i++)
        tf_store64le(expected + 8 * i, state[i]);
    CHECK(memcmp(r->rejected, expected, 32) == 0);
}

/* seed 0, 1, .., 63 and m 100, 101, .., 131: OpenSSL makes the same key, and decapsulates to the same secrets. */
static void test_known(tf_mlkem768_key *key)
{
    uint8_t seed[64], m[32];
    results r;
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof m; i++)
        m[i] = (uint8_t)(100 + i);
    for (size_t at = 0; at < MASKS; at++) {
        tf_cpu_limit(masks[at]);
        run(&r, key, seed, m, 0);
        check_digest(r.ek, sizeof r.ek, "0b7934c83125c788995e2ba6bd761e33046b3e40571be53e023309a29f398cc9");
        check_digest(r.ct, sizeof r.ct, "57fe559432dbb3c5547c73f155820622f7efdd532e4330360a36ebf7d2ddec55");
        CHECK(check_is(r.shared, "c5a74110c158acbaf9c01deb86fa6cc10c14533feda54bec1fdd000d61f07e4e"));
        CHECK(check_is(r.rejected, "bb28c25ed3222c13ce49d65f663f1c9f148565a664747e142f1abe06f33f4826"));
    }
}

/* 300 keys: some twenty have a matrix entry for which three blocks do not do. */
static void test_agrees(tf_mlkem768_key *key)
{
    uint8_t noise[96];
    results expected, r;
    for (uint64_t n = 0; n < 300; n++) {
        check_noise(noise, sizeof noise, n);
        if (n == 1)
            memset(noise, 0xff, sizeof noise);
        if (n == 2)
            memset(noise, 0, sizeof noise);
        for (size_t at = 0; at < MASKS; at++) {
            tf_cpu_limit(masks[at]);
            run(at == 0 ? &expected : &r, key, noise, noise + 64, (size_t)(n * 29) % (8 * TF_MLKEM768_CT));
            if (at > 0)
                CHECK(memcmp(&expected, &r, sizeof r) == 0);
        }
    }
}

/* Any byte of the ciphertext changed, also so little that it decrypts to the same message: never the secret, always the same other one. */
static void test_every_byte(tf_mlkem768_key *key)
{
    uint8_t ek[TF_MLKEM768_EK], ct[TF_MLKEM768_CT], zero[64] = {0};
    tf_secret sent, received, again;
    for (size_t at = 0; at < MASKS; at++) {
        tf_cpu_limit(masks[at]);
        CHECK(tf_test_mlkem768_generate(key, ek, zero) == TF_OK && tf_test_mlkem768_encapsulate(&sent, ct, ek, zero) == TF_OK);
        if (at > 0 && tf_cpu_features() == 0)
            continue; /* the portable code again */
        for (size_t i = 0; i < 2 * sizeof ct; i++) {
            size_t byte = i / 2, bit = i % 2 * 4;
            ct[byte] = (uint8_t)(ct[byte] ^ 1 << bit);
            CHECK(tf_mlkem768_decapsulate(&received, key, ct) == TF_OK && received.len == 32);
            CHECK(memcmp(received.bytes, sent.bytes, 32) != 0);
            CHECK(i % 64 != 0 || (tf_mlkem768_decapsulate(&again, key, ct) == TF_OK && memcmp(&again, &received, sizeof again) == 0));
            ct[byte] = (uint8_t)(ct[byte] ^ 1 << bit);
        }
        CHECK(tf_mlkem768_decapsulate(&received, key, ct) == TF_OK && memcmp(&received, &sent, sizeof sent) == 0);
    }
}

/* A key serves whoever decapsulates with it, whatever the processor shows by then. */
static void test_key_keeps_its_order(tf_mlkem768_key *key)
{
    uint8_t ek[TF_MLKEM768_EK], ct[TF_MLKEM768_CT];
    tf_secret sent, received;
    for (size_t made = 0; made < MASKS; made++)
        for (size_t used = 0; used < MASKS; used++) {
            tf_cpu_limit(masks[made]);
            CHECK(tf_mlkem768_generate(key, ek) == TF_OK);
            tf_cpu_limit(masks[used]);
            CHECK(tf_mlkem768_encapsulate(&sent, ct, ek) == TF_OK);
            CHECK(tf_mlkem768_decapsulate(&received, key, ct) == TF_OK);
            CHECK(memcmp(&sent, &received, sizeof sent) == 0);
        }
}

/* FIPS 203, 7.2: coefficient i set to value. */
static void set_coefficient(uint8_t *ek, size_t i, unsigned value)
{
    uint8_t *p = ek + i / 2 * 3;
    if (i % 2 == 0) {
        p[0] = (uint8_t)value;
        p[1] = (uint8_t)((p[1] & 0xf0) | value >> 8);
    } else {
        p[1] = (uint8_t)((p[1] & 0x0f) | (value & 0x0f) << 4);
        p[2] = (uint8_t)(value >> 4);
    }
}

static void test_refused(tf_mlkem768_key *key)
{
    uint8_t ek[TF_MLKEM768_EK], bad[TF_MLKEM768_EK], ct[TF_MLKEM768_CT], zero[TF_MLKEM768_CT] = {0};
    static const unsigned values[] = {3329, 3330, 3584, 4095};
    tf_secret shared;
    for (size_t at = 0; at < MASKS; at++) {
        tf_cpu_limit(masks[at]);
        CHECK(tf_mlkem768_generate(key, ek) == TF_OK);
        for (size_t i = 0; i < 768; i++) {
            memcpy(bad, ek, sizeof bad);
            set_coefficient(bad, i, values[i % 4]);
            memset(ct, 1, sizeof ct);
            tf_secret_set(&shared, zero, 32);
            CHECK(tf_mlkem768_encapsulate(&shared, ct, bad) == TF_ERR_PEER_KEY && shared.len == 0);
            CHECK(memcmp(ct, zero, sizeof ct) == 0);
            if (i % 16 == 0) {
                set_coefficient(bad, i, 3328);
                CHECK(tf_mlkem768_encapsulate(&shared, ct, bad) == TF_OK && shared.len == 32);
            }
        }
    }
    tf_mlkem768_key_wipe(key);
    tf_secret_set(&shared, zero, 32);
    CHECK(tf_mlkem768_decapsulate(&shared, key, ct) == TF_ERR_ARGUMENT && shared.len == 0);
}

static void test_join(void)
{
    uint8_t bytes[TF_SECRET_MAX];
    tf_secret a, b, out;
    check_noise(bytes, sizeof bytes, 1);
    tf_secret_set(&a, bytes, 32);
    tf_secret_set(&b, bytes + 32, 48);
    CHECK(tf_secret_join(&out, &a, &b) == TF_OK && out.len == 80 && memcmp(out.bytes, bytes, 80) == 0);
    CHECK(tf_secret_join(&b, &a, &b) == TF_OK && memcmp(&out, &b, sizeof b) == 0);
    CHECK(tf_secret_join(&a, &a, &a) == TF_OK && a.len == 64 && memcmp(a.bytes, bytes, 32) == 0 && memcmp(a.bytes + 32, bytes, 32) == 0);
    tf_secret_set(&a, bytes, 200);
    tf_secret_set(&b, bytes + 200, 56);
    CHECK(tf_secret_join(&out, &a, &b) == TF_OK && out.len == 256 && memcmp(out.bytes, bytes, 256) == 0);
    tf_secret_set(&b, bytes, 57);
    CHECK(tf_secret_join(&out, &a, &b) == TF_ERR_ARGUMENT && out.len == 0);
}

int main(void)
{
    tf_mlkem768_key *key = tf_mlkem768_key_new();
    if (!CHECK(key != NULL))
        return 1;
    test_keccak();
    test_encoding();
    test_arithmetic();
    test_uniform();
    test_known(key);
    test_agrees(key);
    test_every_byte(key);
    test_key_keeps_its_order(key);
    test_refused(key);
    test_join();
    tf_mlkem768_key_free(key);
    tf_mlkem768_key_free(NULL);
    return check_done();
}
