/* SPDX-License-Identifier: Apache-2.0 */
/* The 512-bit vectors, four blocks in each, under the AES-GCM of aes_gcm_vaes.h: AVX-512, VAES and VPCLMULQDQ. dispatch.c chooses it; aead.c checked
 * the lengths. */
#include "../internal.h"

#if defined(TF_X86_64)

#include "aes_gcm_x86.h"
#include "clear_x86.h"

#define VAES TF_TARGET("aes,pclmul,ssse3,sse4.1,avx2,avx512f,avx512bw,avx512vl,avx512dq,vaes,vpclmulqdq")

enum { LANES = 4 };
typedef __m512i vector;

VAES TF_INLINE vector load_vector(const void *p)
{
    return _mm512_loadu_si512(p);
}

VAES TF_INLINE void store_vector(void *p, vector x)
{
    _mm512_storeu_si512(p, x);
}

VAES TF_INLINE vector broadcast(const __m128i *p)
{
    return _mm512_broadcast_i32x4(load(p));
}

VAES TF_INLINE vector zeros(void)
{
    return _mm512_setzero_si512();
}

VAES TF_INLINE vector in_lane_0(__m128i x)
{
    return _mm512_inserti32x4(zeros(), x, 0);
}

VAES TF_INLINE vector with_last_lane(vector x, __m128i last)
{
    return _mm512_inserti32x4(x, last, 3);
}

VAES TF_INLINE __m128i lane_0(vector x)
{
    return _mm512_castsi512_si128(x);
}

VAES TF_INLINE __m128i last_lane(vector x)
{
    return _mm512_extracti32x4_epi32(x, 3);
}

VAES TF_INLINE __m128i fold(vector x)
{
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

VAES TF_INLINE vector xor2(vector a, vector b)
{
    return _mm512_xor_si512(a, b);
}

VAES TF_INLINE vector xor3(vector a, vector b, vector c)
{
    return xor2(xor2(a, b), c); /* not VPTERNLOG, through which MemorySanitizer cannot follow secrets; it saves nothing here */
}

VAES TF_INLINE vector add32(vector a, vector b)
{
    return _mm512_add_epi32(a, b);
}

/* first, first + step, .. in the last 32 bits of the lanes. */
VAES TF_INLINE vector in_last_words(int first, int step)
{
    return _mm512_set_epi32(first + 3 * step, 0, 0, 0, first + 2 * step, 0, 0, 0, first + step, 0, 0, 0, first, 0, 0, 0);
}

VAES TF_INLINE vector shuffle_bytes(vector x, __m128i indices)
{
    return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(indices));
}

VAES TF_INLINE vector swap_halves(vector x)
{
    return _mm512_shuffle_epi32(x, (_MM_PERM_ENUM)0x4E);
}

VAES TF_INLINE vector half_up(vector x)
{
    return _mm512_bslli_epi128(x, 8);
}

VAES TF_INLINE vector half_down(vector x)
{
    return _mm512_bsrli_epi128(x, 8);
}

VAES TF_INLINE vector clmul_low(vector a, vector b)
{
    return _mm512_clmulepi64_epi128(a, b, 0x00);
}

VAES TF_INLINE vector clmul_high(vector a, vector b)
{
    return _mm512_clmulepi64_epi128(a, b, 0x11);
}

VAES TF_INLINE vector aesenc(vector x, vector key)
{
    return _mm512_aesenc_epi128(x, key);
}

VAES TF_INLINE vector aesenclast(vector x, vector key)
{
    return _mm512_aesenclast_epi128(x, key);
}

/* The first n <= 64 of a vector's bytes. */
TF_INLINE __mmask64 first_bytes(size_t n)
{
    return n == 0 ? 0 : ~(uint64_t)0 >> (64 - n);
}

/* The last len < 64 bytes and the trailer, if it is not negative; ciphertext with zeros behind, and stream is the block's. */
VAES TF_INLINE vector crypt_last(int sealing, vector stream, uint8_t *out, const uint8_t *in, size_t len, int trailer)
{
    vector x = _mm512_maskz_loadu_epi8(first_bytes(len), in);
    size_t total = len;
    if (sealing && trailer >= 0) {
        x = _mm512_mask_set1_epi8(x, (__mmask64)1 << len, (char)trailer);
        total++;
    }
    vector y = _mm512_maskz_mov_epi8(first_bytes(total), xor2(x, stream));
    _mm512_mask_storeu_epi8(out, first_bytes(total), y);
    return sealing ? y : x;
}

VAES TF_INLINE void clear_registers(void)
{
    clear_vectors512();
}

/* With 32 registers no vector has to go to the stack. */
TF_INLINE void clear_frame(void) {}

#include "aes_gcm_vaes.h"

const tf_aead_impl tf_aes_gcm_vaes512 = {"aes_gcm_vaes512", TF_CPU_AESNI | TF_CPU_VAES | TF_CPU_AVX512 | TF_CPU_ZMM, set_key, seal, open};

#else
typedef int tf_aes_gcm_vaes512_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
