/* SPDX-License-Identifier: Apache-2.0 */
/* ML-KEM-768 between secret handles: key generation, encapsulation, decapsulation, over the dispatched polynomial arithmetic and four states of
 * Keccak at a time. FIPS 203, 5, 6 and 7; FIPS 202.
 *
 * Hashing is nearly all of the work, so the states are kept full. Each matrix entry takes three permutations (rarely more) and H of an encapsulation
 * key nine, one after the other: encapsulation hashes in one state while the other three expand all nine entries. Of the keys, only decapsulation
 * needs H(ek), and J(z | c) takes nine permutations as well: both are done there side by side, and key generation hashes nothing but seeds. */
#include "internal.h"

#include <stdlib.h>

enum {
    K = TF_MLKEM_K,
    EK = TF_MLKEM768_EK,
    CT = TF_MLKEM768_CT,
    SEED = TF_MLKEM768_SEED,
    POLY12 = 384, /* bytes of a polynomial in 12, 10 and 4 bits */
    POLY10 = 320,
    POLY4 = 128,
    SYMBYTES = 32,
    SHAKE128_RATE = 168,
    SHAKE256_RATE = 136, /* SHA3-256's too */
    DRAW = 3 * SHAKE128_RATE,
    ONE = 1353,  /* 2^32 mod q, a factor that gives back what `multiply` took away */
    MINUS = 1044 /* -2^16 mod q */
};

struct tf_mlkem768_key {
    const tf_mlkem768_impl *impl; /* whose order the polynomials have; NULL: empty */
    tf_mlkem_poly matrix[K * K];  /* entry (i, j) at 3i + j */
    tf_mlkem_poly t[K], s[K];
    uint8_t ek[EK];
    uint8_t z[SYMBYTES];
};

/* What both sides of K-PKE.Encrypt work with; on the stack, wiped. */
typedef struct {
    tf_mlkem_poly r[K + K + 1]; /* r, e1, e2 */
    tf_mlkem_poly u, message;
    uint8_t secret_and_coins[64]; /* K | r of G */
} encryption;

/* ---- Four states ---- */

static void start(tf_keccak_x4 *states, unsigned s)
{
    for (size_t i = 0; i < 25; i++)
        states->lane[i][s] = 0;
}

static void absorb(tf_keccak_x4 *states, unsigned s, const uint8_t *in, size_t len)
{
    for (size_t i = 0; i < len / 8; i++)
        states->lane[i][s] ^= tf_load64le(in + 8 * i);
}

static void squeeze(const tf_keccak_x4 *states, unsigned s, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len / 8; i++)
        tf_store64le(out + 8 * i, states->lane[i][s]);
}

/* The end of a message: its last bytes and the domain's bits in lane i, the last bit of the rate. */
static void finish(tf_keccak_x4 *states, unsigned s, size_t i, uint64_t last, size_t rate)
{
    states->lane[i][s] ^= last;
    states->lane[rate / 8 - 1][s] ^= (uint64_t)1 << 63;
}

/* SHAKE128(rho | j | i) for matrix entry (i, j), number 3i + j (FIPS 203, algorithm 13, line 5). */
static void start_entry(tf_keccak_x4 *states, unsigned s, const uint8_t *rho, size_t number)
{
    static const uint8_t indices[K * K][2] = {{0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {2, 1}, {0, 2}, {1, 2}, {2, 2}};
    start(states, s);
    absorb(states, s, rho, SYMBYTES);
    finish(states, s, 4, (uint64_t)indices[number][0] | (uint64_t)indices[number][1] << 8 | 0x1f << 16, SHAKE128_RATE);
}

/* PRF: SHAKE256(seed | number), 128 bytes. */
static void start_noise(tf_keccak_x4 *states, unsigned s, const uint8_t *seed, unsigned number)
{
    start(states, s);
    absorb(states, s, seed, SYMBYTES);
    finish(states, s, 4, (uint64_t)number | 0x1f << 8, SHAKE256_RATE);
}

static void take_noise(const tf_mlkem768_impl *impl, tf_mlkem_poly *p, const tf_keccak_x4 *states, unsigned s)
{
    uint8_t bytes[POLY4];
    squeeze(states, s, bytes, sizeof bytes);
    impl->noise(p, bytes);
    tf_wipe(bytes, sizeof bytes);
}

/* The entry from its first three blocks, and one by one from those that follow in the hundred cases or so of which one needs more. */
static void take_entry(const tf_mlkem768_impl *impl, tf_mlkem_poly *p, const uint8_t draw[DRAW], const tf_keccak_x4 *states, unsigned s)
{
    size_t have = impl->uniform(p, 0, draw, DRAW);
    if (have < TF_MLKEM_N) {
        uint64_t state[25];
        uint8_t block[SHAKE128_RATE];
        for (size_t i = 0; i < 25; i++)
            state[i] = states->lane[i][s];
        while (have < TF_MLKEM_N) {
            tf_keccak_permute(state);
            for (size_t i = 0; i < SHAKE128_RATE / 8; i++)
                tf_store64le(block + 8 * i, state[i]);
            have = impl->uniform(p, have, block, sizeof block);
        }
    }
    impl->order(p);
}

/* One of the nine blocks of a message of eight whole blocks and `rest` bytes more, whose last byte is followed by the domain's bits. */
static void absorb_block(tf_keccak_x4 *states, unsigned s, size_t block, const uint8_t *message, size_t rest, uint64_t domain)
{
    const uint8_t *in = message + block * SHAKE256_RATE;
    if (block == 0)
        start(states, s);
    absorb(states, s, in, block < 8 ? SHAKE256_RATE : rest);
    if (block == 8)
        finish(states, s, rest / 8, domain, SHAKE256_RATE);
}

/* The matrix and H(ek), in nine permutations of four states. */
static void expand_and_hash(const tf_mlkem768_impl *impl, tf_mlkem_poly matrix[K * K], uint8_t h[SYMBYTES], const uint8_t *ek)
{
    const tf_keccak_x4_impl *keccak = tf_dispatch_keccak_x4();
    tf_keccak_x4 states;
    uint8_t draw[3][DRAW];
    for (size_t block = 0; block < 9; block++) {
        size_t third = block % 3;
        absorb_block(&states, 0, block, ek, EK % SHAKE256_RATE, 0x06);
        for (unsigned s = 1; third == 0 && s < 4; s++)
            start_entry(&states, s, ek + K * POLY12, block + s - 1);
        keccak->permute(&states, 4);
        for (unsigned s = 1; s < 4; s++)
            squeeze(&states, s, draw[s - 1] + third * SHAKE128_RATE, SHAKE128_RATE);
        for (unsigned s = 1; third == 2 && s < 4; s++)
            take_entry(impl, &matrix[block - 2 + s - 1], draw[s - 1], &states, s);
    }
    squeeze(&states, 0, h, SYMBYTES);
}

/* The matrix, s and e, in nine permutations of four states: entries four at a time, and beside the ninth the noise. */
static void expand_and_draw(const tf_mlkem768_impl *impl, tf_mlkem_poly matrix[K * K], tf_mlkem_poly noise[2 * K], const uint8_t *rho,
                            const uint8_t *sigma)
{
    const tf_keccak_x4_impl *keccak = tf_dispatch_keccak_x4();
    tf_keccak_x4 states;
    uint8_t draw[4][DRAW];
    for (size_t first = 0; first < K * K; first += 4) {
        unsigned entries = first < 8 ? 4 : 1;
        for (unsigned s = 0; s < entries; s++)
            start_entry(&states, s, rho, first + s);
        for (size_t third = 0; third < 3; third++) {
            int more = entries == 1 && third < 2;
            for (unsigned s = 1; more && s < 4; s++)
                start_noise(&states, s, sigma, (unsigned)third * K + s - 1);
            keccak->permute(&states, more ? 4 : entries);
            for (unsigned s = 1; more && s < 4; s++)
                take_noise(impl, &noise[third * K + s - 1], &states, s);
            for (unsigned s = 0; s < entries; s++)
                squeeze(&states, s, draw[s] + third * SHAKE128_RATE, SHAKE128_RATE);
        }
        for (unsigned s = 0; s < entries; s++)
            take_entry(impl, &matrix[first + s], draw[s], &states, s);
    }
    tf_wipe(&states, sizeof states);
}

/* H(ek) and J(z | c). */
static void hash_both(uint8_t h[SYMBYTES], uint8_t rejected[SYMBYTES], const tf_mlkem768_key *key, const uint8_t *ct)
{
    const tf_keccak_x4_impl *keccak = tf_dispatch_keccak_x4();
    tf_keccak_x4 states;
    uint8_t message[SYMBYTES + CT];
    memcpy(message, key->z, SYMBYTES);
    memcpy(message + SYMBYTES, ct, CT);
    memset(&states, 0, sizeof states); /* two stay unused */
    for (size_t block = 0; block < 9; block++) {
        absorb_block(&states, 0, block, key->ek, EK % SHAKE256_RATE, 0x06);
        absorb_block(&states, 1, block, message, sizeof message % SHAKE256_RATE, 0x1f);
        keccak->permute(&states, 2);
    }
    squeeze(&states, 0, h, SYMBYTES);
    squeeze(&states, 1, rejected, SYMBYTES);
    tf_wipe(&states, sizeof states);
    tf_wipe(message, SYMBYTES);
}

/* ---- K-PKE (FIPS 203, 5) ---- */

/* Algorithms 13 and 16; d | z. */
static void generate(tf_mlkem768_key *key, uint8_t *ek, const uint8_t seed[SEED])
{
    const tf_mlkem768_impl *impl = tf_dispatch_mlkem768();
    tf_mlkem_poly noise[2 * K];
    uint8_t rho_sigma[64];
    tf_sha3_512(rho_sigma, seed, SYMBYTES / 8, K | 0x06 << 8);
    TF_PUBLIC(rho_sigma, SYMBYTES); /* rho stands in the encapsulation key */
    key->impl = impl;
    expand_and_draw(impl, key->matrix, noise, rho_sigma, rho_sigma + SYMBYTES);
    for (size_t i = 0; i < 2 * K; i++)
        impl->transform(&noise[i]);
    memcpy(key->s, noise, sizeof key->s);
    for (size_t i = 0; i < K; i++) {
        tf_mlkem_poly *t = &key->t[i], encoded;
        impl->multiply(t, key->matrix + K * i, 1, key->s);
        impl->add(t, &noise[K + i], ONE);
        encoded = *t;
        impl->order(&encoded);
        impl->encode12(key->ek + i * POLY12, &encoded);
    }
    memcpy(key->ek + K * POLY12, rho_sigma, SYMBYTES);
    memcpy(key->z, seed + SYMBYTES, SYMBYTES);
    TF_PUBLIC(key->ek, EK);
    TF_PUBLIC(key->t, sizeof key->t); /* what ek says */
    memcpy(ek, key->ek, EK);
    tf_wipe(noise, sizeof noise);
    tf_wipe(rho_sigma, sizeof rho_sigma);
}

/* Algorithm 14, with the coins that stand in e. */
static void encrypt(const tf_mlkem768_impl *impl, encryption *e, uint8_t ct[CT], const tf_mlkem_poly matrix[K * K], const tf_mlkem_poly t[K],
                    const uint8_t m[SYMBYTES])
{
    const tf_keccak_x4_impl *keccak = tf_dispatch_keccak_x4();
    tf_keccak_x4 states;
    for (unsigned first = 0; first < 2 * K + 1; first += 4) {
        unsigned count = first == 0 ? 4 : 3;
        for (unsigned s = 0; s < 4; s++)
            start_noise(&states, s, e->secret_and_coins + SYMBYTES, first + s);
        keccak->permute(&states, count);
        for (unsigned s = 0; s < count; s++)
            take_noise(impl, &e->r[first + s], &states, s);
    }
    tf_wipe(&states, sizeof states);
    for (size_t i = 0; i < K; i++)
        impl->transform(&e->r[i]);
    for (size_t i = 0; i < K; i++) { /* u: the transposed matrix's rows */
        impl->multiply(&e->u, matrix + i, K, e->r);
        impl->transform_back(&e->u);
        impl->add(&e->u, &e->r[K + i], 0);
        impl->encode10(ct + i * POLY10, &e->u);
    }
    impl->multiply(&e->u, t, 1, e->r);
    impl->transform_back(&e->u);
    impl->add(&e->u, &e->r[2 * K], 0);
    impl->decode1(&e->message, m);
    impl->add(&e->u, &e->message, 0);
    impl->encode4(ct + K * POLY10, &e->u);
}

/* Algorithm 15. */
static void decrypt(const tf_mlkem768_key *key, uint8_t m[SYMBYTES], const uint8_t *ct)
{
    tf_mlkem_poly u[K], v, product;
    for (size_t i = 0; i < K; i++) {
        key->impl->decode10(&u[i], ct + i * POLY10);
        key->impl->transform(&u[i]);
    }
    key->impl->decode4(&v, ct + K * POLY10);
    key->impl->multiply(&product, key->s, 1, u);
    key->impl->transform_back(&product);
    key->impl->add(&product, &v, MINUS);
    key->impl->encode1(m, &product);
    tf_wipe(&product, sizeof product);
}

/* ---- ML-KEM (FIPS 203, 6 and 7) ---- */

/* Algorithm 17, after 7.2's check of the modulus; the check of the type is the caller's, who knows the length. */
static int encapsulate(tf_secret *shared, uint8_t *ct, const uint8_t *ek, const uint8_t m[SYMBYTES])
{
    const tf_mlkem768_impl *impl = tf_dispatch_mlkem768();
    tf_mlkem_poly matrix[K * K], t[K];
    encryption e;
    uint8_t m_and_h[2 * SYMBYTES];
    int bad = 0;
    for (size_t i = 0; i < K; i++) {
        bad |= impl->decode12(&t[i], ek + i * POLY12);
        impl->order(&t[i]);
    }
    if (bad) {
        tf_secret_wipe(shared);
        memset(ct, 0, CT);
        return TF_ERR_PEER_KEY;
    }
    memcpy(m_and_h, m, SYMBYTES);
    expand_and_hash(impl, matrix, m_and_h + SYMBYTES, ek);
    tf_sha3_512(e.secret_and_coins, m_and_h, sizeof m_and_h / 8, 0x06);
    encrypt(impl, &e, ct, matrix, t, m);
    TF_PUBLIC(ct, CT); /* goes out in key_share */
    tf_secret_set(shared, e.secret_and_coins, SYMBYTES);
    tf_wipe(&e, sizeof e);
    tf_wipe(m_and_h, sizeof m_and_h);
    return TF_OK;
}

/* Algorithm 18: the secret of the ciphertext if encrypting again gives it, else J(z | c); which of them shows in nothing. */
static void decapsulate(tf_secret *shared, const tf_mlkem768_key *key, const uint8_t *ct)
{
    encryption e;
    uint8_t m_and_h[2 * SYMBYTES], rejected[SYMBYTES], again[CT];
    hash_both(m_and_h + SYMBYTES, rejected, key, ct);
    decrypt(key, m_and_h, ct);
    tf_sha3_512(e.secret_and_coins, m_and_h, sizeof m_and_h / 8, 0x06);
    encrypt(key->impl, &e, again, key->matrix, key->t, m_and_h);
    uint64_t differ = tf_mask_nonzero(tf_diff(again, ct, CT));
    for (size_t i = 0; i < SYMBYTES; i++)
        e.secret_and_coins[i] = (uint8_t)tf_select(differ, rejected[i], e.secret_and_coins[i]);
    tf_secret_set(shared, e.secret_and_coins, SYMBYTES);
    tf_wipe(&e, sizeof e);
    tf_wipe(m_and_h, sizeof m_and_h);
    tf_wipe(rejected, sizeof rejected);
    tf_wipe(again, sizeof again);
}

/* ---- The interface ---- */

tf_mlkem768_key *tf_mlkem768_key_new(void)
{
    return calloc(1, sizeof(tf_mlkem768_key));
}

void tf_mlkem768_key_free(tf_mlkem768_key *key)
{
    if (key == NULL)
        return;
    tf_mlkem768_key_wipe(key);
    free(key);
}

void tf_mlkem768_key_wipe(tf_mlkem768_key *key)
{
    tf_wipe(key, sizeof *key);
}

int tf_mlkem768_generate(tf_mlkem768_key *key, uint8_t *ek)
{
    uint8_t seed[SEED];
    int rc = tf_random(seed, sizeof seed);
    if (rc) {
        tf_mlkem768_key_wipe(key);
        memset(ek, 0, EK);
        return rc;
    }
    TF_SECRET(seed, sizeof seed);
    generate(key, ek, seed);
    tf_wipe(seed, sizeof seed);
    return TF_OK;
}

int tf_mlkem768_encapsulate(tf_secret *shared, uint8_t *ct, const uint8_t *ek)
{
    uint8_t m[SYMBYTES];
    int rc = tf_random(m, sizeof m);
    if (rc) {
        tf_secret_wipe(shared);
        memset(ct, 0, CT);
        return rc;
    }
    TF_SECRET(m, sizeof m);
    rc = encapsulate(shared, ct, ek, m);
    tf_wipe(m, sizeof m);
    return rc;
}

int tf_mlkem768_decapsulate(tf_secret *shared, const tf_mlkem768_key *key, const uint8_t *ct)
{
    if (key->impl == NULL) {
        tf_secret_wipe(shared);
        return TF_ERR_ARGUMENT;
    }
    decapsulate(shared, key, ct);
    return TF_OK;
}

int tf_test_mlkem768_generate(tf_mlkem768_key *key, uint8_t *ek, const uint8_t *seed)
{
    generate(key, ek, seed);
    return TF_OK;
}

int tf_test_mlkem768_encapsulate(tf_secret *shared, uint8_t *ct, const uint8_t *ek, const uint8_t *m)
{
    return encapsulate(shared, ct, ek, m);
}
