/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 in limbs of 26 bits, on machines too that do not use them. */
#include "../../csrc/internal.h"

/* A copy under another name beside the core's own. */
#undef TF_INT128
#define tf_chacha20_poly1305_portable tested_here
extern const tf_aead_impl tested_here;
#include "../../csrc/chacha20_poly1305.c"

#include "poly1305_check.h"
