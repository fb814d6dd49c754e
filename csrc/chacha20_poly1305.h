/* SPDX-License-Identifier: Apache-2.0 */
/* The AEAD ChaCha20-Poly1305 (RFC 8439, 2.8) around the kernels of the file that includes this one: keys, the key stream's bookkeeping, seal and
 * open. That file has named BATCH, the bytes of key stream that its ChaCha20 makes in one go, and FRAME, those that the compilers let it have on the
 * stack, and defines what is declared first here. */
#ifndef TF_CHACHA20_POLY1305_H
#define TF_CHACHA20_POLY1305_H

#include "poly1305.h"

#if defined(__GNUC__) || defined(__clang__)
#define UNROLL _Pragma("GCC unroll 16")
/* Memory is read again after this: else what the rounds begin with is kept over them, on the stack. */
#define RELOAD __asm__ __volatile__("" : : : "memory")
#else
#define UNROLL
#define RELOAD ((void)0)
#endif

typedef struct {
    uint32_t words[12]; /* RFC 8439, 2.3: "expand 32-byte k" and the key; the counter and the nonce come behind */
} chacha_state;

_Static_assert(sizeof(chacha_state) <= TF_AEAD_STATE, "TF_AEAD_STATE is too small");

/* The key stream from block `counter` on: len bytes or more, up to BATCH; how many, in whole blocks. */
static size_t key_stream(const chacha_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t counter, size_t len);

/* out = in XOR the key stream from block `counter` on, count batches. out may be in. */
static void xor_batches(const chacha_state *s, uint8_t *out, const uint8_t *in, const uint8_t *nonce, uint32_t counter, size_t count);

/* RFC 8439, 2.8: Poly1305 of the additional data, the text, each filled up to whole blocks, and their lengths. */
static void compute_tag(uint8_t tag[TF_TAG], const uint8_t poly_key[32], const uint8_t *aad, size_t aad_len, const uint8_t *text, size_t len);

static const chacha_state *state_of(const tf_aead_key *key)
{
    return (const chacha_state *)(const void *)key->state;
}

static void set_key(tf_aead_key *key, const uint8_t *bytes, size_t len)
{
    static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    chacha_state *s = (chacha_state *)(void *)key->state;
    memcpy(s->words, constants, sizeof constants);
    for (size_t i = 0; i < len / 4; i++)
        s->words[4 + i] = tf_load32le(bytes + 4 * i);
}

/* ---- The key stream of one nonce ---- */

typedef struct {
    uint8_t bytes[BATCH];
    const uint8_t *nonce;
    size_t used, made;     /* of bytes */
    size_t most;           /* that was ever made: to be wiped */
    uint64_t wanted;       /* behind what is made */
    uint32_t next_counter; /* of the block behind it */
} stream;

static void stream_make(stream *k, const chacha_state *s)
{
    k->made = key_stream(s, k->bytes, k->nonce, k->next_counter, k->wanted < BATCH ? (size_t)k->wanted : BATCH);
    k->next_counter += (uint32_t)(k->made / 64);
    k->wanted -= k->wanted < k->made ? k->wanted : k->made;
    k->most = k->most > k->made ? k->most : k->made;
    k->used = 0;
}

/* RFC 8439, 2.6: the first half of block 0 is the Poly1305 key, the text is encrypted from block 1 on. It will have len bytes. */
static void stream_start(stream *k, const chacha_state *s, const uint8_t *nonce, size_t len)
{
    k->nonce = nonce;
    k->wanted = 64 + (uint64_t)len;
    k->next_counter = 0;
    k->most = 0;
    stream_make(k, s);
    k->used = 64;
}

/* What the kernels put on the stack for want of registers: this frame lies over theirs. */
TF_NOINLINE static void clear_frame(void)
{
    uint8_t frame[FRAME];
    tf_wipe(frame, sizeof frame);
}

static void stream_end(stream *k)
{
    tf_wipe(k->bytes, k->most);
    clear_frame();
}

/* Words first; the words of a text in place are read before they are written. */
TF_INLINE void xor_bytes(uint8_t *out, const uint8_t *in, const uint8_t *bytes, size_t len)
{
    for (; len >= 16; len -= 16, out += 16, in += 16, bytes += 16) {
        uint64_t a[2], b[2];
        memcpy(a, in, 16);
        memcpy(b, bytes, 16);
        a[0] ^= b[0];
        a[1] ^= b[1];
        memcpy(out, a, 16);
    }
    for (size_t i = 0; i < len; i++)
        out[i] = in[i] ^ bytes[i];
}

static void stream_xor(stream *k, const chacha_state *s, uint8_t *out, const uint8_t *in, size_t len)
{
    while (len > 0) {
        if (k->used == k->made && len >= BATCH) {
            size_t batches = len / BATCH, done = batches * BATCH;
            xor_batches(s, out, in, k->nonce, k->next_counter, batches);
            k->next_counter += (uint32_t)(done / 64);
            k->wanted -= done;
            out += done;
            in += done;
            len -= done;
            continue;
        }
        if (k->used == k->made)
            stream_make(k, s);
        size_t n = len < k->made - k->used ? len : k->made - k->used;
        xor_bytes(out, in, k->bytes + k->used, n);
        k->used += n;
        out += n;
        in += n;
        len -= n;
    }
}

/* ---- Poly1305 of short texts ---- */

TF_INLINE void compute_short_tag(uint8_t tag[TF_TAG], const uint8_t poly_key[32], const uint8_t *aad, size_t aad_len, const uint8_t *text, size_t len)
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

/* ---- The AEAD ---- */

/* A record stays in the first level of the cache between its encryption and its tag. */
static void seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, int trailer)
{
    const chacha_state *s = state_of(key);
    stream k;
    const uint8_t last = (uint8_t)trailer;
    uint8_t poly_key[32];
    size_t total = len + (trailer >= 0);
    stream_start(&k, s, nonce, total);
    memcpy(poly_key, k.bytes, sizeof poly_key);
    stream_xor(&k, s, out, in, len);
    stream_xor(&k, s, out + len, &last, total - len);
    compute_tag(out + total, poly_key, aad, aad_len, out, total);
    stream_end(&k);
    tf_wipe(poly_key, sizeof poly_key);
}

/* The tag first: nothing is decrypted that did not authenticate. */
static int open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                const uint8_t *tag)
{
    const chacha_state *s = state_of(key);
    stream k;
    uint8_t computed[TF_TAG];
    stream_start(&k, s, nonce, len);
    compute_tag(computed, k.bytes, aad, aad_len, in, len);
    int forged = tf_aead_verdict(out, len, computed, tag);
    if (!forged)
        stream_xor(&k, s, out, in, len);
    stream_end(&k);
    tf_wipe(computed, sizeof computed);
    return forged;
}

#endif
