/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256's compression function by the SHA2 instructions of ARMv8, beneath hash.c: SHA256H and SHA256H2 do four rounds, SHA256SU0 and SHA256SU1 the
 * message schedule. FIPS 180-4, 6.2.2; Arm Architecture Reference Manual for A-profile architecture, C7. */
#include "../internal.h"

#if defined(TF_ARMV8)
#include <arm_neon.h>

#if defined(__clang__)
#define SHA2 TF_TARGET("sha2")
#else
#define SHA2 TF_TARGET("+crypto") /* as arm_neon.h wants it */
#endif

/* Four rounds: A, B, C, D and E, F, G, H stand in the vectors in this order. */
SHA2 TF_INLINE void four_rounds(uint32x4_t *abcd, uint32x4_t *efgh, uint32x4_t w, const uint32_t *k)
{
    uint32x4_t before = *abcd, k_plus_w = vaddq_u32(w, vld1q_u32(k));
    *abcd = vsha256hq_u32(before, *efgh, k_plus_w);
    *efgh = vsha256h2q_u32(*efgh, before, k_plus_w);
}

/* W(t)..W(t+3) from the sixteen words before them, four in each vector, the oldest in w0. */
SHA2 TF_INLINE uint32x4_t schedule(uint32x4_t w0, uint32x4_t w1, uint32x4_t w2, uint32x4_t w3)
{
    return vsha256su1q_u32(vsha256su0q_u32(w0, w1), w2, w3);
}

SHA2 TF_INLINE uint32x4_t load_words(const uint8_t *p)
{
    return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p)));
}

SHA2 static void compress(uint32_t state[8], const uint8_t *blocks, size_t count)
{
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
    for (; count > 0; count--, blocks += 64) {
        const uint32x4_t abcd_before = abcd, efgh_before = efgh;
        uint32x4_t w0 = load_words(blocks), w1 = load_words(blocks + 16), w2 = load_words(blocks + 32), w3 = load_words(blocks + 48);
        const uint32_t *k = tf_sha256_k;
        four_rounds(&abcd, &efgh, w0, k);
        four_rounds(&abcd, &efgh, w1, k + 4);
        four_rounds(&abcd, &efgh, w2, k + 8);
        four_rounds(&abcd, &efgh, w3, k + 12);
        for (int t = 16; t < 64; t += 16) {
            w0 = schedule(w0, w1, w2, w3);
            four_rounds(&abcd, &efgh, w0, k + t);
            w1 = schedule(w1, w2, w3, w0);
            four_rounds(&abcd, &efgh, w1, k + t + 4);
            w2 = schedule(w2, w3, w0, w1);
            four_rounds(&abcd, &efgh, w2, k + t + 8);
            w3 = schedule(w3, w0, w1, w2);
            four_rounds(&abcd, &efgh, w3, k + t + 12);
        }
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}

const tf_sha256_impl tf_sha256_armv8 = {.name = "sha256_armv8", .cpu_needs = TF_CPU_ARM_SHA2, .compress = compress};
#else
typedef int tf_sha256_armv8_needs_aarch64; /* ISO C wants a declaration in every file */
#endif
