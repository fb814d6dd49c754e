/* SPDX-License-Identifier: Apache-2.0 */
/* What the constant-time programs share. Each runs the core over bytes marked secret, under the CPU bits that its first argument leaves
 * (hexadecimal); valgrind or MemorySanitizer reports a branch or an address that depends on them. run_ct.sh builds and runs them. */
#ifndef TF_CT_CHECK_H
#define TF_CT_CHECK_H

#include "../../csrc/internal.h"
#include "check.h"

#if !defined(TF_CT_VALGRIND) && !defined(TF_CT_MSAN)
#error "without -DTF_CT_VALGRIND or -DTF_CT_MSAN nothing is marked, and the program would prove nothing"
#endif

/* Ends the program with 3 when this processor (or valgrind's) lacks a bit that is asked for: the run would show another implementation. */
static inline void ct_start(int argc, char **argv)
{
    uint32_t mask = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 16) : 0;
    if (mask & ~tf_cpu_features())
        exit(3);
    tf_cpu_limit(mask);
}

/* n bytes of noise, marked secret. */
static inline void ct_noise(uint8_t *out, size_t n, uint64_t seed)
{
    check_noise(out, n, seed);
    TF_SECRET(out, n);
}

#endif
