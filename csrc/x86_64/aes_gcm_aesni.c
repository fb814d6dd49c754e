/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM (FIPS 197, NIST SP 800-38D) with AES-NI and PCLMULQDQ on 128-bit registers: eight blocks of AES side by side, and between their rounds
 * GHASH of eight blocks with one reduction. dispatch.c chooses it; aead.c checked the lengths. */
#include "../internal.h"

#if defined(TF_X86_64)

#include "aes_gcm_x86.h"

#if defined(__GNUC__) && !defined(__clang__)
/* gcc would sum the products as a tree, after having spilled them all. */
#define IN_THIS_ORDER(a, b, c) __asm__("" : "+x"(a), "+x"(b), "+x"(c))
#else
#define IN_THIS_ORDER(a, b, c) ((void)0)
#endif

enum { BATCH = 8, POWERS = BATCH + 2 };

typedef struct {
    __m128i round_keys[MAX_ROUNDS + 1];
    __m128i powers[POWERS]; /* powers[i] = H^(i+1) x^-1 */
    __m128i sums[POWERS];   /* the two halves of that, added: for Karatsuba */
    int rounds;
} gcm_state;

_Static_assert(sizeof(gcm_state) <= TF_AEAD_STATE, "TF_AEAD_STATE is too small");

static gcm_state *state_of(tf_aead_key *key)
{
    return (gcm_state *)(void *)key->state;
}

/* ---- Blocks ---- */

/* The first n < 16 bytes of x. */
AESNI TF_INLINE void store_partial(uint8_t *p, __m128i x, size_t n)
{
    uint64_t low = (uint64_t)_mm_cvtsi128_si64(x), high = (uint64_t)_mm_extract_epi64(x, 1);
    if (n >= 8) {
        tf_store64le(p, low);
        if (n > 8)
            tf_store64le(p + n - 8, low >> 8 * (n - 8) | high << 8 * (16 - n));
    } else if (n >= 4) {
        tf_store32le(p, (uint32_t)low);
        tf_store32le(p + n - 4, (uint32_t)(low >> 8 * (n - 4)));
    } else if (n > 0) {
        p[0] = (uint8_t)low;
        p[n / 2] = (uint8_t)(low >> 8 * (n / 2));
        p[n - 1] = (uint8_t)(low >> 8 * (n - 1));
    }
}

/* x with the bytes from n <= 16 on zero. */
AESNI TF_INLINE __m128i keep(__m128i x, size_t n)
{
    static const uint8_t ones_then_zeros[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    return _mm_and_si128(x, load(ones_then_zeros + 16 - n));
}

/* ---- AES ---- */

AESNI TF_INLINE __m128i counter_block(__m128i counter)
{
    return _mm_shuffle_epi8(counter, _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}

/* ---- GHASH ---- */

typedef struct {
    __m128i low, middle, high; /* of a sum of products; middle without what Karatsuba takes off */
} product;

/* p += x times the power of H at index i. */
AESNI TF_INLINE void multiply_add(product *p, const gcm_state *s, __m128i x, size_t i)
{
    p->low = _mm_xor_si128(p->low, _mm_clmulepi64_si128(x, s->powers[i], 0x00));
    p->high = _mm_xor_si128(p->high, _mm_clmulepi64_si128(x, s->powers[i], 0x11));
    x = _mm_xor_si128(x, _mm_shuffle_epi32(x, 0x4E));
    p->middle = _mm_xor_si128(p->middle, _mm_clmulepi64_si128(x, s->sums[i], 0x00));
    IN_THIS_ORDER(p->low, p->middle, p->high);
}

/* Modulo x^128 + x^7 + x^2 + x + 1, which read from the other end is 2^128 + C2 * 2^120 + 1: adding it times the lowest 64 bits clears them, and
 * again. */
AESNI TF_INLINE __m128i reduce(product p)
{
    const __m128i polynomial = from_halves(0xC200000000000000u, 0);
    __m128i middle = _mm_xor_si128(p.middle, _mm_xor_si128(p.low, p.high));
    __m128i low = _mm_xor_si128(p.low, _mm_slli_si128(middle, 8)), high = _mm_xor_si128(p.high, _mm_srli_si128(middle, 8));
    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4E), _mm_clmulepi64_si128(low, polynomial, 0x00));
    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4E), _mm_clmulepi64_si128(low, polynomial, 0x00));
    return _mm_xor_si128(high, low);
}

AESNI TF_INLINE product no_product(void)
{
    product p = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
    return p;
}

AESNI TF_INLINE __m128i multiply_by_h(const gcm_state *s, __m128i x)
{
    product p = no_product();
    multiply_add(&p, s, x, 0);
    return reduce(p);
}

/* acc = GHASH so far, with the eight blocks at p added. */
AESNI TF_INLINE __m128i ghash_batch(const gcm_state *s, __m128i acc, const uint8_t *p)
{
    product sum = no_product();
    UNROLL for (size_t i = 0; i < BATCH; i++)
    {
        __m128i x = reverse_bytes(load(p + 16 * i));
        multiply_add(&sum, s, i == 0 ? _mm_xor_si128(x, acc) : x, BATCH - 1 - i);
    }
    return reduce(sum);
}

AESNI static __m128i ghash_aad(const gcm_state *s, const uint8_t *aad, size_t len)
{
    __m128i acc = _mm_setzero_si128();
    for (; len >= 16; aad += 16, len -= 16)
        acc = multiply_by_h(s, _mm_xor_si128(acc, reverse_bytes(load(aad))));
    if (len > 0)
        acc = multiply_by_h(s, _mm_xor_si128(acc, reverse_bytes(load_partial(aad, len, -1))));
    return acc;
}

AESNI static void set_key(tf_aead_key *key, const uint8_t *bytes, size_t len)
{
    gcm_state *s = state_of(key);
    s->rounds = expand_key(s->round_keys, bytes, len);
    __m128i h = hash_key(s->round_keys, s->rounds);
    s->powers[0] = h;
    s->sums[0] = _mm_xor_si128(h, _mm_shuffle_epi32(h, 0x4E));
    for (size_t i = 1; i < POWERS; i++) {
        s->powers[i] = multiply_by_h(s, s->powers[i - 1]);
        s->sums[i] = _mm_xor_si128(s->powers[i], _mm_shuffle_epi32(s->powers[i], 0x4E));
    }
}

/* ---- GCM ---- */

/* Encrypts or decrypts the eight blocks at in. Between the rounds the eight blocks of ciphertext at hashed, if any, go into the hash: when sealing
 * those of the batch before, when opening this one's. rounds is a constant wherever this is expanded. */
AESNI TF_INLINE __m128i crypt_batch(const gcm_state *s, int rounds, __m128i acc, __m128i *counter, uint8_t *out, const uint8_t *in,
                                    const uint8_t *hashed)
{
    const __m128i one = _mm_set_epi32(1, 0, 0, 0);
    RELOAD;
    __m128i lane[BATCH], key = s->round_keys[0], c = *counter;
    product sum = no_product();
    UNROLL for (int i = 0; i < BATCH; i++)
    {
        lane[i] = _mm_xor_si128(counter_block(c), key);
        c = _mm_add_epi32(c, one);
    }
    *counter = c;
    UNROLL for (int round = 1; round < rounds; round++)
    {
        key = s->round_keys[round];
        UNROLL for (int i = 0; i < BATCH / 2; i++) lane[i] = _mm_aesenc_si128(lane[i], key);
        if (hashed != NULL && round <= BATCH) { /* from the last block to the first, to which acc, the late comer, is added */
            __m128i x = reverse_bytes(load(hashed + 16 * (BATCH - round)));
            multiply_add(&sum, s, round == BATCH ? _mm_xor_si128(x, acc) : x, (size_t)(round - 1));
        }
        UNROLL for (int i = BATCH / 2; i < BATCH; i++) lane[i] = _mm_aesenc_si128(lane[i], key);
    }
    key = s->round_keys[rounds];
    UNROLL for (int i = 0; i < BATCH; i++) store(out + 16 * i, _mm_xor_si128(_mm_aesenclast_si128(lane[i], key), load(in + 16 * i)));
    return hashed != NULL ? reduce(sum) : acc;
}

/* What remains, len <= 128 bytes (the trailer counted), with the length block and the mask of the tag: answers the tag. aad is the one block of
 * additional data not yet in acc if aad_pending. */
AESNI TF_INLINE __m128i crypt_tail(const gcm_state *s, int rounds, int sealing, __m128i acc, __m128i counter, __m128i aad, int aad_pending,
                                   __m128i lengths, uint8_t *out, const uint8_t *in, size_t len, int trailer)
{
    const __m128i one = _mm_set_epi32(1, 0, 0, 0);
    __m128i lane[BATCH + 1], key = s->round_keys[0];
    lane[BATCH] = _mm_xor_si128(counter_block(_mm_blend_epi16(counter, one, 0xC0)), key); /* counter 1 masks the tag */
    UNROLL for (int i = 0; i < BATCH; i++)
    {
        lane[i] = _mm_xor_si128(counter_block(counter), key);
        counter = _mm_add_epi32(counter, one);
    }
    UNROLL for (int round = 1; round < rounds; round++)
    {
        key = s->round_keys[round];
        UNROLL for (int i = 0; i <= BATCH; i++) lane[i] = _mm_aesenc_si128(lane[i], key);
    }
    key = s->round_keys[rounds];
    UNROLL for (int i = 0; i <= BATCH; i++) lane[i] = _mm_aesenclast_si128(lane[i], key);

    product sum = no_product();
    size_t left = (len + 15) / 16 + 1, plain = len - (sealing && trailer >= 0);
    if (aad_pending)
        multiply_add(&sum, s, aad, left);
    for (size_t i = 0; 16 * i < len; i++) {
        size_t at = 16 * i, n = len - at < 16 ? len - at : 16;
        __m128i x = plain - at >= 16 ? load(in + at) : load_partial(in + at, plain - at, sealing ? trailer : -1);
        __m128i y = keep(_mm_xor_si128(x, lane[i]), n);
        if (n == 16)
            store(out + at, y);
        else
            store_partial(out + at, y, n);
        multiply_add(&sum, s, _mm_xor_si128(acc, reverse_bytes(sealing ? y : x)), --left);
        acc = _mm_setzero_si128();
    }
    multiply_add(&sum, s, _mm_xor_si128(acc, lengths), 0);
    __m128i tag = _mm_xor_si128(reverse_bytes(reduce(sum)), lane[BATCH]);
    tf_wipe(lane, sizeof lane);
    return tag;
}

/* Both directions for one key length; the tag of in (opening) or out (sealing). */
AESNI TF_INLINE __m128i crypt(const gcm_state *s, int rounds, int sealing, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                              const uint8_t *in, size_t len, int trailer)
{
    __m128i counter = first_counter(nonce, 2), acc = _mm_setzero_si128(), aad_block = acc;
    size_t total = len + (trailer >= 0), done = 0;
    __m128i lengths = from_halves((uint64_t)total * 8, (uint64_t)aad_len * 8);
    int aad_pending = len < 16 * BATCH && aad_len > 0 && aad_len < 16;
    if (aad_pending)
        aad_block = reverse_bytes(load_aad(aad, aad_len));
    else
        acc = ghash_aad(s, aad, aad_len);
    if (sealing && len >= 16 * BATCH) {
        crypt_batch(s, rounds, acc, &counter, out, in, NULL);
        for (done = 16 * BATCH; len - done >= 16 * BATCH; done += 16 * BATCH)
            acc = crypt_batch(s, rounds, acc, &counter, out + done, in + done, out + done - 16 * BATCH);
        acc = ghash_batch(s, acc, out + done - 16 * BATCH);
    }
    if (!sealing)
        for (; len - done >= 16 * BATCH; done += 16 * BATCH)
            acc = crypt_batch(s, rounds, acc, &counter, out + done, in + done, in + done);
    if (done > 0) {
        out += done;
        in += done;
    }
    return crypt_tail(s, rounds, sealing, acc, counter, aad_block, aad_pending, lengths, out, in, total - done, trailer);
}

AESNI static void seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                       int trailer)
{
    const gcm_state *s = state_of(key);
    __m128i tag = s->rounds == 10 ? crypt(s, 10, 1, out, nonce, aad, aad_len, in, len, trailer)
                                  : crypt(s, MAX_ROUNDS, 1, out, nonce, aad, aad_len, in, len, trailer);
    store(out + len + (trailer >= 0), tag);
}

AESNI static int open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                      const uint8_t *tag)
{
    const gcm_state *s = state_of(key);
    uint8_t computed[TF_TAG];
    __m128i x =
        s->rounds == 10 ? crypt(s, 10, 0, out, nonce, aad, aad_len, in, len, -1) : crypt(s, MAX_ROUNDS, 0, out, nonce, aad, aad_len, in, len, -1);
    store(computed, x);
    return tf_aead_verdict(out, len, computed, tag);
}

const tf_aead_impl tf_aes_gcm_aesni = {"aes_gcm_aesni", TF_CPU_AESNI, set_key, seal, open};

#else
typedef int tf_not_x86_64; /* ISO C wants a declaration in every file */
#endif
