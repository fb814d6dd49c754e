/* SPDX-License-Identifier: Apache-2.0 */
/* Two rounds of Keccak-f[1600] over any type of lane, for keccak.c and the files that permute four states at once. FIPS 202, 3.2 and 3.3.
 *
 * The includer defines LANE (the type), XOR(a, b), XOR3(a, b, c), CHI(a, b, c) = a ^ (~b & c), ROTATE(a, n) for constants 1 <= n <= 63, and IOTA(n):
 * the constant of round n in every lane. Lane (x, y) is number x + 5y. */

#ifndef TF_KECCAK_ROUND_H
#define TF_KECCAK_ROUND_H

/* Rho and pi bring lane (x, y) to (y, 2x + 3y), so row Y takes lanes ((3Y + i) mod 5, i), i = 0..4; then chi along the row. d: theta's sums. */
#define KECCAK_ROW(out, in, row, l0, r0, l1, r1, l2, r2, l3, r3, l4, r4)                                                                             \
    do {                                                                                                                                             \
        const LANE b0 = KECCAK_TURN(XOR(in[l0], d[(l0) % 5]), r0);                                                                                   \
        const LANE b1 = KECCAK_TURN(XOR(in[l1], d[(l1) % 5]), r1);                                                                                   \
        const LANE b2 = KECCAK_TURN(XOR(in[l2], d[(l2) % 5]), r2);                                                                                   \
        const LANE b3 = KECCAK_TURN(XOR(in[l3], d[(l3) % 5]), r3);                                                                                   \
        const LANE b4 = KECCAK_TURN(XOR(in[l4], d[(l4) % 5]), r4);                                                                                   \
        out[5 * (row)] = CHI(b0, b1, b2);                                                                                                            \
        out[5 * (row) + 1] = CHI(b1, b2, b3);                                                                                                        \
        out[5 * (row) + 2] = CHI(b2, b3, b4);                                                                                                        \
        out[5 * (row) + 3] = CHI(b3, b4, b0);                                                                                                        \
        out[5 * (row) + 4] = CHI(b4, b0, b1);                                                                                                        \
    } while (0)

#define KECCAK_PARITY(a, x) XOR3(XOR3((a)[x], (a)[(x) + 5], (a)[(x) + 10]), (a)[(x) + 15], (a)[(x) + 20])
#define KECCAK_TURN(a, n) ((n) == 0 ? (a) : ROTATE(a, (n) == 0 ? 1 : (n)))

#define KECCAK_ROUND(out, in, number)                                                                                                                \
    do {                                                                                                                                             \
        const LANE c0 = KECCAK_PARITY(in, 0), c1 = KECCAK_PARITY(in, 1), c2 = KECCAK_PARITY(in, 2), c3 = KECCAK_PARITY(in, 3),                       \
                   c4 = KECCAK_PARITY(in, 4);                                                                                                        \
        const LANE d[5] = {XOR(c4, ROTATE(c1, 1)), XOR(c0, ROTATE(c2, 1)), XOR(c1, ROTATE(c3, 1)), XOR(c2, ROTATE(c4, 1)), XOR(c3, ROTATE(c0, 1))};  \
        KECCAK_ROW(out, in, 0, 0, 0, 6, 44, 12, 43, 18, 21, 24, 14);                                                                                 \
        out[0] = XOR(out[0], IOTA(number));                                                                                                          \
        KECCAK_ROW(out, in, 1, 3, 28, 9, 20, 10, 3, 16, 45, 22, 61);                                                                                 \
        KECCAK_ROW(out, in, 2, 1, 1, 7, 6, 13, 25, 19, 8, 20, 18);                                                                                   \
        KECCAK_ROW(out, in, 3, 4, 27, 5, 36, 11, 10, 17, 15, 23, 56);                                                                                \
        KECCAK_ROW(out, in, 4, 2, 62, 8, 55, 14, 39, 15, 41, 21, 2);                                                                                 \
    } while (0)

#endif
