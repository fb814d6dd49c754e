/* SPDX-License-Identifier: Apache-2.0 */
/* What every C self-test shares: CHECK counts a failure and says where, check_done prints the totals and gives main's exit status, check_hex reads
 * vectors. */
#ifndef TF_CHECK_H
#define TF_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long check_count, check_failures;

/* Returns the condition, so that a test can stop early: if (!CHECK(p != NULL)) return 1; */
#define CHECK(condition) check_one((condition) != 0, #condition, __FILE__, __LINE__)

static inline int check_one(int good, const char *text, const char *file, int line)
{
    check_count++;
    if (good)
        return 1;
    check_failures++;
    if (check_failures <= 20) /* the first failures tell; thousands of lines do not */
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
    return 0;
}

/* The last statement of main: return check_done(). */
static inline int check_done(void)
{
    printf("%lu checks, %lu failed\n", check_count, check_failures);
    return check_failures != 0 || check_count == 0;
}

/* Bytes of a hexadecimal string (blanks allowed) to out; returns their number. A malformed or overlong string ends the program. */
static inline size_t check_hex(uint8_t *out, size_t cap, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t nibbles = 0;
    for (; *text != 0; text++) {
        const char *digit = strchr(digits, *text);
        if (*text == ' ')
            continue;
        if (digit == NULL || nibbles / 2 >= cap) {
            fprintf(stderr, "check_hex: bad vector at \"%s\"\n", text);
            exit(2);
        }
        uint8_t value = (uint8_t)(digit - digits);
        out[nibbles / 2] = (uint8_t)(nibbles % 2 != 0 ? out[nibbles / 2] | value : value << 4);
        nibbles++;
    }
    if (nibbles % 2 != 0) {
        fprintf(stderr, "check_hex: half a byte\n");
        exit(2);
    }
    return nibbles / 2;
}

/* 1 if the bytes at p are those of the hexadecimal string. */
static inline int check_is(const uint8_t *p, const char *text)
{
    uint8_t want[1024];
    size_t n = check_hex(want, sizeof want, text);
    return memcmp(p, want, n) == 0;
}

/* Repeatable noise for tests that walk over lengths (xorshift64; not for secrets). */
static inline void check_noise(uint8_t *out, size_t n, uint64_t seed)
{
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)(x >> 32);
    }
}

#endif
