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

typedef lanes words;
#define KERNEL
#define ADD32(a, b) ((a) + (b))
#define XOR(a, b) ((a) ^ (b))
#define ROTATE(x, bits) ((x) << (bits) | (x) >> (32 - (bits)))
#define ROTATE16(x) ROTATE(x, 16)
#define ROTATE12(x) ROTATE(x, 12)
#define ROTATE8(x) ROTATE(x, 8)
#define ROTATE7(x) ROTATE(x, 7)
#define SPREAD32(x) ((lanes){0} + (x))
#define COUNT32 lane_numbers
#define IN_MEMORY(x) ((void)0)

#include "chacha20_words.h"

static size_t key_stream(const chacha_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t counter, size_t len)
{
    lanes x[16];
    uint32_t word[16][LANES];
    chacha20_words(x, s, nonce, counter);
    memcpy(word, x, sizeof word);
    for (int k = 0; k < LANES; k++)
        for (int i = 0; i < 16; i++)
            tf_store32le(stream + 64 * k + 4 * i, word[i][k]);
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
