/* SPDX-License-Identifier: Apache-2.0 */
/* The AEADs: vectors of RFC 8439 and of the GCM specification, then every implementation against the portable one at all lengths, alignments and in
 * place. */
#include "../../csrc/internal.h"

#include "check.h"

typedef struct {
    int aead;
    const char *key, *nonce, *aad, *text, *sealed; /* sealed: ciphertext and tag */
} vector;

static const vector vectors[] = {
    /* RFC 8439, 2.8.2 */
    {TF_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666657220796f75206f6e6c79206f6e652"
     "07469"
     "7020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8"
     "c9803"
     "aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116 1ae10b594f09e26a7e902ecbd0600691"},
    /* RFC 8439, A.5 */
    {TF_CHACHA20_POLY1305, "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0", "000000000102030405060708", "f33388860000000000004e91",
     "496e7465726e65742d4472616674732061726520647261667420646f63756d656e74732076616c696420666f722061206d6178696d756d206f6620736978206d6f6e74687320616"
     "e6420"
     "6d617920626520757064617465642c207265706c616365642c206f72206f62736f6c65746564206279206f7468657220646f63756d656e747320617420616e792074696d652e204"
     "97420"
     "697320696e617070726f70726961746520746f2075736520496e7465726e65742d447261667473206173207265666572656e6365206d6174657269616c206f7220746f206369746"
     "520746865"
     "6d206f74686572207468616e206173202fe2809c776f726b20696e2070726f67726573732e2fe2809d",
     "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97c"
     "e98c8"
     "a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9904"
     "0c5a4"
     "0433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727"
     "62709"
     "7a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38"},
    /* J. Viega, D. McGrew, "The Galois/Counter Mode of Operation (GCM)", appendix B: test cases 1 to 4, 13 to 16 */
    {TF_AES_128_GCM, "00000000000000000000000000000000", "000000000000000000000000", "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
    {TF_AES_128_GCM, "00000000000000000000000000000000", "000000000000000000000000", "", "00000000000000000000000000000000",
     "0388dace60b6a392f328c2b971b2fe78 ab6e47d42cec13bdf53a67b21257bddf"},
    {TF_AES_128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"
     "4d5c2af327cd64a62cf35abd2ba6fab4"},
    {TF_AES_128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {TF_AES_256_GCM, "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {TF_AES_256_GCM, "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919"},
    {TF_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
     "b094dac5d93471bdec1a502270e3cc6c"},
    {TF_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

/* Every set of CPU bits that some table row asks for, from none to all. */
static const uint32_t masks[] = {0, TF_CPU_AESNI | TF_CPU_ARM_AES, TF_CPU_AESNI | TF_CPU_AVX2 | TF_CPU_VAES, ~(uint32_t)0};

static void check_vector(const vector *v)
{
    uint8_t key[32], nonce[12], aad[64], text[304], sealed[320], out[320];
    check_hex(key, sizeof key, v->key);
    check_hex(nonce, sizeof nonce, v->nonce);
    size_t aad_len = check_hex(aad, sizeof aad, v->aad), len = check_hex(text, sizeof text, v->text);
    CHECK(check_hex(sealed, sizeof sealed, v->sealed) == len + 16);
    CHECK(tf_test_aead_seal(v->aead, out, key, nonce, aad, aad_len, text, len) == TF_OK);
    CHECK(memcmp(out, sealed, len + 16) == 0);
    memset(out, 0xAA, sizeof out);
    CHECK(tf_test_aead_open(v->aead, out, key, nonce, aad, aad_len, sealed, len + 16) == TF_OK);
    CHECK(memcmp(out, text, len) == 0);
    for (size_t i = 0; i < len + 16; i++) { /* one bit anywhere: refused, and nothing left in out */
        sealed[i] ^= (uint8_t)(1 << i % 8);
        memset(out, 0xAA, sizeof out);
        CHECK(tf_test_aead_open(v->aead, out, key, nonce, aad, aad_len, sealed, len + 16) == TF_ERR_BAD_RECORD_MAC);
        for (size_t j = 0; j < len; j++)
            CHECK(out[j] == 0);
        CHECK(out[len] == 0xAA);
        sealed[i] ^= (uint8_t)(1 << i % 8);
    }
    if (aad_len > 0) {
        aad[aad_len - 1] ^= 0x80;
        CHECK(tf_test_aead_open(v->aead, out, key, nonce, aad, aad_len, sealed, len + 16) == TF_ERR_BAD_RECORD_MAC);
    }
}

enum { EVERY = 1100, LONGEST = 17000, GUARD = 64 };

/* The area that a text of len bytes stands in: any alignment before it, trailer and tag, a guard behind. */
#define ROOM(len) (64 + (len) + 1 + TF_TAG + GUARD)

/* What the implementation under test may not touch is 0xA5. */
static int guards_stand(const uint8_t *area, size_t room, size_t start, size_t len)
{
    for (size_t i = 0; i < room; i++)
        if ((i < start || i >= start + len) && area[i] != 0xA5)
            return 0;
    return 1;
}

/* One length: seal and open by impl, apart and in place, with and without trailer, against what the portable implementation says. */
static void check_length(tf_aead_key *key, tf_aead_key *portable, size_t len)
{
    static uint8_t want[ROOM(LONGEST)], area[ROOM(LONGEST)], in_area[ROOM(LONGEST)], noise[ROOM(LONGEST)];
    uint8_t nonce[12], aad[80];
    size_t aad_len = len % 7 == 0 ? len % 80 : 5, shift = len % 33, room = ROOM(len);
    if (!CHECK(len <= LONGEST))
        return;
    check_noise(noise, len, len);
    check_noise(nonce, sizeof nonce, len + 7);
    check_noise(aad, sizeof aad, len + 9);
    for (int trailer = -1; trailer <= 23; trailer += 24) {
        size_t total = len + (trailer >= 0);
        portable->impl->seal(portable, want, nonce, aad, aad_len, noise, len, trailer);

        memset(area, 0xA5, room);
        memcpy(in_area + 1, noise, len); /* an odd source, and a destination of every alignment */
        key->impl->seal(key, area + shift, nonce, aad, aad_len, in_area + 1, len, trailer);
        CHECK(memcmp(area + shift, want, total + TF_TAG) == 0);
        CHECK(guards_stand(area, room, shift, total + TF_TAG));

        memset(area, 0xA5, room);
        memcpy(area + shift, noise, len);
        key->impl->seal(key, area + shift, nonce, aad, aad_len, area + shift, len, trailer);
        CHECK(memcmp(area + shift, want, total + TF_TAG) == 0);
        CHECK(guards_stand(area, room, shift, total + TF_TAG));

        memset(area, 0xA5, room);
        CHECK(key->impl->open(key, area + shift, nonce, aad, aad_len, want, total, want + total) == 0);
        CHECK(memcmp(area + shift, noise, len) == 0 && (trailer < 0 || area[shift + len] == 23));
        CHECK(guards_stand(area, room, shift, total));

        memset(area, 0xA5, room);
        memcpy(area + shift, want, total + TF_TAG);
        CHECK(key->impl->open(key, area + shift, nonce, aad, aad_len, area + shift, total, area + shift + total) == 0);
        CHECK(memcmp(area + shift, noise, len) == 0 && (trailer < 0 || area[shift + len] == 23));
        CHECK(memcmp(area + shift + total, want + total, TF_TAG) == 0);

        want[(len * 7) % (total + TF_TAG)] ^= 1;
        memset(area, 0xA5, room);
        CHECK(key->impl->open(key, area + shift, nonce, aad, aad_len, want, total, want + total) != 0);
        CHECK(guards_stand(area, room, shift, total));
        int clear = 1;
        for (size_t i = 0; i < total; i++)
            clear &= area[shift + i] == 0;
        CHECK(clear);
    }
}

static void check_against_portable(int aead, uint32_t mask)
{
    static tf_aead_key key, portable;
    uint8_t bytes[32];
    check_noise(bytes, sizeof bytes, (uint64_t)aead);
    size_t key_len = tf_aead_key_length(aead);
    tf_cpu_limit(0);
    CHECK(tf_aead_set_key(&portable, aead, bytes, key_len) == TF_OK);
    tf_cpu_limit(mask);
    CHECK(tf_aead_set_key(&key, aead, bytes, key_len) == TF_OK);
    for (size_t len = 0; len <= EVERY; len++)
        check_length(&key, &portable, len);
    /* Longer ones, by whole batches of every implementation: each tail that is near a border of its parts, and some of all the others. */
    static const size_t borders[] = {0, 15, 16, 48, 63, 64, 65, 127, 128, 255, 256, 319, 383, 384, 447, 448, 495, 496};
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
        check_length(&key, &portable, 512 * (2 + i % 3) + borders[i]);
    for (size_t tail = 497; tail < 512; tail++)
        check_length(&key, &portable, 512 * 2 + tail);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint8_t chosen[2];
        check_noise(chosen, sizeof chosen, seed);
        check_length(&key, &portable, ((size_t)chosen[0] << 8 | chosen[1]) % (LONGEST + 1));
    }
    check_length(&key, &portable, 16384);
    check_length(&key, &portable, LONGEST);
    tf_cpu_limit(~(uint32_t)0);
}

/* Every length of additional data, beside texts that end in each part of an implementation. */
static void check_additional_data(uint32_t mask)
{
    static const size_t lengths[] = {0, 1, 16, 48, 49, 100, 127, 128, 130, 256, 511, 600};
    uint8_t in[600], aad[100], want[616], got[616], key[32], nonce[12];
    check_noise(in, sizeof in, 5);
    check_noise(aad, sizeof aad, 6);
    check_noise(key, sizeof key, 7);
    check_noise(nonce, sizeof nonce, 8);
    for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            for (size_t aad_len = 0; aad_len <= sizeof aad; aad_len++) {
                const uint8_t *at = aad + sizeof aad - aad_len; /* a read past the end is one that AddressSanitizer sees */
                tf_cpu_limit(0);
                CHECK(tf_test_aead_seal(aead, want, key, nonce, at, aad_len, in, lengths[i]) == TF_OK);
                tf_cpu_limit(mask);
                CHECK(tf_test_aead_seal(aead, got, key, nonce, at, aad_len, in, lengths[i]) == TF_OK);
                CHECK(memcmp(got, want, lengths[i] + TF_TAG) == 0);
                CHECK(tf_test_aead_open(aead, got, key, nonce, at, aad_len, want, lengths[i] + TF_TAG) == TF_OK);
                tf_cpu_limit(~(uint32_t)0);
            }
        }
    }
}

/* More than a whole record, so that counters and carries get far: the tag of 20,000 bytes covers them all. The tags are OpenSSL's, computed by
 * AESGCM(key).encrypt(nonce, in, in[:300])[-16:] and its like of the cryptography package. */
static void check_long(uint32_t mask)
{
    static const char *const tags[] = {NULL, "c66a1340cb4b2ce7a59d3498a831326a", "96cac1c1c860d34ae0b350e5878f3ffb",
                                       "4ce17591ee1348db6389cb7f6527e2ec"};
    enum { LEN = 20000 };
    static uint8_t in[LEN], want[LEN + 16], got[LEN];
    uint8_t key[32], nonce[12];
    check_noise(in, LEN, 1);
    check_noise(key, 32, 2);
    check_noise(nonce, 12, 3);
    for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++) {
        tf_cpu_limit(mask);
        CHECK(tf_test_aead_seal(aead, want, key, nonce, in, 300, in, LEN) == TF_OK);
        CHECK(check_is(want + LEN, tags[aead]));
        CHECK(tf_test_aead_open(aead, got, key, nonce, in, 300, want, LEN + 16) == TF_OK);
        CHECK(memcmp(got, in, LEN) == 0);
        tf_cpu_limit(~(uint32_t)0);
    }
}

/* The implementation of AES-GCM that these processor bits select. */
static const char *aes_gcm_of(uint32_t bits)
{
    static const struct {
        uint32_t needs;
        const char *name;
    } rows[] = {{TF_CPU_AESNI | TF_CPU_VAES | TF_CPU_AVX512 | TF_CPU_ZMM, "aes_gcm_vaes512"},
                {TF_CPU_AESNI | TF_CPU_VAES | TF_CPU_AVX2, "aes_gcm_vaes256"},
                {TF_CPU_AESNI, "aes_gcm_aesni"},
                {TF_CPU_ARM_AES, "aes_gcm_armv8"},
                {0, "aes_gcm_portable"}};
    size_t i = 0;
    while ((rows[i].needs & ~bits) != 0)
        i++;
    return rows[i].name;
}

/* And of ChaCha20-Poly1305; without a 128-bit product there is one. */
static const char *chacha20_poly1305_of(uint32_t bits)
{
#if defined(TF_INT128)
    const uint32_t avx512 = TF_CPU_AVX512 | TF_CPU_IFMA | TF_CPU_ZMM;
    if ((bits & avx512) == avx512)
        return "chacha20_poly1305_avx512";
    if ((bits & TF_CPU_AVX2) != 0)
        return "chacha20_poly1305_avx2";
    if ((bits & TF_CPU_ARM_NEON) != 0)
        return "chacha20_poly1305_neon";
#else
    (void)bits;
#endif
    return "chacha20_poly1305_portable";
}

/* Which implementation each mask selects: a test that ran the portable code twice would prove nothing. */
static void check_dispatch(void)
{
    tf_cpu_limit(0);
    CHECK(tf_cpu_features() == 0);
    CHECK(strcmp(tf_implementation(TF_PRIMITIVE_AES_GCM), "aes_gcm_portable") == 0);
    CHECK(strcmp(tf_implementation(TF_PRIMITIVE_CHACHA20_POLY1305), "chacha20_poly1305_portable") == 0);
    CHECK(strcmp(tf_implementation(TF_PRIMITIVE_SHA256), "sha256_portable") == 0);
    CHECK(strcmp(tf_implementation(TF_PRIMITIVE_SHA512), "sha512_portable") == 0);
    CHECK(strcmp(tf_implementation(TF_PRIMITIVE_X25519), "x25519_portable") == 0);
    CHECK(tf_implementation(TF_PRIMITIVE_KECCAK_X4 + 1) == NULL && tf_implementation(-1) == NULL);
    tf_cpu_limit(~(uint32_t)0);
    uint32_t all = tf_cpu_features();
#if defined(TF_X86_64)
    CHECK((all & (TF_CPU_ARM_AES | TF_CPU_ARM_SHA2 | TF_CPU_ARM_SHA512 | TF_CPU_ARM_NEON)) == 0);
    CHECK((all & TF_CPU_ZMM) == 0 || (all & TF_CPU_AVX512) != 0);
#endif
    for (uint32_t mask = 0; mask <= (TF_CPU_ARM_NEON << 1) - 1; mask++) { /* every set of bits, as far as this processor has them */
        tf_cpu_limit(mask);
        CHECK(tf_cpu_features() == (all & mask));
        CHECK(strcmp(tf_implementation(TF_PRIMITIVE_AES_GCM), aes_gcm_of(all & mask)) == 0);
        CHECK(strcmp(tf_implementation(TF_PRIMITIVE_CHACHA20_POLY1305), chacha20_poly1305_of(all & mask)) == 0);
    }
    tf_cpu_limit(~(uint32_t)0);
    CHECK(tf_cpu_features() == all);
}

static void check_arguments(void)
{
    uint8_t key[32] = {0}, nonce[12] = {0}, out[32];
    tf_aead_key context;
    for (int aead = -1; aead <= 4; aead += 5) {
        CHECK(tf_aead_key_length(aead) == 0);
        CHECK(tf_test_aead_seal(aead, out, key, nonce, NULL, 0, NULL, 0) == TF_ERR_ARGUMENT);
        CHECK(tf_test_aead_open(aead, out, key, nonce, NULL, 0, key, 16) == TF_ERR_ARGUMENT);
    }
    for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++) {
        for (size_t len = 0; len <= 32; len++)
            if (len != tf_aead_key_length(aead))
                CHECK(tf_aead_set_key(&context, aead, key, len) == TF_ERR_ARGUMENT);
        CHECK(tf_test_aead_open(aead, out, key, nonce, NULL, 0, key, 15) == TF_ERR_ARGUMENT);
    }
}

int main(void)
{
    for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
        tf_cpu_limit(masks[m]);
        for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
            check_vector(&vectors[i]);
        for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++)
            check_against_portable(aead, masks[m]);
        check_additional_data(masks[m]);
        check_long(masks[m]);
    }
    check_dispatch();
    check_arguments();
    return check_done();
}
