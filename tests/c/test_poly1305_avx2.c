/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 in AVX2's lanes against scalar arithmetic. */
#include "../../csrc/internal.h"

#if defined(TF_X86_64) && defined(TF_INT128)
/* A copy under another name beside the core's own. */
#define tf_chacha20_poly1305_avx2 tested_here
extern const tf_aead_impl tested_here;
#include "../../csrc/x86_64/chacha20_poly1305_avx2.c"

enum { LEAST = 64 };
#include "poly1305_vector_check.h"
#else
int main(void)
{
    return 0;
}
#endif
