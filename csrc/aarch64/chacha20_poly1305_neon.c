/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20-Poly1305 (RFC 8439) with NEON: ChaCha20 of 4 blocks side by side on 128-bit registers, beside Poly1305 in scalar arithmetic, which has the
 * faster multiplier on these processors. dispatch.c chooses it; aead.c checked the lengths. */
#include "../internal.h"

#if defined(TF_ARMV8) && defined(TF_INT128)

#include <arm_neon.h>

#define KERNEL

enum { BATCH = 4 * 64, FRAME = 512 };

typedef uint32x4_t words;
#define ADD32(a, b) vaddq_u32(a, b)
#define XOR(a, b) veorq_u32(a, b)
#define ROTATE(x, bits) vsriq_n_u32(vshlq_n_u32(x, bits), x, 32 - (bits))
#define ROTATE16(x) vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(x)))
#define ROTATE12(x) ROTATE(x, 12)
#define ROTATE8(x) ROTATE(x, 8)
#define ROTATE7(x) ROTATE(x, 7)
#define SPREAD32(x) vdupq_n_u32(x)
#define COUNT32 vld1q_u32(count4)
#define IN_MEMORY(x) ((void)0)
static const uint32_t count4[4] = {0, 1, 2, 3};

#include "../chacha20_words.h"

/* 16 bytes at `at`, XOR what is there of the text unless that is NULL. */
TF_INLINE void store_quarter(uint8_t *out, const uint8_t *in, size_t at, uint64x2_t x)
{
    uint8x16_t bytes = vreinterpretq_u8_u64(x);
    vst1q_u8(out + at, in == NULL ? bytes : veorq_u8(bytes, vld1q_u8(in + at)));
}

/* Four blocks of key stream, XOR the text at in unless it is NULL. */
TF_INLINE void four_blocks(const chacha_state *s, uint8_t *out, const uint8_t *in, const uint8_t *nonce, uint32_t counter)
{
    uint32x4_t x[16];
    chacha20_words(x, s, nonce, counter);
    UNROLL for (size_t q = 0; q < 4; q++) /* words 4 q .. 4 q + 3 of block k are 16 bytes */
    {
        uint64x2_t low01 = vreinterpretq_u64_u32(vzip1q_u32(x[4 * q], x[4 * q + 1])),
                   low23 = vreinterpretq_u64_u32(vzip1q_u32(x[4 * q + 2], x[4 * q + 3]));
        uint64x2_t high01 = vreinterpretq_u64_u32(vzip2q_u32(x[4 * q], x[4 * q + 1])),
                   high23 = vreinterpretq_u64_u32(vzip2q_u32(x[4 * q + 2], x[4 * q + 3]));
        store_quarter(out, in, 16 * q, vzip1q_u64(low01, low23));
        store_quarter(out, in, 64 + 16 * q, vzip2q_u64(low01, low23));
        store_quarter(out, in, 128 + 16 * q, vzip1q_u64(high01, high23));
        store_quarter(out, in, 192 + 16 * q, vzip2q_u64(high01, high23));
    }
}

/* v0 to v7 and v16 to v31 whole, which a caller expects nothing in, and the halves of v8 to v15 that it does not save. */
TF_INLINE void clear_vectors(void)
{
    __asm__ __volatile__("movi v0.2d, #0\n\tmovi v1.2d, #0\n\tmovi v2.2d, #0\n\tmovi v3.2d, #0\n\tmovi v4.2d, #0\n\tmovi v5.2d, #0\n\t"
                         "movi v6.2d, #0\n\tmovi v7.2d, #0\n\tmovi v8.2d, #0\n\tmovi v9.2d, #0\n\tmovi v10.2d, #0\n\tmovi v11.2d, #0\n\t"
                         "movi v12.2d, #0\n\tmovi v13.2d, #0\n\tmovi v14.2d, #0\n\tmovi v15.2d, #0\n\tmovi v16.2d, #0\n\tmovi v17.2d, #0\n\t"
                         "movi v18.2d, #0\n\tmovi v19.2d, #0\n\tmovi v20.2d, #0\n\tmovi v21.2d, #0\n\tmovi v22.2d, #0\n\tmovi v23.2d, #0\n\t"
                         "movi v24.2d, #0\n\tmovi v25.2d, #0\n\tmovi v26.2d, #0\n\tmovi v27.2d, #0\n\tmovi v28.2d, #0\n\tmovi v29.2d, #0\n\t"
                         "movi v30.2d, #0\n\tmovi v31.2d, #0"
                         :
                         :
                         : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18",
                           "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}

TF_NOINLINE static size_t key_stream(const chacha_state *s, uint8_t stream[BATCH], const uint8_t *nonce, uint32_t counter, size_t len)
{
    (void)len;
    four_blocks(s, stream, NULL, nonce, counter);
    clear_vectors();
    return BATCH;
}

TF_NOINLINE static void xor_batches(const chacha_state *s, uint8_t *out, const uint8_t *in, const uint8_t *nonce, uint32_t counter, size_t count)
{
    for (; count > 0; count--, out += BATCH, in += BATCH, counter += BATCH / 64)
        four_blocks(s, out, in, nonce, counter);
    clear_vectors();
}

static void compute_tag(uint8_t tag[TF_TAG], const uint8_t poly_key[32], const uint8_t *aad, size_t aad_len, const uint8_t *text, size_t len)
{
    compute_short_tag(tag, poly_key, aad, aad_len, text, len);
}

const tf_aead_impl tf_chacha20_poly1305_neon = {"chacha20_poly1305_neon", TF_CPU_ARM_NEON, set_key, seal, open};

#else
typedef int tf_chacha20_poly1305_neon_needs_aarch64; /* ISO C wants a declaration in every file */
#endif
