/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20-Poly1305 (RFC 8439) for any processor, in constant time: ChaCha20 in the compiler's own vectors where it has them, Poly1305 in scalar
 * arithmetic. aead.c checked the lengths. */
#include "internal.h"

/* One block in each lane. Where the compiler has vectors a word of the state is four lanes of a vector, elsewhere it is itself: the operators are the
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

enum { BATCH = 64 * LANES, FRAME = 1024 };

#include "chacha20_poly1305.h"

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

static size_t key_stream(const chacha_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t counter, size_t len)
{
    uint32_t start[16], words[LANES];
    lanes x[16];
    memcpy(start, s->words, sizeof s->words);
    start[12] = counter;
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
    (void)len;
    return BATCH;
}

static void xor_batches(const chacha_state *s, uint8_t *out, const uint8_t *in, const uint8_t *nonce, uint32_t counter, size_t count)
{
    uint8_t bytes[BATCH];
    for (size_t i = 0; i < count; i++) {
        key_stream(s, bytes, nonce, counter + (uint32_t)(i * LANES), BATCH);
        xor_bytes(out + BATCH * i, in + BATCH * i, bytes, BATCH);
    }
}

static void compute_tag(uint8_t tag[TF_TAG], const uint8_t poly_key[32], const uint8_t *aad, size_t aad_len, const uint8_t *text, size_t len)
{
    compute_short_tag(tag, poly_key, aad, aad_len, text, len);
}

const tf_aead_impl tf_chacha20_poly1305_portable = {"chacha20_poly1305_portable", 0, set_key, seal, open};
