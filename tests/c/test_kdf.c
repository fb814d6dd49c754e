/* SPDX-License-Identifier: Apache-2.0 */
/* Self-test of csrc/hmac.c, kdf.c and schedule.c: RFC 4231's HMAC vectors, RFC 5869's HKDF vectors, the key schedule of RFC 8448, 3, and the aliases
 * the header allows. Every schedule is held against the RFC's formulas step by step. */
#include "../../csrc/internal.h"
#include "check.h"

/* ---- HMAC: RFC 4231, 4.2-4.8 without the truncated case; a key and a message are a byte repeated, or text ---- */

typedef struct {
    const char *key_text; /* NULL: key_len times key_byte */
    uint8_t key_byte;
    size_t key_len;
    const char *text; /* NULL: text_len times text_byte */
    uint8_t text_byte;
    size_t text_len;
    const char *sha256, *sha384, *sha512;
} hmac_vector;

static const char larger_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
static const char larger_both[] =
    "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before "
    "being used by the HMAC algorithm.";
static const char counting[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19";

static const hmac_vector hmac_vectors[] = {
    {NULL, 0x0b, 20, "Hi There", 0, 8, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
     "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
     "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
    {"Jefe", 0, 4, "what do ya want for nothing?", 0, 28, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
    {NULL, 0xaa, 20, NULL, 0xdd, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
     "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
     "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
    {counting, 0, 25, NULL, 0xcd, 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
     "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
     "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
    {NULL, 0xaa, 131, larger_key, 0, sizeof larger_key - 1, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
     "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
     "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
    {NULL, 0xaa, 131, larger_both, 0, sizeof larger_both - 1, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
     "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
     "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
};

static void test_hmac(void)
{
    uint8_t key[200], text[200], out[TF_HASH_MAX];
    for (size_t i = 0; i < sizeof hmac_vectors / sizeof *hmac_vectors; i++) {
        const hmac_vector *v = &hmac_vectors[i];
        memset(key, v->key_byte, sizeof key);
        memset(text, v->text_byte, sizeof text);
        if (v->key_text)
            memcpy(key, v->key_text, v->key_len);
        if (v->text)
            memcpy(text, v->text, v->text_len);
        CHECK(tf_hmac(TF_SHA256, out, key, v->key_len, text, v->text_len) == TF_OK && check_is(out, v->sha256));
        CHECK(tf_hmac(TF_SHA384, out, key, v->key_len, text, v->text_len) == TF_OK && check_is(out, v->sha384));
        CHECK(tf_hmac(TF_SHA512, out, key, v->key_len, text, v->text_len) == TF_OK && check_is(out, v->sha512));
    }
    CHECK(tf_hmac(4, out, key, 1, text, 1) == TF_ERR_ARGUMENT);
    CHECK(tf_hmac(TF_SHA256, out, NULL, 0, NULL, 0) == TF_OK);
    CHECK(check_is(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

/* ---- HKDF: RFC 5869, A.1-A.3 ---- */

static void set_hex(tf_secret *secret, const char *text)
{
    uint8_t bytes[TF_SECRET_MAX];
    CHECK(tf_secret_set(secret, bytes, check_hex(bytes, sizeof bytes, text)) == TF_OK);
}

static int secret_is(const tf_secret *secret, const char *text)
{
    return 2 * secret->len == strlen(text) && check_is(secret->bytes, text);
}

static void set_range(uint8_t *out, int from, int to)
{
    for (int i = from; i < to; i++)
        *out++ = (uint8_t)i;
}

static void test_hkdf(void)
{
    tf_secret ikm, salt, prk, okm;
    uint8_t info[80], range[80];
    set_hex(&ikm, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    set_hex(&salt, "000102030405060708090a0b0c");
    CHECK(tf_hkdf_extract(TF_SHA256, &prk, &salt, &ikm) == TF_OK);
    CHECK(secret_is(&prk, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
    set_range(info, 0xf0, 0xfa);
    CHECK(tf_hkdf_expand(TF_SHA256, &okm, 42, &prk, info, 10) == TF_OK);
    CHECK(secret_is(&okm, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"));

    CHECK(tf_hkdf_extract(TF_SHA256, &prk, NULL, &ikm) == TF_OK);
    CHECK(secret_is(&prk, "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"));
    CHECK(tf_hkdf_expand(TF_SHA256, &okm, 42, &prk, NULL, 0) == TF_OK);
    CHECK(secret_is(&okm, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"));

    set_range(range, 0x00, 0x50);
    tf_secret_set(&ikm, range, 80);
    set_range(range, 0x60, 0xb0);
    tf_secret_set(&salt, range, 80);
    set_range(info, 0xb0, 0x100);
    CHECK(tf_hkdf_extract(TF_SHA256, &prk, &salt, &ikm) == TF_OK);
    CHECK(secret_is(&prk, "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"));
    CHECK(tf_hkdf_expand(TF_SHA256, &okm, 82, &prk, info, 80) == TF_OK);
    CHECK(secret_is(&okm,
                    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3"
                    "db71cc30c58179ec3e87c14c01d5c1f3434f1d87"));

    /* The aliases: prk may be ikm or salt, out may be prk. */
    tf_secret same = ikm;
    CHECK(tf_hkdf_extract(TF_SHA256, &same, &salt, &same) == TF_OK && memcmp(&same, &prk, sizeof same) == 0);
    same = salt;
    CHECK(tf_hkdf_extract(TF_SHA256, &same, &same, &ikm) == TF_OK && memcmp(&same, &prk, sizeof same) == 0);
    same = prk;
    CHECK(tf_hkdf_expand(TF_SHA256, &same, 82, &same, info, 80) == TF_OK && memcmp(&same, &okm, sizeof same) == 0);
    tf_secret label = prk;
    CHECK(tf_hkdf_expand_label(TF_SHA256, &okm, 100, &prk, (const uint8_t *)"x", 1, info, 80) == TF_OK);
    CHECK(tf_hkdf_expand_label(TF_SHA256, &label, 100, &label, (const uint8_t *)"x", 1, info, 80) == TF_OK);
    CHECK(memcmp(&label, &okm, sizeof label) == 0);

    /* NULL ikm is the hash's length of zeros. */
    uint8_t zeros[48] = {0};
    tf_secret_set(&ikm, zeros, sizeof zeros);
    CHECK(tf_hkdf_extract(TF_SHA384, &prk, &salt, &ikm) == TF_OK && tf_hkdf_extract(TF_SHA384, &okm, &salt, NULL) == TF_OK);
    CHECK(memcmp(&prk, &okm, sizeof prk) == 0);
}

/* ---- RFC 8448, 3 ---- */

static int held_is(const tf_schedule *schedule, int number, const char *want)
{
    tf_secret out;
    return tf_schedule_secret(schedule, &out, number) == TF_OK && secret_is(&out, want);
}

static int traffic_is(const tf_schedule *schedule, int number, const char *key, const char *iv)
{
    const tf_traffic *traffic = tf_schedule_traffic(schedule, number);
    return traffic != NULL && check_is(traffic->key, key) && check_is(traffic->iv, iv);
}

static void test_key_schedule(void)
{
    tf_secret private_key, shared, early;
    uint8_t peer[32], hash[32], out[32];
    tf_schedule *schedule = tf_schedule_new(TF_AES_128_GCM, TF_SHA256);
    if (!CHECK(schedule != NULL))
        return;
    set_hex(&private_key, "49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005");
    check_hex(peer, 32, "c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f");
    CHECK(tf_x25519_public(out, &private_key) == TF_OK);
    CHECK(check_is(out, "99381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c"));
    CHECK(tf_x25519_exchange(&shared, &private_key, peer) == TF_OK);
    CHECK(secret_is(&shared, "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"));
    CHECK(tf_early_secret(TF_SHA256, &early, NULL) == TF_OK);
    CHECK(secret_is(&early, "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"));

    check_hex(hash, 32, "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8"); /* ClientHello..ServerHello */
    CHECK(tf_schedule_handshake(schedule, &shared, NULL, hash) == TF_OK && shared.len == 0);
    CHECK(held_is(schedule, TF_STAGE_SECRET, "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac"));
    CHECK(held_is(schedule, TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"));
    CHECK(held_is(schedule, TF_SERVER_HANDSHAKE_TRAFFIC_SECRET, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"));
    CHECK(traffic_is(schedule, TF_SERVER_HANDSHAKE_TRAFFIC_SECRET, "3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30"));
    CHECK(traffic_is(schedule, TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET, "dbfaa693d1762c5b666af5d950258d01", "5bd3c71b836e0b76bb73265f"));

    check_hex(hash, 32, "edb7725fa7a3473b031ec8ef65a2485493900138a2b91291407d7951a06110ed"); /* ..CertificateVerify */
    CHECK(tf_schedule_finished(schedule, out, TF_SERVER_HANDSHAKE_TRAFFIC_SECRET, hash) == TF_OK);
    CHECK(check_is(out, "9b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718"));
    check_hex(hash, 32, "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13"); /* ..server Finished */
    CHECK(tf_schedule_finished(schedule, out, TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET, hash) == TF_OK);
    CHECK(check_is(out, "a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61"));

    CHECK(tf_schedule_application(schedule, hash) == TF_OK);
    CHECK(held_is(schedule, TF_STAGE_SECRET, "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919"));
    CHECK(held_is(schedule, TF_CLIENT_APPLICATION_TRAFFIC_SECRET, "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"));
    CHECK(held_is(schedule, TF_SERVER_APPLICATION_TRAFFIC_SECRET, "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"));
    CHECK(held_is(schedule, TF_EXPORTER_MASTER_SECRET, "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50"));
    CHECK(traffic_is(schedule, TF_CLIENT_APPLICATION_TRAFFIC_SECRET, "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9"));
    CHECK(traffic_is(schedule, TF_SERVER_APPLICATION_TRAFFIC_SECRET, "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984"));
    tf_schedule_free(schedule);
}

/* HKDF-Expand-Label through the calls for secrets, whose way from RFC 5869's vectors is another than the schedule's. */
static void label_by_handles(int hash, tf_secret *out, const tf_secret *secret, const char *label, const uint8_t *context, size_t len)
{
    uint8_t info[100] = {0, (uint8_t)len, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1', '3', ' '};
    size_t n = 9 + strlen(label), context_len = context != NULL ? tf_hash_length(hash) : 0;
    memcpy(info + 9, label, strlen(label));
    info[n++] = (uint8_t)context_len;
    if (context != NULL)
        memcpy(info + n, context, context_len);
    CHECK(tf_hkdf_expand(hash, out, len, secret, info, n + context_len) == TF_OK);
}

static int holds(const tf_schedule *schedule, int number, const tf_secret *want)
{
    tf_secret out;
    return tf_schedule_secret(schedule, &out, number) == TF_OK && memcmp(&out, want, sizeof out) == 0;
}

/* Every secret, key, IV and Finished of a schedule is what RFC 8446, 7.1 makes step by step, with and without PSK and (EC)DHE; then what is left. */
static void check_schedule(int aead, int hash, const tf_secret *psk, const tf_secret *shared)
{
    static const char *const labels[] = {"c hs traffic", "s hs traffic", "c ap traffic", "s ap traffic", "exp master", "res master"};
    static const int first[] = {TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET, TF_CLIENT_APPLICATION_TRAFFIC_SECRET, TF_RESUMPTION_MASTER_SECRET,
                                TF_STAGE_SECRET};
    uint8_t empty[TF_HASH_MAX], transcript[TF_HASH_MAX], ours[TF_HASH_MAX], theirs[TF_HASH_MAX];
    tf_secret stage, derived, want, key, iv, dhe = {0};
    tf_schedule *s = tf_schedule_new(aead, hash);
    size_t length = tf_hash_length(hash), key_len = aead == TF_AES_128_GCM ? 16 : 32;
    if (!CHECK(s != NULL))
        return;
    tf_hash_once(hash, empty, NULL, 0);
    CHECK(tf_hkdf_extract(hash, &stage, NULL, psk) == TF_OK);
    for (int step = 0; step < 3; step++) {
        check_noise(transcript, sizeof transcript, (uint32_t)step);
        if (step < 2) {
            label_by_handles(hash, &derived, &stage, "derived", empty, length);
            CHECK(tf_hkdf_extract(hash, &stage, &derived, step == 0 ? shared : NULL) == TF_OK);
        }
        if (step == 0) {
            if (shared != NULL)
                dhe = *shared;
            CHECK(tf_schedule_application(s, transcript) == TF_ERR_ARGUMENT && tf_schedule_resumption(s, transcript) == TF_ERR_ARGUMENT);
            CHECK(tf_schedule_handshake(s, shared != NULL ? &dhe : NULL, psk, transcript) == TF_OK && dhe.len == 0);
        } else if (step == 1) {
            CHECK(tf_schedule_handshake(s, NULL, NULL, transcript) == TF_ERR_ARGUMENT && tf_schedule_resumption(s, transcript) == TF_ERR_ARGUMENT);
            CHECK(tf_schedule_application(s, transcript) == TF_OK);
        } else {
            CHECK(tf_schedule_application(s, transcript) == TF_ERR_ARGUMENT);
            CHECK(tf_schedule_resumption(s, transcript) == TF_OK && tf_schedule_resumption(s, transcript) == TF_ERR_ARGUMENT);
        }
        CHECK(step == 2 || holds(s, TF_STAGE_SECRET, &stage));
        for (int number = first[step]; number < first[step + 1]; number++) {
            label_by_handles(hash, &want, &stage, labels[number], transcript, length);
            CHECK(holds(s, number, &want));
            if (number > TF_SERVER_APPLICATION_TRAFFIC_SECRET)
                continue;
            label_by_handles(hash, &key, &want, "key", NULL, key_len);
            label_by_handles(hash, &iv, &want, "iv", NULL, TF_NONCE);
            const tf_traffic *traffic = tf_schedule_traffic(s, number);
            CHECK(traffic != NULL && memcmp(traffic->key, key.bytes, key_len) == 0 && memcmp(traffic->iv, iv.bytes, TF_NONCE) == 0);
            CHECK((tf_schedule_finished(s, ours, number, transcript) == TF_OK) == (step == 0));
            CHECK(tf_finished(hash, theirs, &want, transcript) == TF_OK && (step != 0 || memcmp(ours, theirs, length) == 0));
        }
    }
    CHECK(tf_schedule_held(s) == (1u << TF_EXPORTER_MASTER_SECRET | 1u << TF_RESUMPTION_MASTER_SECRET));
    CHECK(tf_schedule_secret(s, &want, TF_STAGE_SECRET) == TF_ERR_ARGUMENT && want.len == 0 && tf_schedule_traffic(s, 0) == NULL);
    CHECK(tf_schedule_secret(s, &want, TF_RESUMPTION_MASTER_SECRET) == TF_OK);
    CHECK(tf_hkdf_expand_label(hash, &want, length, &want, (const uint8_t *)"resumption", 10, transcript, 5) == TF_OK);
    CHECK(tf_schedule_resumption_psk(s, &derived, transcript, 5) == TF_OK && memcmp(&derived, &want, sizeof want) == 0);
    tf_schedule_forget_resumption(s);
    CHECK(tf_schedule_resumption_psk(s, &derived, transcript, 5) == TF_ERR_ARGUMENT && derived.len == 0);
    static const tf_schedule wiped;
    tf_schedule_wipe(s);
    CHECK(tf_schedule_held(s) == 0 && memcmp(s->traffic, wiped.traffic, sizeof wiped - offsetof(tf_schedule, traffic)) == 0);
    CHECK(tf_schedule_handshake(s, NULL, NULL, transcript) == TF_ERR_ARGUMENT);
    tf_schedule_free(s);
}

static void test_schedule(void)
{
    tf_secret psk, shared, empty = {0};
    uint8_t hash[TF_HASH_MAX] = {0}, binder[TF_HASH_MAX], want[TF_HASH_MAX];
    for (int sha = TF_SHA256; sha <= TF_SHA384; sha++) {
        size_t length = tf_hash_length(sha);
        CHECK(tf_secret_random(&psk, length) == TF_OK);
        for (size_t n = 32; n <= 112; n += 16) { /* X25519 and P-256, P-384, the hybrids; past SHA-256's block, and SHA-384's short messages */
            CHECK(tf_secret_random(&shared, n) == TF_OK);
            check_schedule(sha == TF_SHA256 ? TF_AES_128_GCM : TF_AES_256_GCM, sha, n % 32 == 0 ? &psk : NULL, n == 96 ? NULL : &shared);
        }
        check_schedule(sha == TF_SHA256 ? TF_CHACHA20_POLY1305 : TF_AES_256_GCM, sha, NULL, NULL);

        tf_secret key;
        uint8_t nothing[TF_HASH_MAX];
        tf_hash_once(sha, nothing, NULL, 0);
        CHECK(tf_early_secret(sha, &key, &psk) == TF_OK);
        label_by_handles(sha, &key, &key, "res binder", nothing, length);
        CHECK(tf_finished(sha, want, &key, hash) == TF_OK && tf_binder(sha, binder, &psk, hash) == TF_OK && memcmp(binder, want, length) == 0);
    }
    CHECK(tf_schedule_new(0, TF_SHA256) == NULL && tf_schedule_new(TF_AES_128_GCM, TF_SHA512) == NULL && tf_schedule_new(1, 0) == NULL);
    CHECK(tf_binder(TF_SHA512, binder, &psk, hash) == TF_ERR_ARGUMENT && tf_binder(TF_SHA256, binder, &empty, hash) == TF_ERR_ARGUMENT);
    tf_schedule *s = tf_schedule_new(TF_AES_128_GCM, TF_SHA256);
    if (!CHECK(s != NULL))
        return;
    CHECK(tf_schedule_handshake(s, &empty, NULL, hash) == TF_ERR_ARGUMENT && tf_schedule_handshake(s, NULL, &empty, hash) == TF_ERR_ARGUMENT);
    CHECK(tf_schedule_held(s) == 0 && tf_schedule_finished(s, binder, TF_SERVER_HANDSHAKE_TRAFFIC_SECRET, hash) == TF_ERR_ARGUMENT);
    CHECK(tf_schedule_secret(s, &psk, -1) == TF_ERR_ARGUMENT && tf_schedule_secret(s, &psk, 7) == TF_ERR_ARGUMENT);
    tf_schedule_free(s);
}

/* ---- TLS 1.2: RFC 5246, 5, 7.4.9, 8.1; NIST's vectors are in tests/test_prf12.py ---- */

/* P_hash as RFC 5246, 5 writes it, over the HMAC that test_hmac showed. */
static void prf_by_definition(int hash, uint8_t *out, size_t len, const uint8_t *secret, size_t secret_len, const uint8_t *seed, size_t seed_len)
{
    uint8_t a[TF_HASH_MAX], both[TF_HASH_MAX + 400], t[TF_HASH_MAX];
    size_t n = tf_hash_length(hash);
    CHECK(tf_hmac(hash, a, secret, secret_len, seed, seed_len) == TF_OK);
    for (size_t done = 0; done < len; done += n) {
        memcpy(both, a, n);
        memcpy(both + n, seed, seed_len);
        CHECK(tf_hmac(hash, t, secret, secret_len, both, n + seed_len) == TF_OK);
        memcpy(out + done, t, len - done < n ? len - done : n);
        CHECK(tf_hmac(hash, a, secret, secret_len, a, n) == TF_OK);
    }
}

static void test_prf12(void)
{
    static const int hashes[] = {TF_SHA256, TF_SHA384};
    uint8_t secret_bytes[TF_SECRET_MAX], seed[400], want[TF_SECRET_MAX], verify[13];
    tf_secret secret, out, same;
    check_noise(secret_bytes, sizeof secret_bytes, 70);
    check_noise(seed, sizeof seed, 71);
    for (size_t h = 0; h < 2; h++) {
        for (size_t len = 1; len <= TF_SECRET_MAX; len++) { /* secrets below, at and above the hash's block, labels and seeds down to none */
            size_t secret_len = 1 + (len * 7) % TF_SECRET_MAX, label_len = len % 30, seed_len = len % 5 == 0 ? 0 : (len * 3) % 300;
            CHECK(tf_secret_set(&secret, secret_bytes, secret_len) == TF_OK);
            prf_by_definition(hashes[h], want, len, secret_bytes, secret_len, seed, label_len + seed_len);
            const uint8_t *label = label_len > 0 ? seed : NULL, *rest = seed_len > 0 ? seed + label_len : NULL;
            CHECK(tf_prf12(hashes[h], &out, len, &secret, label, label_len, rest, seed_len) == TF_OK);
            CHECK(out.len == len && memcmp(out.bytes, want, len) == 0);
            same = secret; /* out may be secret */
            CHECK(tf_prf12(hashes[h], &same, len, &same, label, label_len, rest, seed_len) == TF_OK);
            CHECK(same.len == len && memcmp(&same, &out, sizeof same) == 0); /* and nothing of it is left behind the new length */
        }
        size_t length = tf_hash_length(hashes[h]);
        uint8_t label_and_hash[15 + TF_HASH_MAX] = "client finished";
        memcpy(label_and_hash + 15, seed, length);
        prf_by_definition(hashes[h], want, 12, secret_bytes, 48, label_and_hash, 15 + length);
        CHECK(tf_secret_set(&secret, secret_bytes, 48) == TF_OK);
        memset(verify, 0xA5, sizeof verify);
        CHECK(tf_finished12(hashes[h], verify, &secret, (const uint8_t *)"client finished", 15, seed) == TF_OK);
        CHECK(memcmp(verify, want, 12) == 0 && verify[12] == 0xA5);
    }
    /* Misuse: an empty output. */
    static const int bad_hashes[] = {0, TF_SHA512, 4};
    tf_secret empty = {0};
    uint8_t zero[12] = {0};
    for (size_t i = 0; i < 3; i++) {
        out = secret;
        CHECK(tf_prf12(bad_hashes[i], &out, 48, &secret, seed, 13, seed, 64) == TF_ERR_ARGUMENT && out.len == 0 && out.bytes[0] == 0);
        memset(verify, 0xA5, sizeof verify);
        CHECK(tf_finished12(bad_hashes[i], verify, &secret, seed, 15, seed) == TF_ERR_ARGUMENT && memcmp(verify, zero, 12) == 0);
    }
    CHECK(verify[12] == 0xA5);
    out = secret;
    CHECK(tf_prf12(TF_SHA256, &out, 0, &secret, seed, 13, seed, 64) == TF_ERR_ARGUMENT && out.len == 0);
    out = secret;
    CHECK(tf_prf12(TF_SHA256, &out, TF_SECRET_MAX + 1, &secret, seed, 13, seed, 64) == TF_ERR_ARGUMENT && out.len == 0);
    out = secret;
    CHECK(tf_prf12(TF_SHA256, &out, 48, &empty, seed, 13, seed, 64) == TF_ERR_ARGUMENT && out.len == 0);
    CHECK(tf_finished12(TF_SHA256, verify, &empty, seed, 15, seed) == TF_ERR_ARGUMENT);
}

/* RFC 5246, 7.4.7.1: one rule, and whatever breaks it ends alike. */
static void test_premaster_select(void)
{
    uint8_t decrypted[600], random_bytes[48];
    tf_secret random, chosen;
    check_noise(decrypted, sizeof decrypted, 80);
    check_noise(random_bytes, sizeof random_bytes, 81);
    CHECK(tf_secret_set(&random, random_bytes, 48) == TF_OK);
    decrypted[0] = decrypted[1] = 3;
    for (size_t len = 0; len < sizeof decrypted; len++) {
        CHECK(tf_premaster_select(&chosen, decrypted, len, 0x0303, &random) == TF_OK);
        CHECK(chosen.len == 48 && memcmp(chosen.bytes, len == 48 ? decrypted : random_bytes, 48) == 0);
    }
    static const size_t lengths[] = {48 + 256, (size_t)48 << 16 | 48, SIZE_MAX, SIZE_MAX - 47, SIZE_MAX / 2 + 49};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) { /* no part of the length is looked at alone */
        CHECK(tf_premaster_select(&chosen, decrypted, lengths[i], 0x0303, &random) == TF_OK);
        CHECK(memcmp(chosen.bytes, random_bytes, 48) == 0);
    }
    for (int bit = 0; bit < 48 * 8; bit++) { /* the first two bytes decide, the other 46 are the peer's own */
        decrypted[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(tf_premaster_select(&chosen, decrypted, 48, 0x0303, &random) == TF_OK);
        CHECK(memcmp(chosen.bytes, bit < 16 ? random_bytes : decrypted, 48) == 0);
        decrypted[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int version = 0; version < 0x10000; version++) { /* RFC 5246, 7.4.7.1: client_version, as the ClientHello offered it */
        decrypted[0] = 3;
        decrypted[1] = (uint8_t)(version * 7);
        CHECK(tf_premaster_select(&chosen, decrypted, 48, version, &random) == TF_OK);
        CHECK(memcmp(chosen.bytes, version == (3 << 8 | decrypted[1]) ? decrypted : random_bytes, 48) == 0);
    }
    decrypted[1] = 3;
    tf_secret same = random;
    CHECK(tf_premaster_select(&same, decrypted, 48, 0x0303, &same) == TF_OK && memcmp(same.bytes, decrypted, 48) == 0);
    same = random;
    CHECK(tf_premaster_select(&same, decrypted, 47, 0x0303, &same) == TF_OK && memcmp(same.bytes, random_bytes, 48) == 0);
    for (size_t n = 0; n < TF_SECRET_MAX; n++) {
        chosen = random;
        CHECK(tf_secret_set(&same, decrypted, n) == TF_OK);
        CHECK((tf_premaster_select(&chosen, decrypted, 48, 0x0303, &same) == TF_OK) == (n == 48) && (n == 48 || chosen.len == 0));
    }
}

/* ---- What the caller must not do: every output empty, TF_ERR_ARGUMENT ---- */

static void test_misuse(void)
{
    tf_secret empty = {0}, good, out;
    uint8_t label[256] = {'x'}, hash[TF_HASH_MAX] = {0}, finished[32], zero[32] = {0};
    CHECK(tf_secret_random(&good, 32) == TF_OK);
    out = good;
    CHECK(tf_hkdf_extract(4, &out, NULL, &good) == TF_ERR_ARGUMENT && out.len == 0);
    out = good;
    CHECK(tf_hkdf_extract(TF_SHA256, &out, NULL, &empty) == TF_ERR_ARGUMENT && out.len == 0);
    out = good;
    CHECK(tf_hkdf_expand(TF_SHA256, &out, 32, &empty, NULL, 0) == TF_ERR_ARGUMENT && out.len == 0);
    CHECK(tf_hkdf_expand(TF_SHA256, &out, TF_SECRET_MAX, &good, NULL, 0) == TF_OK && out.len == TF_SECRET_MAX);
    CHECK(tf_hkdf_expand(TF_SHA256, &out, TF_SECRET_MAX + 1, &good, NULL, 0) == TF_ERR_ARGUMENT && out.len == 0);
    CHECK(tf_hkdf_expand_label(TF_SHA256, &out, 32, &good, label, 249, label, 255) == TF_OK && out.len == 32);
    CHECK(tf_hkdf_expand_label(TF_SHA256, &out, 32, &good, label, 250, NULL, 0) == TF_ERR_ARGUMENT && out.len == 0);
    CHECK(tf_hkdf_expand_label(TF_SHA256, &out, 32, &good, label, 0, NULL, 0) == TF_ERR_ARGUMENT);
    CHECK(tf_hkdf_expand_label(TF_SHA256, &out, 32, &good, label, 1, label, 256) == TF_ERR_ARGUMENT);
    CHECK(tf_hkdf_expand_label(TF_SHA256, &out, 32, &empty, label, 1, NULL, 0) == TF_ERR_ARGUMENT);
    CHECK(tf_hkdf_expand_label(4, &out, 32, &good, label, 1, NULL, 0) == TF_ERR_ARGUMENT);

    memset(finished, 1, sizeof finished);
    CHECK(tf_finished(TF_SHA256, finished, &empty, hash) == TF_ERR_ARGUMENT && memcmp(finished, zero, 32) == 0);
    CHECK(tf_finished(0, finished, &good, hash) == TF_ERR_ARGUMENT);
}

int main(void)
{
    static const uint32_t masks[] = {0, ~(uint32_t)TF_CPU_AVX512, ~(uint32_t)0};
    for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
        tf_cpu_limit(masks[m]);
        test_hmac();
        test_hkdf();
        test_key_schedule();
        test_schedule();
        test_prf12();
        test_premaster_select();
        test_misuse();
    }
    return check_done();
}
