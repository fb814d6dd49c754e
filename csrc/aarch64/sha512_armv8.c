/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512's compression function (SHA-384's too) by the SHA512 instructions of ARMv8.2, beneath hash.c: SHA512H and SHA512H2 do two rounds, SHA512SU0
 * and SHA512SU1 the message schedule. FIPS 180-4, 6.4.2; Arm Architecture Reference Manual for A-profile architecture, C7. */
#include "../internal.h"

#if defined(TF_ARMV8)
#include <arm_neon.h>

/* So compilers name the extension. */
#if defined(__clang__)
#define SHA3 TF_TARGET("sha3")
#else
#define SHA3 TF_TARGET("arch=armv8.2-a+sha3")
#endif

/* The last word of a with the first of b. */
SHA3 TF_INLINE uint64x2_t between(uint64x2_t a, uint64x2_t b)
{
    return vextq_u64(a, b, 1);
}

/* Two rounds, without the renaming of the variables: the new A, B are left in gh, the new E, F in cd. SHA512H makes of H + W(t) + K(t) and
 * G + W(t+1) + K(t+1) the two T1 of 6.4.2, SHA512H2 of these the two T1 + T2. */
SHA3 TF_INLINE void two_rounds(uint64x2_t ab, uint64x2_t *cd, uint64x2_t ef, uint64x2_t *gh, uint64x2_t w, const uint64_t *k)
{
    uint64x2_t k_plus_w = vaddq_u64(w, vld1q_u64(k));
    uint64x2_t t1 = vsha512hq_u64(vaddq_u64(*gh, between(k_plus_w, k_plus_w)), between(ef, *gh), between(*cd, ef));
    *gh = vsha512h2q_u64(t1, *cd, ab);
    *cd = vaddq_u64(*cd, t1);
}

/* Eight rounds: after these every variable is back at its place. */
SHA3 TF_INLINE void eight_rounds(uint64x2_t s[4], const uint64x2_t w[4], const uint64_t *k)
{
    two_rounds(s[0], &s[1], s[2], &s[3], w[0], k);
    two_rounds(s[3], &s[0], s[1], &s[2], w[1], k + 2);
    two_rounds(s[2], &s[3], s[0], &s[1], w[2], k + 4);
    two_rounds(s[1], &s[2], s[3], &s[0], w[3], k + 6);
}

/* W(t) and W(t+1) for 2 i = t modulo 16, at the place of W(t-16) and W(t-15). */
SHA3 TF_INLINE void schedule(uint64x2_t w[8], int i)
{
    w[i] = vsha512su1q_u64(vsha512su0q_u64(w[i], w[(i + 1) & 7]), w[(i + 7) & 7], between(w[(i + 4) & 7], w[(i + 5) & 7]));
}

SHA3 static void compress(uint64_t state[8], const uint8_t *blocks, size_t count)
{
    uint64x2_t s[4], before[4], w[8];
    for (int i = 0; i < 4; i++)
        s[i] = vld1q_u64(state + 2 * i);
    for (; count > 0; count--, blocks += 128) {
        for (int i = 0; i < 4; i++)
            before[i] = s[i];
        for (int i = 0; i < 8; i++)
            w[i] = vreinterpretq_u64_u8(vrev64q_u8(vld1q_u8(blocks + 16 * i)));
        eight_rounds(s, w, tf_sha512_k);
        eight_rounds(s, w + 4, tf_sha512_k + 8);
        for (int t = 16; t < 80; t += 16) {
            _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) schedule(w, i);
            eight_rounds(s, w, tf_sha512_k + t);
            eight_rounds(s, w + 4, tf_sha512_k + t + 8);
        }
        for (int i = 0; i < 4; i++)
            s[i] = vaddq_u64(s[i], before[i]);
    }
    for (int i = 0; i < 4; i++)
        vst1q_u64(state + 2 * i, s[i]);
}

const tf_sha512_impl tf_sha512_armv8 = {.name = "sha512_armv8", .cpu_needs = TF_CPU_ARM_SHA512, .compress = compress};
#else
typedef int tf_sha512_armv8_needs_aarch64; /* ISO C wants a declaration in every file */
#endif
