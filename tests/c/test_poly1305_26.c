/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 in limbs of 26 bits, on machines too that do not use them. */
#include "../../csrc/internal.h"

#undef TF_INT128
#include "../../csrc/poly1305.h"

#include "poly1305_check.h"
