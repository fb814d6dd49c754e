/* SPDX-License-Identifier: Apache-2.0 */
/* The 256-bit vectors, two blocks in each, under the AES-GCM of aes_gcm_vaes.h: AVX2, VAES and VPCLMULQDQ, for processors without AVX-512 or that
 * lower their clock for it. dispatch.c chooses it; aead.c checked the lengths. */
#include "../internal.h"

#if defined(TF_X86_64)

#include "aes_gcm_x86.h"
#include "clear_x86.h"

#define VAES TF_TARGET("aes,pclmul,ssse3,sse4.1,avx2,vaes,vpclmulqdq")

enum { LANES = 2 };
typedef __m256i vector;

VAES TF_INLINE vector load_vector(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

VAES TF_INLINE void store_vector(void *p, vector x)
{
    _mm256_storeu_si256((__m256i *)p, x);
}

VAES TF_INLINE vector broadcast(const __m128i *p)
{
    return _mm256_broadcastsi128_si256(load(p));
}

VAES TF_INLINE vector zeros(void)
{
    return _mm256_setzero_si256();
}

VAES TF_INLINE vector in_lane_0(__m128i x)
{
    return _mm256_inserti128_si256(zeros(), x, 0);
}

VAES TF_INLINE vector with_last_lane(vector x, __m128i last)
{
    return _mm256_inserti128_si256(x, last, 1);
}

VAES TF_INLINE __m128i lane_0(vector x)
{
    return _mm256_castsi256_si128(x);
}

VAES TF_INLINE __m128i last_lane(vector x)
{
    return _mm256_extracti128_si256(x, 1);
}

VAES TF_INLINE __m128i fold(vector x)
{
    return _mm_xor_si128(lane_0(x), last_lane(x));
}

VAES TF_INLINE vector xor2(vector a, vector b)
{
    return _mm256_xor_si256(a, b);
}

VAES TF_INLINE vector xor3(vector a, vector b, vector c)
{
    return xor2(xor2(a, b), c);
}

VAES TF_INLINE vector add32(vector a, vector b)
{
    return _mm256_add_epi32(a, b);
}

/* first and first + step in the last 32 bits of the lanes. */
VAES TF_INLINE vector in_last_words(int first, int step)
{
    return _mm256_set_epi32(first + step, 0, 0, 0, first, 0, 0, 0);
}

VAES TF_INLINE vector shuffle_bytes(vector x, __m128i indices)
{
    return _mm256_shuffle_epi8(x, _mm256_broadcastsi128_si256(indices));
}

VAES TF_INLINE vector swap_halves(vector x)
{
    return _mm256_shuffle_epi32(x, 0x4E);
}

VAES TF_INLINE vector half_up(vector x)
{
    return _mm256_slli_si256(x, 8);
}

VAES TF_INLINE vector half_down(vector x)
{
    return _mm256_srli_si256(x, 8);
}

VAES TF_INLINE vector clmul_low(vector a, vector b)
{
    return _mm256_clmulepi64_epi128(a, b, 0x00);
}

VAES TF_INLINE vector clmul_high(vector a, vector b)
{
    return _mm256_clmulepi64_epi128(a, b, 0x11);
}

VAES TF_INLINE vector aesenc(vector x, vector key)
{
    return _mm256_aesenc_epi128(x, key);
}

VAES TF_INLINE vector aesenclast(vector x, vector key)
{
    return _mm256_aesenclast_epi128(x, key);
}

/* n <= 32 bytes by moves that overlap. Outside of the kernel, like open: here text goes through general registers. */
TF_NOINLINE static void copy_last(uint8_t *out, const uint8_t *from, size_t n)
{
    if (n >= 16) {
        memcpy(out, from, 16);
        memcpy(out + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(out, from, 8);
        memcpy(out + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(out, from, 4);
        memcpy(out + n - 4, from + n - 4, 4);
    } else if (n > 0) {
        uint8_t first = from[0], middle = from[n / 2];
        out[n - 1] = from[n - 1];
        out[n / 2] = middle;
        out[0] = first;
    }
}

/* The last len < 32 bytes and the trailer, if it is not negative; ciphertext with zeros behind, and stream is the block's. */
VAES TF_INLINE vector crypt_last(int sealing, vector stream, uint8_t *out, const uint8_t *in, size_t len, int trailer)
{
    static const uint8_t ones_then_zeros[64] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                                255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    TF_ALIGNED(32) uint8_t last[32];
    size_t total = len + (sealing && trailer >= 0);
    if (total == 0)
        return zeros();
    int extra = sealing ? trailer : -1;
    vector x = len < 16 ? in_lane_0(load_partial(in, len, extra)) : with_last_lane(in_lane_0(load(in)), load_partial(in + 16, len - 16, extra));
    vector y = _mm256_and_si256(xor2(x, stream), load_vector(ones_then_zeros + 32 - total));
    store_vector(last, y);
    copy_last(out, last, total);
    if (!sealing) /* it was plaintext */
        tf_wipe(last, sizeof last);
    return sealing ? y : x;
}

VAES TF_INLINE void clear_registers(void)
{
    clear_vectors256();
}

/* 16 registers are too few for gcc and clang: hash key and keystream go to the kernel's frame, of up to 600 bytes, and this one lies over it. */
VAES TF_NOINLINE static void clear_frame(void)
{
    TF_ALIGNED(32) uint8_t frame[640];
    for (size_t i = 0; i < sizeof frame; i += sizeof(vector))
        store_vector(frame + i, zeros());
#if defined(__GNUC__) || defined(__clang__)
    __asm__ __volatile__("" : : "r"(frame) : "memory");
#endif
}

#include "aes_gcm_vaes.h"

const tf_aead_impl tf_aes_gcm_vaes256 = {"aes_gcm_vaes256", TF_CPU_AESNI | TF_CPU_VAES | TF_CPU_AVX2, set_key, seal, open};

#else
typedef int tf_aes_gcm_vaes256_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
