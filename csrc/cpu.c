/* SPDX-License-Identifier: Apache-2.0 */
/* What this processor can do, asked once and kept; dispatch.c reads it. CPUID and XGETBV as in Intel's SDM, volume 2, and AMD's APM, volume 3.
 * The builtins of compilers are not used: their lists of names differ, and some know nothing of VAES. */
#include "internal.h"

#if defined(TF_X86_64) && defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif
#if defined(TF_AARCH64) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(TF_AARCH64) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#if defined(TF_AARCH64) && defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif

#define BIT(n) ((uint32_t)1 << (n))

#if defined(TF_X86_64)

enum { EAX, EBX, ECX, EDX };

static void cpuid(uint32_t regs[4], uint32_t leaf)
{
#if defined(_MSC_VER) && !defined(__clang__)
    __cpuidex((int *)regs, (int)leaf, 0);
#else
    __asm__ __volatile__("cpuid" : "=a"(regs[EAX]), "=b"(regs[EBX]), "=c"(regs[ECX]), "=d"(regs[EDX]) : "a"(leaf), "c"(0));
#endif
}

/* XCR0: which register files the operating system saves. Only if CPUID says OSXSAVE. */
static uint32_t xcr0(void)
{
#if defined(_MSC_VER) && !defined(__clang__)
    return (uint32_t)_xgetbv(0);
#else
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
#endif
}

/* Intel's Skylake-X to Tiger Lake run slower for a while after 512-bit multiplications, whatever comes behind them: family 6 alone, by model.
 * signature is leaf 1's EAX: model in bits 7..4, family in 11..8, the model's upper half in 19..16, extended family in 27..20. */
static int lowers_clock(uint32_t signature)
{
    static const uint8_t models[] = {85, 106, 108, 125, 126, 140, 141};
    uint32_t model = (signature >> 4 & 0x0F) | (signature >> 12 & 0xF0);
    if ((signature >> 8 & 0x0F) != 6)
        return 0;
    for (size_t i = 0; i < sizeof models; i++)
        if (model == models[i])
            return 1;
    return 0;
}

static uint32_t probe(void)
{
    uint32_t regs[4], bits = 0;
    cpuid(regs, 0);
    uint32_t last_leaf = regs[EAX];
    cpuid(regs, 1);
    uint32_t signature = regs[EAX], ecx1 = regs[ECX];
    uint32_t ebx7 = 0, ecx7 = 0;
    if (last_leaf >= 7) {
        cpuid(regs, 7);
        ebx7 = regs[EBX];
        ecx7 = regs[ECX];
    }

    const uint32_t sse = BIT(9) | BIT(19);                         /* SSSE3, SSE4.1 */
    const uint32_t aesni = BIT(25) | BIT(1) | sse;                 /* AESNI, PCLMULQDQ */
    const uint32_t bmi = BIT(3) | BIT(8) | BIT(19);                /* BMI1, BMI2, ADX */
    const uint32_t vaes = BIT(9) | BIT(10);                        /* VAES, VPCLMULQDQ */
    const uint32_t avx512 = BIT(16) | BIT(17) | BIT(30) | BIT(31); /* F, DQ, BW, VL */
    uint32_t saved = (ecx1 & BIT(27)) != 0 ? xcr0() : 0;           /* OSXSAVE */
    int ymm = (saved & 0x06) == 0x06 && (ebx7 & BIT(5)) != 0;      /* xmm and ymm state; AVX2 */
    int zmm = ymm && (saved & 0xE6) == 0xE6;                       /* and opmask, upper zmm, zmm16-31 */

    if ((ecx1 & aesni) == aesni)
        bits |= TF_CPU_AESNI;
    if ((ecx1 & sse) == sse && (ebx7 & BIT(29)) != 0)
        bits |= TF_CPU_SHANI;
    if ((ebx7 & bmi) == bmi)
        bits |= TF_CPU_BMI2;
    if (ymm)
        bits |= TF_CPU_AVX2;
    if (ymm && (ecx7 & vaes) == vaes)
        bits |= TF_CPU_VAES;
    if (zmm && (ebx7 & avx512) == avx512) {
        bits |= TF_CPU_AVX512;
        if ((ebx7 & BIT(21)) != 0)
            bits |= TF_CPU_IFMA;
        if (!lowers_clock(signature))
            bits |= TF_CPU_ZMM;
    }
    return bits;
}

#elif defined(TF_AARCH64) && defined(__linux__)

static uint32_t probe(void)
{
    unsigned long caps = getauxval(AT_HWCAP); /* the kernel's asm/hwcap.h */
    uint32_t bits = 0;
    if ((caps & BIT(3)) != 0 && (caps & BIT(4)) != 0) /* HWCAP_AES, HWCAP_PMULL */
        bits |= TF_CPU_ARM_AES;
    if ((caps & BIT(6)) != 0) /* HWCAP_SHA2 */
        bits |= TF_CPU_ARM_SHA2;
    if ((caps & BIT(21)) != 0) /* HWCAP_SHA512 */
        bits |= TF_CPU_ARM_SHA512;
    if ((caps & BIT(1)) != 0) /* HWCAP_ASIMD */
        bits |= TF_CPU_ARM_NEON;
    return bits;
}

#elif defined(TF_AARCH64) && defined(__APPLE__)

/* macOS 11 does not know the names yet; it runs on the M1 alone, which has all of these. */
static int has(const char *name)
{
    int value = 0;
    size_t len = sizeof value;
    return sysctlbyname(name, &value, &len, NULL, 0) != 0 || value != 0;
}

static uint32_t probe(void)
{
    uint32_t bits = TF_CPU_ARM_NEON; /* a part of every processor that this system runs on */
    if (has("hw.optional.arm.FEAT_AES") && has("hw.optional.arm.FEAT_PMULL"))
        bits |= TF_CPU_ARM_AES;
    if (has("hw.optional.arm.FEAT_SHA256"))
        bits |= TF_CPU_ARM_SHA2;
    if (has("hw.optional.arm.FEAT_SHA512"))
        bits |= TF_CPU_ARM_SHA512;
    return bits;
}

#elif defined(TF_AARCH64) && defined(_WIN32)

static uint32_t probe(void)
{
    uint32_t bits = TF_CPU_ARM_NEON;                                        /* a part of every processor that this system runs on */
    if (IsProcessorFeaturePresent(PF_ARM_V8_CRYPTO_INSTRUCTIONS_AVAILABLE)) /* AES, PMULL, SHA-1 and SHA-256 together */
        bits |= TF_CPU_ARM_AES | TF_CPU_ARM_SHA2;
#if defined(PF_ARM_SHA512_INSTRUCTIONS_AVAILABLE) /* younger SDKs */
    if (IsProcessorFeaturePresent(PF_ARM_SHA512_INSTRUCTIONS_AVAILABLE))
        bits |= TF_CPU_ARM_SHA512;
#endif
    return bits;
}

#else

static uint32_t probe(void)
{
    return 0;
}

#endif

/* The only globals of the core. Threads that race to fill `known` store the same value. */
enum { PROBED = 1 << 30 };
static tf_atomic known;
static tf_atomic hidden;

uint32_t tf_cpu_features(void)
{
    uint32_t bits = tf_atomic_load(&known);
    if (bits == 0) {
        bits = probe() | PROBED;
        tf_atomic_store(&known, bits);
    }
    return bits & ~(uint32_t)PROBED & ~tf_atomic_load(&hidden);
}

void tf_cpu_limit(uint32_t mask)
{
    tf_atomic_store(&hidden, ~mask);
}
