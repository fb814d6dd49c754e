/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tools/x25519_table.py: edit that. Multiples of edwards25519's base point B (RFC 8032, 5.1) for x25519_base.c and its vectored twin; what
 * they are for stands there. Numbers are four 64-bit words, the lowest first, below 2^255 - 19. */
#ifndef TF_X25519_TABLE_H
#define TF_X25519_TABLE_H

#include "internal.h"

enum { COMBS = 14, TEETH = 6, SPACING = 3, ENTRIES = 1 << (TEETH - 1) };

/* x, y and x y of the point that the sum starts from. */
extern const uint64_t tf_x25519_start[3][4];
/* (y + x)/2, (y - x)/2 and d x y of the entries of each comb: one word of all entries beside each other, for a look-up that reads them all. */
extern const uint64_t tf_x25519_table[COMBS][3][4][ENTRIES];

#endif
