/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 in the limbs that this machine uses: 44 bits with a 128-bit product, else 26. */
#include "../../csrc/internal.h"

/* A copy under another name beside the core's own. */
#define tf_chacha20_poly1305_portable tested_here
extern const tf_aead_impl tested_here;
#include "../../csrc/chacha20_poly1305.c"

#include "poly1305_check.h"
