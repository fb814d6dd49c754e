/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM (FIPS 197, NIST SP 800-38D) for any processor, in constant time: AES bitsliced over 64-bit words, four blocks at once, and GHASH by integer
 * multiplications. No table is indexed. aead.c checked the lengths. */
#include "internal.h"

/* ---- AES, bitsliced ----
 * Four blocks are eight words q[0..7]: q[b] holds bit b of all 64 bytes, the byte of block k, column c, row r at position 16 r + 4 c + k. A row is a
 * lane of 16 bits, so ShiftRows turns lanes and MixColumns turns words. */

enum { MAX_ROUNDS = 14, BATCH = 64 };

typedef struct {
    uint64_t round_keys[MAX_ROUNDS + 1][8]; /* each the same in all four blocks */
    uint64_t h[3], h_reversed[3];           /* the halves of the GHASH key and their sum; and with their bits reversed */
    int rounds;
} gcm_state;

_Static_assert(sizeof(gcm_state) <= TF_AEAD_STATE, "TF_AEAD_STATE is too small");

static gcm_state *state_of(tf_aead_key *key)
{
    return (gcm_state *)(void *)key->state;
}

/* Exchange the bits of a under mask << shift with those of b under mask. */
static inline void swap_bits(uint64_t *a, uint64_t *b, uint64_t mask, int shift)
{
    uint64_t t = ((*a >> shift) ^ *b) & mask;
    *b ^= t;
    *a ^= t << shift;
}

/* Bit j of byte m in word i goes to bit i of byte m in word j: eight transpositions of 8 x 8 bits. Its own inverse. */
static void transpose(uint64_t q[8])
{
    for (int i = 0; i < 8; i += 2)
        swap_bits(&q[i], &q[i + 1], 0x5555555555555555u, 1);
    for (int i = 0; i < 8; i += 4) {
        swap_bits(&q[i], &q[i + 2], 0x3333333333333333u, 2);
        swap_bits(&q[i + 1], &q[i + 3], 0x3333333333333333u, 2);
    }
    for (int i = 0; i < 4; i++)
        swap_bits(&q[i], &q[i + 4], 0x0F0F0F0F0F0F0F0Fu, 4);
}

/* The four bytes of x at the even bytes of the result; and back. */
static inline uint64_t spread(uint32_t x)
{
    uint64_t y = (x | (uint64_t)x << 16) & 0x0000FFFF0000FFFFu;
    return (y | y << 8) & 0x00FF00FF00FF00FFu;
}

static inline uint32_t gather(uint64_t y)
{
    y &= 0x00FF00FF00FF00FFu;
    y = (y | y >> 8) & 0x0000FFFF0000FFFFu;
    return (uint32_t)(y | y >> 16);
}

/* columns: four blocks of four little-endian words. */
static void slice(uint64_t q[8], const uint32_t columns[16])
{
    for (int k = 0; k < 4; k++) {
        const uint32_t *c = columns + 4 * k;
        q[k] = spread(c[0]) | spread(c[2]) << 8;
        q[k + 4] = spread(c[1]) | spread(c[3]) << 8;
    }
    transpose(q);
}

static void unslice(uint32_t columns[16], uint64_t q[8])
{
    transpose(q);
    for (int k = 0; k < 4; k++) {
        uint32_t *c = columns + 4 * k;
        c[0] = gather(q[k]);
        c[2] = gather(q[k] >> 8);
        c[1] = gather(q[k + 4]);
        c[3] = gather(q[k + 4] >> 8);
    }
}

/* The S-box by the 113 gates of J. Boyar and R. Peralta, "A New Combinational Logic Minimization Technique with Applications to Cryptology" (SEA
 * 2010). The names are the paper's: x0 is the most significant bit. */
static void sub_bytes(uint64_t q[8])
{
    const uint64_t x0 = q[7], x1 = q[6], x2 = q[5], x3 = q[4], x4 = q[3], x5 = q[2], x6 = q[1], x7 = q[0];

    /* The upper linear part. */
    const uint64_t y14 = x3 ^ x5, y13 = x0 ^ x6, y9 = x0 ^ x3, y8 = x0 ^ x5;
    const uint64_t t0 = x1 ^ x2, y1 = t0 ^ x7, y4 = y1 ^ x3, y12 = y13 ^ y14;
    const uint64_t y2 = y1 ^ x0, y5 = y1 ^ x6, y3 = y5 ^ y8, t1 = x4 ^ y12;
    const uint64_t y15 = t1 ^ x5, y20 = t1 ^ x1, y6 = y15 ^ x7, y10 = y15 ^ t0;
    const uint64_t y11 = y20 ^ y9, y7 = x7 ^ y11, y17 = y10 ^ y11, y19 = y10 ^ y8;
    const uint64_t y16 = t0 ^ y11, y21 = y13 ^ y16, y18 = x0 ^ y16;

    /* The part that is not linear: the inversion in GF(2^4)^2. */
    const uint64_t t2 = y12 & y15, t3 = y3 & y6, t4 = t3 ^ t2, t5 = y4 & x7, t6 = t5 ^ t2;
    const uint64_t t7 = y13 & y16, t8 = y5 & y1, t9 = t8 ^ t7, t10 = y2 & y7, t11 = t10 ^ t7;
    const uint64_t t12 = y9 & y11, t13 = y14 & y17, t14 = t13 ^ t12, t15 = y8 & y10, t16 = t15 ^ t12;
    const uint64_t t17 = t4 ^ t14, t18 = t6 ^ t16, t19 = t9 ^ t14, t20 = t11 ^ t16;
    const uint64_t t21 = t17 ^ y20, t22 = t18 ^ y19, t23 = t19 ^ y21, t24 = t20 ^ y18;
    const uint64_t t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26, t28 = t25 & t27, t29 = t28 ^ t22;
    const uint64_t t30 = t23 ^ t24, t31 = t22 ^ t26, t32 = t31 & t30, t33 = t32 ^ t24;
    const uint64_t t34 = t23 ^ t33, t35 = t27 ^ t33, t36 = t24 & t35, t37 = t36 ^ t34;
    const uint64_t t38 = t27 ^ t36, t39 = t29 & t38, t40 = t25 ^ t39;
    const uint64_t t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40, t44 = t33 ^ t37, t45 = t42 ^ t41;
    const uint64_t z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & x7, z3 = t43 & y16, z4 = t40 & y1, z5 = t29 & y7;
    const uint64_t z6 = t42 & y11, z7 = t45 & y17, z8 = t41 & y10, z9 = t44 & y12, z10 = t37 & y3, z11 = t33 & y4;
    const uint64_t z12 = t43 & y13, z13 = t40 & y5, z14 = t29 & y2, z15 = t42 & y9, z16 = t45 & y14, z17 = t41 & y8;

    /* The lower linear part. */
    const uint64_t t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10, t50 = z2 ^ z12;
    const uint64_t t51 = z2 ^ z5, t52 = z7 ^ z8, t53 = z0 ^ z3, t54 = z6 ^ z7, t55 = z16 ^ z17;
    const uint64_t t56 = z12 ^ t48, t57 = t50 ^ t53, t58 = z4 ^ t46, t59 = z3 ^ t54, t60 = t46 ^ t57;
    const uint64_t t61 = z14 ^ t57, t62 = t52 ^ t58, t63 = t49 ^ t58, t64 = z4 ^ t59, t65 = t61 ^ t62;
    const uint64_t t66 = z1 ^ t63, t67 = t64 ^ t65, s3 = t53 ^ t66;
    q[7] = t59 ^ t63;
    q[6] = t64 ^ ~s3;
    q[5] = t55 ^ ~t67;
    q[4] = s3;
    q[3] = t51 ^ t66;
    q[2] = t47 ^ t65;
    q[1] = t56 ^ ~t62;
    q[0] = t48 ^ ~t60;
}

/* Row r goes r columns, of 4 bits each, to the left: its lane turns right by 4 r bits. */
static inline void shift_rows(uint64_t q[8])
{
    for (int i = 0; i < 8; i++) {
        uint64_t x = q[i];
        q[i] = (x & 0x000000000000FFFFu) | (x & 0x00000000FFF00000u) >> 4 | (x & 0x00000000000F0000u) << 12 | (x & 0x0000FF0000000000u) >> 8 |
               (x & 0x000000FF00000000u) << 8 | (x & 0xF000000000000000u) >> 12 | (x & 0x0FFF000000000000u) << 4;
    }
}

static inline uint64_t next_row(uint64_t x)
{
    return x >> 16 | x << 48;
}

/* 2 a(r) + 3 a(r+1) + a(r+2) + a(r+3) = 2 t(r) + a(r+1) + t(r+2) with t(r) = a(r) + a(r+1); doubling reduces by x^8 = x^4 + x^3 + x + 1. */
static inline void mix_columns(uint64_t q[8])
{
    uint64_t next[8], t[8];
    for (int i = 0; i < 8; i++) {
        next[i] = next_row(q[i]);
        t[i] = q[i] ^ next[i];
    }
    for (int i = 0; i < 8; i++) {
        uint64_t doubled = i == 0 ? t[7] : i == 1 || i == 3 || i == 4 ? t[i - 1] ^ t[7] : t[i - 1];
        q[i] = doubled ^ next[i] ^ (t[i] >> 32 | t[i] << 32);
    }
}

static inline void add_round_key(uint64_t q[8], const uint64_t round_key[8])
{
    for (int i = 0; i < 8; i++)
        q[i] ^= round_key[i];
}

/* Encrypts four blocks, each four little-endian words, in place. */
static void encrypt4(const gcm_state *s, uint32_t columns[16])
{
    uint64_t q[8];
    slice(q, columns);
    add_round_key(q, s->round_keys[0]);
    for (int round = 1; round < s->rounds; round++) {
        sub_bytes(q);
        shift_rows(q);
        mix_columns(q);
        add_round_key(q, s->round_keys[round]);
    }
    sub_bytes(q);
    shift_rows(q);
    add_round_key(q, s->round_keys[s->rounds]);
    unslice(columns, q);
}

static uint32_t sub_word(uint32_t x)
{
    uint64_t q[8] = {x};
    transpose(q);
    sub_bytes(q);
    transpose(q);
    return (uint32_t)q[0];
}

/* FIPS 197, 5.2. Words are little-endian, so RotWord turns right and the round constant goes to the low byte. */
static void expand_key(gcm_state *s, const uint8_t *bytes, size_t len)
{
    uint32_t w[4 * (MAX_ROUNDS + 1)], columns[16], rcon = 1;
    size_t nk = len / 4;
    s->rounds = (int)nk + 6;
    for (size_t i = 0; i < nk; i++)
        w[i] = tf_load32le(bytes + 4 * i);
    for (size_t i = nk; i < 4 * ((size_t)s->rounds + 1); i++) {
        uint32_t t = w[i - 1];
        if (i % nk == 0) {
            t = sub_word(t >> 8 | t << 24) ^ rcon;
            rcon = rcon << 1 ^ (rcon >> 7) * 0x11B;
        } else if (nk == 8 && i % nk == 4) {
            t = sub_word(t);
        }
        w[i] = w[i - nk] ^ t;
    }
    for (int round = 0; round <= s->rounds; round++) {
        for (int i = 0; i < 16; i++)
            columns[i] = w[4 * round + i % 4];
        slice(s->round_keys[round], columns);
    }
    tf_wipe(w, sizeof w);
    tf_wipe(columns, sizeof columns);
}

/* ---- GHASH ----
 * A block read as a big-endian number has the coefficient of x^i at bit 127 - i: everything is reversed, and the product of two such numbers stands
 * one bit too low. */

/* The low 64 bits of the carry-less product. Each factor is split by every fourth bit, so that an integer product of two parts adds at most 16 ones
 * at a position: at most 15 below bit 60, whose carries stay within the three empty bits above; 16 only at bits 60..63, where the carry leaves the
 * word. */
static inline uint64_t multiply_low(uint64_t x, uint64_t y)
{
    const uint64_t m0 = 0x1111111111111111u, m1 = m0 << 1, m2 = m0 << 2, m3 = m0 << 3;
    const uint64_t x0 = x & m0, x1 = x & m1, x2 = x & m2, x3 = x & m3;
    const uint64_t y0 = y & m0, y1 = y & m1, y2 = y & m2, y3 = y & m3;
    const uint64_t z0 = x0 * y0 ^ x1 * y3 ^ x2 * y2 ^ x3 * y1;
    const uint64_t z1 = x0 * y1 ^ x1 * y0 ^ x2 * y3 ^ x3 * y2;
    const uint64_t z2 = x0 * y2 ^ x1 * y1 ^ x2 * y0 ^ x3 * y3;
    const uint64_t z3 = x0 * y3 ^ x1 * y2 ^ x2 * y1 ^ x3 * y0;
    return (z0 & m0) | (z1 & m1) | (z2 & m2) | (z3 & m3);
}

static inline uint64_t reverse(uint64_t x)
{
    x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
    x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
    x = (x >> 4 & 0x0F0F0F0F0F0F0F0Fu) | (x & 0x0F0F0F0F0F0F0F0Fu) << 4;
    x = (x >> 8 & 0x00FF00FF00FF00FFu) | (x & 0x00FF00FF00FF00FFu) << 8;
    x = (x >> 16 & 0x0000FFFF0000FFFFu) | (x & 0x0000FFFF0000FFFFu) << 16;
    return x >> 32 | x << 32;
}

/* y = y * H. Karatsuba over halves; the high word of a product is the reversed low word of the product of the reversed factors, one bit down. */
static void ghash_multiply(const gcm_state *s, uint64_t y[2])
{
    const uint64_t a[3] = {y[0], y[1], y[0] ^ y[1]};
    const uint64_t a0r = reverse(a[0]), a1r = reverse(a[1]);
    const uint64_t ar[3] = {a0r, a1r, a0r ^ a1r};
    uint64_t low[3], high[3];
    for (int i = 0; i < 3; i++) {
        low[i] = multiply_low(a[i], s->h[i]);
        high[i] = reverse(multiply_low(ar[i], s->h_reversed[i])) >> 1;
    }
    uint64_t v0 = low[0], v1 = high[0] ^ low[0] ^ low[1] ^ low[2], v2 = low[1] ^ high[0] ^ high[1] ^ high[2], v3 = high[1];

    /* One bit up, so that x^0 .. x^127 fill v3, v2 and x^128 .. x^255 fill v1, v0, each from its top bit down. */
    v3 = v3 << 1 | v2 >> 63;
    v2 = v2 << 1 | v1 >> 63;
    v1 = v1 << 1 | v0 >> 63;
    v0 = v0 << 1;
    /* x^128 = x^7 + x^2 + x + 1: v0 folds two words up, and so does v1. */
    v2 ^= v0 ^ v0 >> 1 ^ v0 >> 2 ^ v0 >> 7;
    v1 ^= v0 << 63 ^ v0 << 62 ^ v0 << 57;
    v3 ^= v1 ^ v1 >> 1 ^ v1 >> 2 ^ v1 >> 7;
    v2 ^= v1 << 63 ^ v1 << 62 ^ v1 << 57;
    y[0] = v2;
    y[1] = v3;
}

/* Adds len bytes, the last block filled up with zeros. */
static void ghash_add(const gcm_state *s, uint64_t y[2], const uint8_t *in, size_t len)
{
    for (; len >= 16; in += 16, len -= 16) {
        y[1] ^= tf_load64be(in);
        y[0] ^= tf_load64be(in + 8);
        ghash_multiply(s, y);
    }
    if (len > 0) {
        uint8_t last[16] = {0};
        memcpy(last, in, len);
        y[1] ^= tf_load64be(last);
        y[0] ^= tf_load64be(last + 8);
        ghash_multiply(s, y);
    }
}

/* ---- GCM ---- */

static void set_key(tf_aead_key *key, const uint8_t *bytes, size_t len)
{
    gcm_state *s = state_of(key);
    uint32_t zeros[16] = {0};
    uint8_t h[16];
    expand_key(s, bytes, len);
    encrypt4(s, zeros);
    for (int i = 0; i < 4; i++)
        tf_store32le(h + 4 * i, zeros[i]);
    s->h[1] = tf_load64be(h);
    s->h[0] = tf_load64be(h + 8);
    s->h[2] = s->h[0] ^ s->h[1];
    for (int i = 0; i < 3; i++)
        s->h_reversed[i] = reverse(s->h[i]);
    tf_wipe(zeros, sizeof zeros);
    tf_wipe(h, sizeof h);
}

/* The key stream blocks of counters first .. first + 3. */
static void counter_blocks(const gcm_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t first)
{
    uint32_t columns[16];
    uint8_t counter[4];
    for (uint32_t k = 0; k < 4; k++) {
        tf_store32be(counter, first + k);
        for (uint32_t i = 0; i < 3; i++)
            columns[4 * k + i] = tf_load32le(nonce + 4 * i);
        columns[4 * k + 3] = tf_load32le(counter);
    }
    encrypt4(s, columns);
    for (int i = 0; i < 16; i++)
        tf_store32le(stream + 4 * i, columns[i]);
    tf_wipe(columns, sizeof columns);
}

/* The key stream of one nonce, a batch at a time. */
typedef struct {
    uint8_t bytes[BATCH];
    const uint8_t *nonce;
    uint32_t counter; /* of the batch's first block */
    size_t used;
} key_stream;

/* SP 800-38D, 6.5: counter 1 masks the tag, the text is encrypted from 2 on. */
static void stream_start(key_stream *k, const gcm_state *s, uint8_t mask[16], const uint8_t *nonce)
{
    k->nonce = nonce;
    k->counter = 1;
    k->used = 16;
    counter_blocks(s, k->bytes, nonce, 1);
    memcpy(mask, k->bytes, 16);
}

static void stream_xor(key_stream *k, const gcm_state *s, uint8_t *out, const uint8_t *in, size_t len)
{
    for (size_t done = 0; done < len;) {
        if (k->used == BATCH) {
            counter_blocks(s, k->bytes, k->nonce, k->counter += BATCH / 16);
            k->used = 0;
        }
        size_t n = len - done < BATCH - k->used ? len - done : BATCH - k->used;
        for (size_t i = 0; i < n; i++)
            out[done + i] = in[done + i] ^ k->bytes[k->used + i];
        done += n;
        k->used += n;
    }
}

/* tag = GHASH(aad, ciphertext, lengths) ^ mask. */
static void compute_tag(const gcm_state *s, uint8_t tag[16], const uint8_t mask[16], const uint8_t *aad, size_t aad_len, const uint8_t *text,
                        size_t len)
{
    uint64_t y[2] = {0, 0};
    ghash_add(s, y, aad, aad_len);
    ghash_add(s, y, text, len);
    y[1] ^= (uint64_t)aad_len * 8;
    y[0] ^= (uint64_t)len * 8;
    ghash_multiply(s, y);
    tf_store64be(tag, y[1]);
    tf_store64be(tag + 8, y[0]);
    for (int i = 0; i < 16; i++)
        tag[i] ^= mask[i];
}

static void seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, int trailer)
{
    const gcm_state *s = state_of(key);
    key_stream stream;
    uint8_t mask[16], last = (uint8_t)trailer;
    size_t total = len + (trailer >= 0);
    stream_start(&stream, s, mask, nonce);
    stream_xor(&stream, s, out, in, len);
    stream_xor(&stream, s, out + len, &last, total - len);
    compute_tag(s, out + total, mask, aad, aad_len, out, total);
    tf_wipe(&stream, sizeof stream);
    tf_wipe(mask, sizeof mask);
}

/* The tag first: nothing is decrypted that did not authenticate. */
static int open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                const uint8_t *tag)
{
    const gcm_state *s = state_of(key);
    key_stream stream;
    uint8_t mask[16], computed[TF_TAG];
    stream_start(&stream, s, mask, nonce);
    compute_tag(s, computed, mask, aad, aad_len, in, len);
    int forged = tf_aead_verdict(out, len, computed, tag);
    if (!forged)
        stream_xor(&stream, s, out, in, len);
    tf_wipe(&stream, sizeof stream);
    tf_wipe(mask, sizeof mask);
    tf_wipe(computed, sizeof computed);
    return forged;
}

const tf_aead_impl tf_aes_gcm_portable = {"aes_gcm_portable", 0, set_key, seal, open};
