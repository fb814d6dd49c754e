/* SPDX-License-Identifier: Apache-2.0 */
/* The last act of the kernels for x86-64: secrets would stay in the vector registers until others use them. */
#ifndef TF_CLEAR_X86_H
#define TF_CLEAR_X86_H

#include "../internal.h"

/* xmm0 to xmm15 with their upper halves. */
TF_TARGET("avx2") TF_INLINE void clear_vectors256(void)
{
#if defined(__GNUC__) || defined(__clang__)
    __asm__ __volatile__("vzeroall"
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                           "xmm14", "xmm15", "memory");
#endif
}

/* All 32, on 512 bits. */
TF_TARGET("avx2,avx512f") TF_INLINE void clear_vectors512(void)
{
#if defined(__GNUC__) || defined(__clang__)
#define CLEAR(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
    __asm__ __volatile__("vzeroall\n\t" CLEAR(16) CLEAR(17) CLEAR(18) CLEAR(19) CLEAR(20) CLEAR(21) CLEAR(22) CLEAR(23) CLEAR(24) CLEAR(25) CLEAR(26)
                             CLEAR(27) CLEAR(28) CLEAR(29) CLEAR(30) CLEAR(31)
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                           "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",
                           "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "memory");
#undef CLEAR
#endif
}

#endif
