/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20-Poly1305 (RFC 8439) for any processor, in constant time. Poly1305 has limbs of 44 bits where the compiler has a 128-bit product, else of
 * 26 bits. aead.c checked the lengths. */
#include "internal.h"

/* ---- ChaCha20 (RFC 8439, 2.3) ----
 * One block in each lane. Where the compiler has vectors a word of the state is four lanes of a vector, elsewhere it is itself: the operators are the
 * same. (The 32-bit processors whose compilers have no 128-bit product would get vectors made of single words and run out of registers.) */

#if defined(TF_INT128)
enum { LANES = 4 };
typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));
static const lanes lane_numbers = {0, 1, 2, 3};
#else
enum { LANES = 1 };
typedef uint32_t lanes;
static const lanes lane_numbers = 0;
#endif

enum { BATCH = 64 * LANES };

typedef struct {
    uint32_t key[8];
} chacha_state;

_Static_assert(sizeof(chacha_state) <= TF_AEAD_STATE, "TF_AEAD_STATE is too small");

static chacha_state *state_of(tf_aead_key *key)
{
    return (chacha_state *)(void *)key->state;
}

#define ROTATE(x, bits) ((x) << (bits) | (x) >> (32 - (bits)))

TF_INLINE void quarter_round(lanes x[16], int a, int b, int c, int d)
{
    x[a] += x[b];
    x[d] = ROTATE(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = ROTATE(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = ROTATE(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = ROTATE(x[b] ^ x[c], 7);
}

/* The key stream of blocks first .. first + LANES - 1. */
static void chacha20_blocks(const chacha_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t first)
{
    /* "expand 32-byte k", the key, the counter, the nonce */
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, words[LANES];
    lanes x[16];
    memcpy(start + 4, s->key, sizeof s->key);
    start[12] = first;
    for (int i = 0; i < 3; i++)
        start[13 + i] = tf_load32le(nonce + 4 * i);
    for (int i = 0; i < 16; i++)
        x[i] = (lanes){0} + start[i];
    x[12] += lane_numbers;

    for (int round = 0; round < 10; round++) {
        quarter_round(x, 0, 4, 8, 12);
        quarter_round(x, 1, 5, 9, 13);
        quarter_round(x, 2, 6, 10, 14);
        quarter_round(x, 3, 7, 11, 15);
        quarter_round(x, 0, 5, 10, 15);
        quarter_round(x, 1, 6, 11, 12);
        quarter_round(x, 2, 7, 8, 13);
        quarter_round(x, 3, 4, 9, 14);
    }

    x[12] += lane_numbers;
    for (int i = 0; i < 16; i++) {
        x[i] += start[i];
        memcpy(words, &x[i], sizeof words);
        for (int k = 0; k < LANES; k++)
            tf_store32le(stream + 64 * k + 4 * i, words[k]);
    }
    tf_wipe(x, sizeof x);
    tf_wipe(start, sizeof start);
    tf_wipe(words, sizeof words);
}

/* The key stream of one nonce, a batch at a time. */
typedef struct {
    uint8_t bytes[BATCH];
    const uint8_t *nonce;
    uint32_t counter; /* of the batch's first block */
    size_t used;
} key_stream;

/* RFC 8439, 2.6: block 0 gives the Poly1305 key, the text is encrypted from block 1 on. */
static void stream_start(key_stream *k, const chacha_state *s, uint8_t poly_key[32], const uint8_t *nonce)
{
    k->nonce = nonce;
    k->counter = 0;
    k->used = 64;
    chacha20_blocks(s, k->bytes, nonce, 0);
    memcpy(poly_key, k->bytes, 32);
}

static void stream_xor(key_stream *k, const chacha_state *s, uint8_t *out, const uint8_t *in, size_t len)
{
    for (size_t done = 0; done < len;) {
        if (k->used == BATCH) {
            chacha20_blocks(s, k->bytes, k->nonce, k->counter += LANES);
            k->used = 0;
        }
        size_t n = len - done < BATCH - k->used ? len - done : BATCH - k->used;
        for (size_t i = 0; i < n; i++)
            out[done + i] = in[done + i] ^ k->bytes[k->used + i];
        done += n;
        k->used += n;
    }
}

/* ---- Poly1305 (RFC 8439, 2.5) ----
 * h = (h + block + 2^128) r modulo p = 2^130 - 5. The AEAD fills everything up to whole blocks, so every block has its 2^128. */

/* r with the bits cleared that RFC 8439, 2.5 names: r < 2^124, and each product below has room for its carries. */
static const uint64_t R_LOW = 0x0FFFFFFC0FFFFFFFu, R_HIGH = 0x0FFFFFFC0FFFFFFCu;

#if defined(TF_INT128)

/* Limbs of 44, 44 and 42 bits. 2^132 = 4 * 2^130 = 20 modulo p, so what passes the top limb comes back times 20. */

enum { POLY_LIMBS = 3 };
static const uint64_t M44 = 0xFFFFFFFFFFFu, M42 = 0x3FFFFFFFFFFu;

typedef struct {
    uint64_t r[POLY_LIMBS], h[POLY_LIMBS], pad[2];
} poly1305;

static void poly_start(poly1305 *p, const uint8_t poly_key[32])
{
    uint64_t low = tf_load64le(poly_key) & R_LOW, high = tf_load64le(poly_key + 8) & R_HIGH;
    p->r[0] = low & M44;
    p->r[1] = (low >> 44 | high << 20) & M44;
    p->r[2] = high >> 24;
    memset(p->h, 0, sizeof p->h);
    p->pad[0] = tf_load64le(poly_key + 16);
    p->pad[1] = tf_load64le(poly_key + 24);
}

/* Between blocks h0 < 2^44, h1 < 2^44 + 2^14 and h2 < 2^42, so after the block is added every h < 2^46. r < 2^44 and 20 r < 2^49: a sum of three
 * products is below 2^97, the carries out of it are below 2^55, five times that fits beside h0, and what h0 then carries into h1 is below 2^14. */
static void poly_blocks(poly1305 *p, const uint8_t *in, size_t blocks)
{
    const uint64_t r0 = p->r[0], r1 = p->r[1], r2 = p->r[2], s1 = 20 * r1, s2 = 20 * r2;
    uint64_t h0 = p->h[0], h1 = p->h[1], h2 = p->h[2];
    for (; blocks > 0; blocks--, in += 16) {
        uint64_t low = tf_load64le(in), high = tf_load64le(in + 8);
        h0 += low & M44;
        h1 += (low >> 44 | high << 20) & M44;
        h2 += high >> 24 | (uint64_t)1 << 40;
        tf_uint128 d0 = (tf_uint128)h0 * r0 + (tf_uint128)h1 * s2 + (tf_uint128)h2 * s1;
        tf_uint128 d1 = (tf_uint128)h0 * r1 + (tf_uint128)h1 * r0 + (tf_uint128)h2 * s2;
        tf_uint128 d2 = (tf_uint128)h0 * r2 + (tf_uint128)h1 * r1 + (tf_uint128)h2 * r0;
        d1 += (uint64_t)(d0 >> 44);
        d2 += (uint64_t)(d1 >> 44);
        h0 = ((uint64_t)d0 & M44) + 5 * (uint64_t)(d2 >> 42);
        h1 = ((uint64_t)d1 & M44) + (h0 >> 44);
        h0 &= M44;
        h2 = (uint64_t)d2 & M42;
    }
    p->h[0] = h0;
    p->h[1] = h1;
    p->h[2] = h2;
}

/* tag = (h modulo p) + pad modulo 2^128. */
static void poly_tag(poly1305 *p, uint8_t tag[16])
{
    uint64_t h0 = p->h[0], h1 = p->h[1], h2 = p->h[2];
    /* Only h1 may be too long, by less than 2^14; if so, it is short now and takes what h0 may carry. */
    h2 += h1 >> 44;
    h1 &= M44;
    h0 += 5 * (h2 >> 42);
    h2 &= M42;
    h1 += h0 >> 44;
    h0 &= M44;
    /* g = h + 5 - 2^130; if that is not negative, h was p or more and g is the remainder. */
    uint64_t g0 = h0 + 5, g1 = h1 + (g0 >> 44), g2 = h2 + (g1 >> 44);
    uint64_t reduced = tf_mask_nonzero(g2 >> 42);
    h0 = tf_select(reduced, g0 & M44, h0);
    h1 = tf_select(reduced, g1 & M44, h1);
    h2 = tf_select(reduced, g2 & M42, h2);
    uint64_t low = h0 | h1 << 44, high = h1 >> 20 | h2 << 24;
    tf_uint128 sum = (tf_uint128)low + p->pad[0];
    tf_store64le(tag, (uint64_t)sum);
    tf_store64le(tag + 8, high + p->pad[1] + (uint64_t)(sum >> 64));
    tf_wipe(p, sizeof *p);
}

#else

/* Limbs of 26 bits. 2^130 = 5 modulo p, so what passes the top limb comes back times 5. */

enum { POLY_LIMBS = 5 };
static const uint32_t M26 = 0x3FFFFFF;

typedef struct {
    uint32_t r[POLY_LIMBS], h[POLY_LIMBS], pad[4];
} poly1305;

/* The 128 bits high, low as limbs; the top limb has 24. */
static void poly_split(uint32_t limbs[POLY_LIMBS], uint64_t low, uint64_t high)
{
    limbs[0] = (uint32_t)low & M26;
    limbs[1] = (uint32_t)(low >> 26) & M26;
    limbs[2] = (uint32_t)(low >> 52 | high << 12) & M26;
    limbs[3] = (uint32_t)(high >> 14) & M26;
    limbs[4] = (uint32_t)(high >> 40);
}

static void poly_start(poly1305 *p, const uint8_t poly_key[32])
{
    poly_split(p->r, tf_load64le(poly_key) & R_LOW, tf_load64le(poly_key + 8) & R_HIGH);
    memset(p->h, 0, sizeof p->h);
    for (int i = 0; i < 4; i++)
        p->pad[i] = tf_load32le(poly_key + 16 + 4 * i);
}

/* Between blocks every h < 2^26, but h[1] < 2^26 + 2^10, so after the block is added h < 2^27 + 2^10. r < 2^26 and 5 r < 2^29: a sum of five products
 * is below 2^59. */
static void poly_blocks(poly1305 *p, const uint8_t *in, size_t blocks)
{
    const uint32_t *r = p->r;
    uint32_t *h = p->h, m[POLY_LIMBS], s[POLY_LIMBS];
    for (int i = 0; i < POLY_LIMBS; i++)
        s[i] = 5 * r[i];
    for (; blocks > 0; blocks--, in += 16) {
        uint64_t d[POLY_LIMBS], carry = 0;
        poly_split(m, tf_load64le(in), tf_load64le(in + 8));
        for (int i = 0; i < POLY_LIMBS; i++)
            h[i] += m[i];
        h[4] += (uint32_t)1 << 24;
        for (int i = 0; i < POLY_LIMBS; i++) {
            d[i] = 0;
            for (int j = 0; j < POLY_LIMBS; j++)
                d[i] += (uint64_t)h[j] * (j <= i ? r[i - j] : s[POLY_LIMBS + i - j]);
        }
        for (int i = 0; i < POLY_LIMBS; i++) {
            d[i] += carry;
            h[i] = (uint32_t)d[i] & M26;
            carry = d[i] >> 26;
        }
        carry = h[0] + 5 * carry; /* below 2^26 + 5 * 2^33 */
        h[0] = (uint32_t)carry & M26;
        h[1] += (uint32_t)(carry >> 26); /* below 2^10 */
    }
    tf_wipe(m, sizeof m);
    tf_wipe(s, sizeof s);
}

/* tag = (h modulo p) + pad modulo 2^128. */
static void poly_tag(poly1305 *p, uint8_t tag[16])
{
    uint32_t *h = p->h, g[POLY_LIMBS], carry;
    /* Only h[1] may be too long, by less than 2^10; if so, it is short now and takes what h[0] may carry. */
    carry = 0;
    for (int i = 1; i < POLY_LIMBS; i++) {
        h[i] += carry;
        carry = h[i] >> 26;
        h[i] &= M26;
    }
    h[0] += 5 * carry;
    h[1] += h[0] >> 26;
    h[0] &= M26;
    /* g = h + 5 - 2^130; if that is not negative, h was p or more and g is the remainder. */
    carry = 5;
    for (int i = 0; i < POLY_LIMBS; i++) {
        g[i] = h[i] + carry;
        carry = g[i] >> 26;
        g[i] &= M26;
    }
    uint64_t reduced = tf_mask_nonzero(carry);
    for (int i = 0; i < POLY_LIMBS; i++)
        h[i] = (uint32_t)tf_select(reduced, g[i], h[i]);
    const uint32_t words[4] = {h[0] | h[1] << 26, h[1] >> 6 | h[2] << 20, h[2] >> 12 | h[3] << 14, h[3] >> 18 | h[4] << 8};
    uint64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += (uint64_t)words[i] + p->pad[i];
        tf_store32le(tag + 4 * i, (uint32_t)sum);
        sum >>= 32;
    }
    tf_wipe(p, sizeof *p);
    tf_wipe(g, sizeof g);
}

#endif

/* Adds len bytes, the last block filled up with zeros. */
static void poly_add(poly1305 *p, const uint8_t *in, size_t len)
{
    size_t whole = len / 16, rest = len % 16;
    if (whole > 0)
        poly_blocks(p, in, whole);
    if (rest > 0) {
        uint8_t last[16] = {0};
        memcpy(last, in + 16 * whole, rest);
        poly_blocks(p, last, 1);
    }
}

/* ---- The AEAD (RFC 8439, 2.8) ---- */

static void compute_tag(uint8_t tag[16], const uint8_t poly_key[32], const uint8_t *aad, size_t aad_len, const uint8_t *text, size_t len)
{
    poly1305 p;
    uint8_t lengths[16];
    poly_start(&p, poly_key);
    poly_add(&p, aad, aad_len);
    poly_add(&p, text, len);
    tf_store64le(lengths, aad_len);
    tf_store64le(lengths + 8, len);
    poly_blocks(&p, lengths, 1);
    poly_tag(&p, tag);
}

static void set_key(tf_aead_key *key, const uint8_t *bytes, size_t len)
{
    chacha_state *s = state_of(key);
    for (size_t i = 0; i < len / 4; i++)
        s->key[i] = tf_load32le(bytes + 4 * i);
}

static void seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, int trailer)
{
    const chacha_state *s = state_of(key);
    key_stream stream;
    uint8_t poly_key[32], last = (uint8_t)trailer;
    size_t total = len + (trailer >= 0);
    stream_start(&stream, s, poly_key, nonce);
    stream_xor(&stream, s, out, in, len);
    stream_xor(&stream, s, out + len, &last, total - len);
    compute_tag(out + total, poly_key, aad, aad_len, out, total);
    tf_wipe(&stream, sizeof stream);
    tf_wipe(poly_key, sizeof poly_key);
}

/* The tag first: nothing is decrypted that did not authenticate. */
static int open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                const uint8_t *tag)
{
    const chacha_state *s = state_of(key);
    key_stream stream;
    uint8_t poly_key[32], computed[TF_TAG];
    stream_start(&stream, s, poly_key, nonce);
    compute_tag(computed, poly_key, aad, aad_len, in, len);
    int forged = tf_aead_verdict(out, len, computed, tag);
    if (!forged)
        stream_xor(&stream, s, out, in, len);
    tf_wipe(&stream, sizeof stream);
    tf_wipe(poly_key, sizeof poly_key);
    tf_wipe(computed, sizeof computed);
    return forged;
}

const tf_aead_impl tf_chacha20_poly1305_portable = {"chacha20_poly1305_portable", 0, set_key, seal, open};
