/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 in the arithmetic that this machine uses: words of 64 bits with a 128-bit product, else limbs of 26 bits. */
#include "../../csrc/poly1305.h"

#include "poly1305_check.h"
