/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20 (RFC 8439, 2.3) on as many blocks side by side as a vector has words, for the implementations that hold word i of all blocks in vector i:
 * so the rounds need no shuffles. The file that includes this one has defined the type `words`, KERNEL (its target), ADD32, XOR, ROTATE16, ROTATE12,
 * ROTATE8, ROTATE7, SPREAD32 (one word everywhere), COUNT32 (0, 1, 2, ...) and IN_MEMORY (puts a vector there, if registers are short). */
#ifndef TF_CHACHA20_WORDS_H
#define TF_CHACHA20_WORDS_H

#include "chacha20_poly1305.h"

/* Half a quarter round on each of two columns or diagonals, step by step: one alone would wait for itself. */
#define TWO_HALVES(x, a, b, c, d, e, f, g, h, first, second)                                                                                         \
    do {                                                                                                                                             \
        x[a] = ADD32(x[a], x[b]);                                                                                                                    \
        x[e] = ADD32(x[e], x[f]);                                                                                                                    \
        x[d] = XOR(x[d], x[a]);                                                                                                                      \
        x[h] = XOR(x[h], x[e]);                                                                                                                      \
        x[d] = first(x[d]);                                                                                                                          \
        x[h] = first(x[h]);                                                                                                                          \
        c = ADD32(c, x[d]);                                                                                                                          \
        g = ADD32(g, x[h]);                                                                                                                          \
        x[b] = XOR(x[b], c);                                                                                                                         \
        x[f] = XOR(x[f], g);                                                                                                                         \
        x[b] = second(x[b]);                                                                                                                         \
        x[f] = second(x[f]);                                                                                                                         \
    } while (0)

/* Two quarter rounds. The row of c stands apart: where registers are short it is the one in memory, for the time between its quarter rounds. */
KERNEL TF_INLINE void two_quarters(words x[16], words *c, words *g, int a, int b, int d, int e, int f, int h)
{
    words y = *c, z = *g;
    TWO_HALVES(x, a, b, y, d, e, f, z, h, ROTATE16, ROTATE12);
    TWO_HALVES(x, a, b, y, d, e, f, z, h, ROTATE8, ROTATE7);
    *c = y;
    *g = z;
    IN_MEMORY(*c);
    IN_MEMORY(*g);
}

/* Word i before the rounds. The nonce is read as protection.c wrote it: words of 4 and 8 bytes. */
KERNEL TF_INLINE words first_word(const chacha_state *s, const uint8_t *nonce, uint32_t counter, int i)
{
    if (i < 12)
        return SPREAD32(s->words[i]);
    if (i > 12)
        return SPREAD32(tf_load32le(nonce + 4 * (i - 13)));
    return ADD32(SPREAD32(counter), COUNT32);
}

/* x[i] = word i of the key stream's blocks from `counter` on. */
KERNEL TF_INLINE void chacha20_words(words x[16], const chacha_state *s, const uint8_t *nonce, uint32_t counter)
{
    words c[4];
    UNROLL for (int i = 0; i < 16; i++) x[i] = first_word(s, nonce, counter, i);
    UNROLL for (int i = 0; i < 4; i++) c[i] = x[8 + i];
    RELOAD;
    for (int round = 0; round < 10; round++) {
        two_quarters(x, &c[0], &c[1], 0, 4, 12, 1, 5, 13);
        two_quarters(x, &c[2], &c[3], 2, 6, 14, 3, 7, 15);
        two_quarters(x, &c[2], &c[3], 0, 5, 15, 1, 6, 12);
        two_quarters(x, &c[0], &c[1], 2, 7, 13, 3, 4, 14);
    }
    RELOAD;
    UNROLL for (int i = 0; i < 4; i++) x[8 + i] = c[i];
    UNROLL for (int i = 0; i < 16; i++) x[i] = ADD32(x[i], first_word(s, nonce, counter, i));
}

#endif
