/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer on X25519: 32 bytes of scalar and 32 of u. Both field arithmetics and what this processor gets must agree, on the input and on its
 * equivalents: other clamped bits, the other top bit (RFC 7748, 5); and one's ladder with the other's comb on the base point. run_libfuzzer.sh
 * builds and runs it. */
#include "../csrc/internal.h"

#include <stdlib.h>

/* The arithmetic that this build does not use, as a second implementation in this program. */
#if !defined(TF_INT128)
#error "without __int128 there is one arithmetic, and nothing to compare"
#endif
#undef TF_INT128
#define tf_x25519_portable other_arithmetic
#define tf_x25519_base other_base
extern const tf_x25519_impl other_arithmetic;
#include "../csrc/x25519.c"
#include "../csrc/x25519_base.c"
#undef tf_x25519_base
#undef tf_x25519_portable

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nine[32] = {9};
    uint8_t in[64] = {0}, a[32], b[32];
    if (size > 0)
        memcpy(in, data, size < sizeof in ? size : sizeof in);
    tf_x25519_portable.multiply(a, in, in + 32);
    in[0] ^= 7;
    in[31] ^= 0xc0;
    in[63] ^= 0x80;
    other_arithmetic.multiply(b, in, in + 32);
    if (memcmp(a, b, sizeof a) != 0 || a[31] > 0x7f)
        abort();
    tf_dispatch_x25519()->multiply(b, in, in + 32); /* this processor's */
    if (memcmp(a, b, sizeof a) != 0)
        abort();
    tf_x25519_portable.multiply(a, in, nine);
    other_arithmetic.base(b, in);
    if (memcmp(a, b, sizeof a) != 0)
        abort();
    return 0;
}
