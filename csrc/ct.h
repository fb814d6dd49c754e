/* SPDX-License-Identifier: Apache-2.0 */
/* Constant-time tools: select and compare by masks, the value barrier, the wipe, and the marks that `make ct` reads. Secrets meet only these. */
#ifndef TF_CT_H
#define TF_CT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Under -DTF_CT_VALGRIND secrets are marked as uninitialised memory for valgrind memcheck, under -DTF_CT_MSAN for MemorySanitizer: a branch or an
 * index that depends on one is then reported. TF_PUBLIC declassifies what the protocol makes public (a tag's verdict, a ciphertext). */
#if defined(TF_CT_VALGRIND)
#include <valgrind/memcheck.h>
#define TF_SECRET(p, n) ((void)VALGRIND_MAKE_MEM_UNDEFINED((p), (n)))
#define TF_PUBLIC(p, n) ((void)VALGRIND_MAKE_MEM_DEFINED((p), (n)))
#elif defined(TF_CT_MSAN)
#include <sanitizer/msan_interface.h>
#define TF_SECRET(p, n) __msan_allocated_memory((p), (n))
#define TF_PUBLIC(p, n) __msan_unpoison((p), (n))
#else
#define TF_SECRET(p, n) ((void)(p), (void)(n))
#define TF_PUBLIC(p, n) ((void)(p), (void)(n))
#endif

/* Hide a value from the optimizer, so that it cannot turn mask arithmetic back into a branch. MemorySanitizer cannot see through assembly: it would
 * call a secret operand an error and the result public. */
static inline uint64_t tf_barrier(uint64_t x)
{
#if (defined(__GNUC__) || defined(__clang__)) && !defined(TF_CT_MSAN)
    __asm__("" : "+r"(x));
    return x;
#else
    volatile uint64_t y = x;
    return y;
#endif
}

/* All ones if x != 0, else 0. For x != 0 the top bit of x | -x is set. */
static inline uint64_t tf_mask_nonzero(uint64_t x)
{
    x = tf_barrier(x);
    return 0 - ((x | (0 - x)) >> 63);
}

/* mask all ones: a; mask 0: b. */
static inline uint64_t tf_select(uint64_t mask, uint64_t a, uint64_t b)
{
    mask = tf_barrier(mask);
    return (a & mask) | (b & ~mask);
}

/* 0 if the n bytes are equal, else non-zero, in constant time; the caller declassifies the verdict. */
static inline uint64_t tf_diff(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint64_t d = 0;
    for (size_t i = 0; i < n; i++)
        d |= (uint64_t)(a[i] ^ b[i]);
    return tf_barrier(d);
}

/* Zeros that the optimizer cannot drop. */
static inline void tf_wipe(void *p, size_t n)
{
#if defined(__GNUC__) || defined(__clang__)
    if (!__builtin_constant_p(n) || n > 64)
        __asm__("" : "+r"(n)); /* of a constant length gcc makes "rep stos", which takes longer to start than the C library's memset to end */
    memset(p, 0, n);
    __asm__ __volatile__("" : : "r"(p) : "memory");
#else
    volatile uint8_t *v = p;
    while (n--)
        *v++ = 0;
#endif
}

#endif
