/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM (FIPS 197, NIST SP 800-38D) with VAES and VPCLMULQDQ, written once over the vectors of the file that includes it: eight vectors of AES side
 * by side, and between their rounds GHASH of eight vectors.
 *
 * GHASH goes by Horner's rule in each of the L = LANES lanes apart: with v0..v7 the vectors of a batch, acc = acc H^8L + v0 H^7L + ... + v6 H^L + v7,
 * the same power for all lanes. Only the tail folds them, by the powers that lanes and vectors still lack: a block behind which n - 1 others come
 * (the length block is one) is multiplied by H^n.
 *
 * The including file defines VAES (its target), LANES (blocks in a vector), the type `vector`, and on vectors: load_vector, store_vector, broadcast
 * (a block to all lanes), in_lane_0 (and zeros), with_last_lane, lane_0, last_lane, fold (the lanes' sum), zeros, xor2, xor3, add32, shuffle_bytes
 * (in every lane alike), swap_halves, half_up and half_down (by 64 bits, zeros behind), clmul_low, clmul_high, aesenc, aesenclast, in_last_words (a
 * number for each lane), crypt_last (the last bytes of a text), clear_registers, and clear_frame (of what a kernel that returned had on the stack).
 */
#ifndef TF_AES_GCM_VAES_H
#define TF_AES_GCM_VAES_H

#include "aes_gcm_x86.h"

#if defined(__GNUC__) && !defined(__clang__)
/* gcc would sum the products as a tree, after having spilled them all. */
#define IN_THIS_ORDER(a, b, c) __asm__("" : "+v"(a), "+v"(b), "+v"(c))
#else
#define IN_THIS_ORDER(a, b, c) ((void)0)
#endif

enum {
    VECTOR = 16 * LANES,                 /* bytes */
    BATCH = 8,                           /* vectors */
    SHORT = 16 * (LANES - 1),            /* bytes that leave room in one vector for the block that masks the tag */
    HIGHEST = LANES + LANES * BATCH + 1, /* the power of H for the first lane of acc, when a tail of a whole batch and the length block come behind */
    POWERS = HIGHEST + LANES             /* and zeros for lanes that nothing is in */
};

typedef struct {
    __m128i round_keys[MAX_ROUNDS + 2]; /* one unused, for alignment */
    __m128i powers[POWERS];             /* powers[HIGHEST - n] = H^n x^-1: those that follow each other are a vector */
    __m128i sums[POWERS];               /* the two halves of that, added: for Karatsuba */
    int rounds;
} gcm_state;

_Static_assert(sizeof(gcm_state) <= TF_AEAD_STATE, "TF_AEAD_STATE is too small");

static gcm_state *state_of(tf_aead_key *key)
{
    return (gcm_state *)(void *)key->state;
}

/* ---- Counters ---- */

VAES TF_INLINE vector reverse_lanes(vector x)
{
    return shuffle_bytes(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* Counters from first on, which stand in the last words in the processor's byte order. */
VAES TF_INLINE vector counters(__m128i zero_counter, int first)
{
    return add32(broadcast(&zero_counter), in_last_words(first, 1));
}

VAES TF_INLINE vector counter_blocks(vector counter)
{
    return shuffle_bytes(counter, _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}

/* The next vector of counter blocks, with the first round key added. */
VAES TF_INLINE vector next_counters(vector *counter, vector key)
{
    vector blocks = xor2(counter_blocks(*counter), key);
    *counter = add32(*counter, in_last_words(LANES, 0));
    return blocks;
}

/* The block that masks the tag: counter 1 (SP 800-38D, 7.1). */
VAES TF_INLINE __m128i first_block(__m128i zero_counter)
{
    return _mm_or_si128(zero_counter, _mm_set_epi32(1, 0, 0, 0));
}

/* ---- GHASH ---- */

typedef struct {
    vector low, middle, high; /* of a sum of products; middle without what Karatsuba takes off */
} product;

VAES TF_INLINE product no_product(void)
{
    product p = {zeros(), zeros(), zeros()};
    return p;
}

VAES TF_INLINE vector halves_added(vector x)
{
    return xor2(x, swap_halves(x));
}

VAES TF_INLINE void multiply_add(product *p, vector x, vector power, vector sum)
{
    p->low = xor2(p->low, clmul_low(x, power));
    p->high = xor2(p->high, clmul_high(x, power));
    p->middle = xor2(p->middle, clmul_low(halves_added(x), sum));
    IN_THIS_ORDER(p->low, p->middle, p->high);
}

/* p += x H^n in every lane. */
VAES TF_INLINE void multiply_add_same(product *p, const gcm_state *s, vector x, size_t n)
{
    multiply_add(p, x, broadcast(&s->powers[HIGHEST - n]), broadcast(&s->sums[HIGHEST - n]));
}

/* p += x times H^n, H^(n-1), .. in the lanes; n >= 1, and H^0 and below are zeros here. */
VAES TF_INLINE void multiply_add_falling(product *p, const gcm_state *s, vector x, size_t n)
{
    multiply_add(p, x, load_vector(&s->powers[HIGHEST - n]), load_vector(&s->sums[HIGHEST - n]));
}

/* Modulo x^128 + x^7 + x^2 + x + 1, which read from the other end is 2^128 + C2 * 2^120 + 1: adding it times the lowest 64 bits clears them, and
 * again. */
VAES TF_INLINE vector reduce(product p)
{
    const __m128i polynomial_block = from_halves(0xC200000000000000u, 0);
    const vector polynomial = broadcast(&polynomial_block);
    vector middle = xor3(p.middle, p.low, p.high);
    vector low = xor2(p.low, half_up(middle)), high = xor2(p.high, half_down(middle));
    low = xor2(swap_halves(low), clmul_low(low, polynomial));
    return xor3(high, swap_halves(low), clmul_low(low, polynomial));
}

VAES TF_INLINE __m128i multiply_by_h(const gcm_state *s, __m128i x)
{
    product p = no_product();
    multiply_add_same(&p, s, in_lane_0(x), 1);
    return lane_0(reduce(p));
}

/* The additional data but for one multiplication by H, which its last block shares with the text behind it. */
VAES TF_INLINE __m128i ghash_aad(const gcm_state *s, const uint8_t *aad, size_t len)
{
    __m128i acc = _mm_setzero_si128();
    for (; len > 16; aad += 16, len -= 16)
        acc = multiply_by_h(s, _mm_xor_si128(acc, reverse_bytes(load(aad))));
    return len > 0 ? _mm_xor_si128(acc, reverse_bytes(load_aad(aad, len))) : acc;
}

/* acc with the batch at p added. */
VAES TF_INLINE vector ghash_batch(const gcm_state *s, vector acc, const uint8_t *p)
{
    product sum = no_product();
    UNROLL for (size_t i = BATCH - 1; i-- > 0;) multiply_add_same(&sum, s, reverse_lanes(load_vector(p + VECTOR * i)), LANES * (BATCH - 1 - i));
    multiply_add_same(&sum, s, acc, LANES * BATCH);
    return xor2(reduce(sum), reverse_lanes(load_vector(p + VECTOR * (BATCH - 1))));
}

VAES TF_INLINE void keep_power(gcm_state *s, size_t n, __m128i h)
{
    s->powers[HIGHEST - n] = h;
    s->sums[HIGHEST - n] = _mm_xor_si128(h, _mm_shuffle_epi32(h, 0x4E));
}

/* H^(n+m), H^(n+m-1), .. from H^n, H^(n-1), .. and H^m. */
VAES TF_INLINE void keep_vector(gcm_state *s, size_t n, size_t m)
{
    product p = no_product();
    multiply_add_same(&p, s, load_vector(&s->powers[HIGHEST - n]), m);
    vector powers = reduce(p);
    store_vector(&s->powers[HIGHEST - n - m], powers);
    store_vector(&s->sums[HIGHEST - n - m], halves_added(powers));
}

VAES static void set_key(tf_aead_key *key, const uint8_t *bytes, size_t len)
{
    gcm_state *s = state_of(key);
    s->rounds = expand_key(s->round_keys, bytes, len);
    memset(s->powers, 0, sizeof s->powers);
    memset(s->sums, 0, sizeof s->sums);
    keep_power(s, 1, hash_key(s->round_keys, s->rounds));
    for (size_t n = 2; n <= LANES; n++)
        keep_power(s, n, multiply_by_h(s, s->powers[HIGHEST - n + 1]));
    for (size_t known = LANES; known < LANES * BATCH; known *= 2) /* twice as many at a time: a chain of a few products, not of HIGHEST */
        for (size_t n = known; n > 0; n -= LANES)
            keep_vector(s, n, known);
    keep_vector(s, LANES, LANES * BATCH);
    product p = no_product();
    multiply_add_same(&p, s, in_lane_0(s->powers[HIGHEST - LANES - 1]), LANES * BATCH);
    keep_power(s, HIGHEST, lane_0(reduce(p)));
    clear_registers();
}

/* ---- GCM ---- */

/* Encrypts or decrypts the batch at in. Between the rounds, if hashing, the batch of ciphertext at hashed goes into the hash: when sealing the one
 * before, when opening this one. rounds and hashing are constants wherever this is expanded. */
VAES TF_INLINE vector crypt_batch(const gcm_state *s, int rounds, int hashing, vector acc, vector *counter, uint8_t *out, const uint8_t *in,
                                  const uint8_t *hashed)
{
    RELOAD;
    vector text[BATCH], key = broadcast(&s->round_keys[0]);
    product sum = no_product();
    UNROLL for (int i = 0; i < BATCH; i++) text[i] = next_counters(counter, key);
    UNROLL for (int round = 1; round < rounds; round++)
    {
        key = broadcast(&s->round_keys[round]);
        UNROLL for (int i = 0; i < BATCH / 2; i++) text[i] = aesenc(text[i], key);
        if (hashing && round <= BATCH) { /* from the last vector but one to the first, and then acc, the late comer */
            vector x = round < BATCH ? reverse_lanes(load_vector(hashed + VECTOR * (BATCH - 1 - round))) : acc;
            multiply_add_same(&sum, s, x, (size_t)(LANES * round));
        }
        UNROLL for (int i = BATCH / 2; i < BATCH; i++) text[i] = aesenc(text[i], key);
    }
    if (hashing)
        acc = xor2(reduce(sum), reverse_lanes(load_vector(hashed + VECTOR * (BATCH - 1))));
    key = broadcast(&s->round_keys[rounds]);
    UNROLL for (int i = 0; i < BATCH; i++) /* the text is added to the last round key */
        text[i] = aesenclast(text[i], xor2(key, load_vector(in + VECTOR * i)));
    UNROLL for (int i = 0; i < BATCH; i++) store_vector(out + VECTOR * i, text[i]);
    return acc;
}

/* What is left of a text that a batch has no more room for. */
typedef struct {
    vector counter;
    product sum;
    size_t n; /* the power of H for the next block */
    uint8_t *out;
    const uint8_t *in;
} tail;

/* The next count vectors of the tail. */
VAES TF_INLINE void crypt_vectors(const gcm_state *s, int rounds, int sealing, tail *t, int count)
{
    RELOAD;
    vector text[4], key = broadcast(&s->round_keys[0]);
    UNROLL for (int i = 0; i < count; i++) text[i] = next_counters(&t->counter, key);
    UNROLL for (int round = 1; round < rounds; round++)
    {
        key = broadcast(&s->round_keys[round]);
        UNROLL for (int i = 0; i < count; i++) text[i] = aesenc(text[i], key);
    }
    key = broadcast(&s->round_keys[rounds]);
    UNROLL for (int i = 0; i < count; i++)
    {
        vector x = load_vector(t->in + VECTOR * i), y = aesenclast(text[i], xor2(key, x));
        store_vector(t->out + VECTOR * i, y);
        multiply_add_falling(&t->sum, s, reverse_lanes(sealing ? y : x), t->n - LANES * (size_t)i);
    }
    t->n -= LANES * (size_t)count;
    t->in += VECTOR * count;
    t->out += VECTOR * count;
}

/* The counter blocks of one vector, encrypted. */
VAES TF_INLINE vector keystream(const gcm_state *s, int rounds, vector counter)
{
    RELOAD;
    vector x = xor2(counter_blocks(counter), broadcast(&s->round_keys[0]));
    UNROLL for (int round = 1; round < rounds; round++) x = aesenc(x, broadcast(&s->round_keys[round]));
    return aesenclast(x, broadcast(&s->round_keys[rounds]));
}

/* Up to SHORT bytes, trailer included: one vector has room for them and for the block that masks the tag. */
VAES TF_INLINE __m128i crypt_short(const gcm_state *s, int rounds, int sealing, __m128i zero_counter, __m128i aad, __m128i lengths, uint8_t *out,
                                   const uint8_t *in, size_t len, int trailer)
{
    vector stream = keystream(s, rounds, with_last_lane(counters(zero_counter, 2), first_block(zero_counter)));
    vector text = reverse_lanes(crypt_last(sealing, stream, out, in, len, trailer));
    size_t at = HIGHEST - 2 - (len + (trailer >= 0) + 15) / 16; /* the power for the additional data, in the last lane; behind it the text's */
    product sum = no_product();
    multiply_add_falling(&sum, s, in_lane_0(lengths), 1);
    multiply_add(&sum, with_last_lane(text, aad), with_last_lane(load_vector(&s->powers[at + 1]), s->powers[at]),
                 with_last_lane(load_vector(&s->sums[at + 1]), s->sums[at]));
    return _mm_xor_si128(reverse_bytes(fold(reduce(sum))), last_lane(stream));
}

/* What remains of a longer text, less than a batch and the trailer; the tag's mask is made beside the last of it. */
VAES TF_INLINE __m128i crypt_tail(const gcm_state *s, int rounds, int sealing, __m128i zero_counter, vector counter, vector acc, __m128i lengths,
                                  uint8_t *out, const uint8_t *in, size_t len, int trailer)
{
    tail t = {counter, no_product(), (len + (trailer >= 0) + 15) / 16 + 1, out, in};
    size_t n = t.n;
    if (len & 4 * VECTOR)
        crypt_vectors(s, rounds, sealing, &t, 4);
    if (len & 2 * VECTOR)
        crypt_vectors(s, rounds, sealing, &t, 2);
    if (len & VECTOR)
        crypt_vectors(s, rounds, sealing, &t, 1);
    len %= VECTOR;

    __m128i first = first_block(zero_counter), mask;
    vector stream;
    if (len + (trailer >= 0) <= SHORT) {
        stream = keystream(s, rounds, with_last_lane(t.counter, first));
        mask = last_lane(stream);
    } else {
        stream = keystream(s, rounds, t.counter);
        mask = lane_0(keystream(s, rounds, in_lane_0(first)));
    }
    multiply_add_falling(&t.sum, s, reverse_lanes(crypt_last(sealing, stream, t.out, t.in, len, trailer)), t.n);
    multiply_add_falling(&t.sum, s, in_lane_0(lengths), 1);
    multiply_add_falling(&t.sum, s, acc, n + LANES);
    return _mm_xor_si128(reverse_bytes(fold(reduce(t.sum))), mask);
}

/* Both directions for one key length; the tag of in (opening) or out (sealing). */
VAES TF_INLINE __m128i crypt(const gcm_state *s, int rounds, int sealing, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                             const uint8_t *in, size_t len, int trailer)
{
    enum { WHOLE = BATCH * VECTOR };
    size_t total = len + (trailer >= 0);
    __m128i zero_counter = first_counter(nonce, 0), hashed_aad = ghash_aad(s, aad, aad_len);
    __m128i lengths = from_halves((uint64_t)total * 8, (uint64_t)aad_len * 8);
    if (total <= SHORT)
        return crypt_short(s, rounds, sealing, zero_counter, hashed_aad, lengths, out, in, len, trailer);

    vector counter = counters(zero_counter, 2), acc = with_last_lane(zeros(), hashed_aad);
    if (sealing && len >= WHOLE) {
        crypt_batch(s, rounds, 0, acc, &counter, out, in, in);
        for (len -= WHOLE, in += WHOLE, out += WHOLE; len >= WHOLE; len -= WHOLE, in += WHOLE, out += WHOLE)
            acc = crypt_batch(s, rounds, 1, acc, &counter, out, in, out - WHOLE);
        acc = ghash_batch(s, acc, out - WHOLE);
    }
    if (!sealing)
        for (; len >= WHOLE; len -= WHOLE, in += WHOLE, out += WHOLE)
            acc = crypt_batch(s, rounds, 1, acc, &counter, out, in, in);
    return crypt_tail(s, rounds, sealing, zero_counter, counter, acc, lengths, out, in, len, trailer);
}

VAES TF_NOINLINE static void encrypt(const gcm_state *s, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in,
                                     size_t len, int trailer)
{
    __m128i tag = s->rounds == 10 ? crypt(s, 10, 1, out, nonce, aad, aad_len, in, len, trailer)
                                  : crypt(s, MAX_ROUNDS, 1, out, nonce, aad, aad_len, in, len, trailer);
    store(out + len + (trailer >= 0), tag);
    clear_registers();
}

VAES TF_NOINLINE static void decrypt(const gcm_state *s, uint8_t *out, uint8_t tag[TF_TAG], const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                                     const uint8_t *in, size_t len)
{
    store(tag,
          s->rounds == 10 ? crypt(s, 10, 0, out, nonce, aad, aad_len, in, len, -1) : crypt(s, MAX_ROUNDS, 0, out, nonce, aad, aad_len, in, len, -1));
    clear_registers();
}

static void seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, int trailer)
{
    encrypt(state_of(key), out, nonce, aad, aad_len, in, len, trailer);
    clear_frame();
}

/* Outside of the kernel, which has so no way from its vector registers to a flag or an address: run_ct.sh looks for one. */
static int open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                const uint8_t *tag)
{
    uint8_t computed[TF_TAG];
    decrypt(state_of(key), out, computed, nonce, aad, aad_len, in, len);
    clear_frame();
    int verdict = tf_aead_verdict(out, len, computed, tag);
    tf_wipe(computed, sizeof computed); /* of a forgery it would be the right tag */
    return verdict;
}

#endif
