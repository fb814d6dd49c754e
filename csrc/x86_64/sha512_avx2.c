/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512 and SHA-384 with the message schedule in vectors of AVX2's encoding and scalar rounds with BMI2's rotations; sha512_x86.h says how. */
#include "../internal.h"

#if defined(TF_X86_64)

#include <immintrin.h>

#define SHA512_TARGET TF_TARGET("avx2,bmi,bmi2")
#define rotr64(x, n) _mm_or_si128(_mm_srli_epi64((x), (n)), _mm_slli_epi64((x), 64 - (n)))
#define xor3(a, b, c) _mm_xor_si128(_mm_xor_si128((a), (b)), (c))

#include "sha512_x86.h"

const tf_sha512_impl tf_sha512_avx2 = {"sha512_avx2", TF_CPU_AVX2 | TF_CPU_BMI2, compress, NULL};
#else
typedef int tf_sha512_avx2_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
