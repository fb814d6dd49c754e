/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds and GB/s of every implementation that this processor can run, by the processor bits that select it (make cbench): AEADs, hashes, HMAC
 * and HKDF, X25519, ML-KEM-768. A new row of dispatch.c appears by itself. Best of several turns: what the code can do, not what the machine was busy
 * with.
 *
 * usage: cbench [WORD]: only lines that contain WORD. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include "../csrc/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TURNS = 9, MOST_IMPLEMENTATIONS = 16, LARGEST = 16384 };

static const double turn_ns = 2e6;
static const size_t sizes[] = {16, 64, 256, 1350, 8192, LARGEST};
static const char *wanted = "";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(int rc)
{
    if (rc != TF_OK) {
        fprintf(stderr, "the core answered %d\n", rc);
        exit(1);
    }
}

/* ---- What is timed: work(state) once ---- */

typedef struct {
    tf_aead_key *key;
    int hash;
    size_t len;
    uint8_t *in, *out;
    uint8_t nonce[TF_NONCE], aad[TF_RECORD_HEADER], tag[TF_TAG];
    tf_secret *secret, *other;
    const tf_x25519_impl *x25519;
    tf_mlkem768_key *mlkem;
} state;

typedef void (*work_fn)(state *s);

static double spent(work_fn work, state *s, size_t calls)
{
    double start = now();
    for (size_t i = 0; i < calls; i++)
        work(s);
    return now() - start;
}

/* One line: the best turn's ns a call, and GB/s where bytes are moved. */
static void report(const char *implementation, const char *what, size_t bytes, work_fn work, state *s)
{
    char label[160];
    if (bytes != 0)
        snprintf(label, sizeof label, "%-38s %-18s %6zu", implementation, what, bytes);
    else
        snprintf(label, sizeof label, "%-38s %-25s", implementation, what);
    if (strstr(label, wanted) == NULL)
        return;
    size_t calls = 1;
    while (spent(work, s, calls) < turn_ns / 4)
        calls *= 2;
    double best = 1e30;
    for (int turn = 0; turn < TURNS; turn++) {
        double each = spent(work, s, calls) / (double)calls;
        if (each < best)
            best = each;
    }
    printf("%s %12.1f ns", label, best);
    if (bytes != 0)
        printf(" %8.2f GB/s", (double)bytes / best);
    printf("\n");
    fflush(stdout);
}

static void aead_set_key(state *s)
{
    must(tf_aead_set_key(s->key, s->hash, s->in, tf_aead_key_length(s->hash)));
}

static void aead_seal(state *s)
{
    s->nonce[0]++;
    tf_aead_seal(s->key, s->out, s->nonce, s->aad, sizeof s->aad, s->in, s->len, -1);
}

static void aead_open(state *s)
{
    must(tf_aead_open(s->key, s->in, s->nonce, s->aad, sizeof s->aad, s->out, s->len, s->out + s->len));
}

static void hash_once(state *s)
{
    must(tf_hash_once(s->hash, s->out, s->in, s->len));
}

static void hmac(state *s)
{
    must(tf_hmac(s->hash, s->out, s->nonce, sizeof s->nonce, s->in, 16));
}

static void expand_label(state *s)
{
    must(tf_hkdf_expand_label(s->hash, s->other, tf_hash_length(s->hash), s->secret, (const uint8_t *)"derived", 7, s->in, 32));
}

static void x25519_base(state *s)
{
    s->x25519->base(s->out, s->in);
}

static void x25519_exchange(state *s)
{
    s->x25519->multiply(s->out, s->in, s->in + 32);
}

static void mlkem_generate(state *s)
{
    must(tf_mlkem768_generate(s->mlkem, s->in));
}

static void mlkem_encapsulate(state *s)
{
    must(tf_mlkem768_encapsulate(s->secret, s->out, s->in));
}

static void mlkem_decapsulate(state *s)
{
    must(tf_mlkem768_decapsulate(s->other, s->mlkem, s->out));
}

/* ---- Every implementation of a primitive, with the fewest bits that select it ---- */

typedef struct {
    const char *names[MOST_IMPLEMENTATIONS];
    uint32_t masks[MOST_IMPLEMENTATIONS];
    int count;
} choices;

static int bits_in(uint32_t x)
{
    int count = 0;
    for (; x != 0; x &= x - 1)
        count++;
    return count;
}

static choices implementations(int primitive)
{
    choices found = {{0}, {0}, 0};
    tf_cpu_limit(~(uint32_t)0);
    uint32_t all = tf_cpu_features(), mask = 0;
    do { /* every subset of all */
        tf_cpu_limit(mask);
        const char *name = tf_implementation(primitive);
        int at = 0;
        while (at < found.count && strcmp(found.names[at], name) != 0)
            at++;
        if (at == found.count && at < MOST_IMPLEMENTATIONS) {
            found.names[at] = name;
            found.masks[at] = mask;
            found.count++;
        } else if (at < found.count && bits_in(mask) < bits_in(found.masks[at])) {
            found.masks[at] = mask;
        }
        mask = (mask - all) & all;
    } while (mask != 0);
    tf_cpu_limit(~(uint32_t)0);
    return found;
}

static void bench_aead(state *s, int primitive, int aead, const char *name)
{
    choices found = implementations(primitive);
    char what[64];
    for (int i = 0; i < found.count; i++) {
        tf_cpu_limit(found.masks[i]);
        s->hash = aead;
        snprintf(what, sizeof what, "%s key", name);
        report(found.names[i], what, 0, aead_set_key, s);
        aead_set_key(s);
        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
            s->len = sizes[at];
            snprintf(what, sizeof what, "%s seal", name);
            report(found.names[i], what, s->len, aead_seal, s);
            aead_seal(s);
            snprintf(what, sizeof what, "%s open", name);
            report(found.names[i], what, s->len, aead_open, s);
        }
    }
}

static void bench_hash(state *s, int primitive, int hash, const char *name)
{
    choices found = implementations(primitive);
    char what[64];
    s->hash = hash;
    for (int i = 0; i < found.count; i++) {
        tf_cpu_limit(found.masks[i]);
        for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
            s->len = sizes[at];
            report(found.names[i], name, s->len, hash_once, s);
        }
        snprintf(what, sizeof what, "HMAC-%s 16 bytes", name);
        report(found.names[i], what, 0, hmac, s);
        must(tf_secret_random(s->secret, tf_hash_length(hash)));
        snprintf(what, sizeof what, "Expand-Label %s", name);
        report(found.names[i], what, 0, expand_label, s);
    }
}

static void bench_x25519(state *s)
{
    choices found = implementations(TF_PRIMITIVE_X25519);
    for (int i = 0; i < found.count; i++) {
        tf_cpu_limit(found.masks[i]);
        s->x25519 = tf_dispatch_x25519();
        report(found.names[i], "X25519 base point", 0, x25519_base, s);
        x25519_base(s);
        memcpy(s->in + 32, s->out, 32);
        report(found.names[i], "X25519 exchange", 0, x25519_exchange, s);
    }
}

/* ML-KEM-768 is a pair of choices: its polynomials, and the Keccak beneath. Randomness from the kernel is in it. */
static void bench_mlkem(state *s)
{
    choices polynomials = implementations(TF_PRIMITIVE_ML_KEM_768), keccak = implementations(TF_PRIMITIVE_KECCAK_X4);
    for (int i = 0; i < polynomials.count; i++)
        for (int j = 0; j < keccak.count; j++) {
            char name[96];
            tf_cpu_limit(polynomials.masks[i] | keccak.masks[j]);
            const char *chosen = tf_implementation(TF_PRIMITIVE_ML_KEM_768), *beneath = tf_implementation(TF_PRIMITIVE_KECCAK_X4);
            if (strcmp(chosen, polynomials.names[i]) != 0 || strcmp(beneath, keccak.names[j]) != 0)
                continue; /* the bits of one bring another of the other */
            snprintf(name, sizeof name, "%s, %s", chosen, beneath);
            report(name, "generate", 0, mlkem_generate, s);
            mlkem_generate(s);
            report(name, "encapsulate", 0, mlkem_encapsulate, s);
            mlkem_encapsulate(s);
            report(name, "decapsulate", 0, mlkem_decapsulate, s);
        }
}

int main(int argc, char **argv)
{
    static TF_ALIGNED(64) tf_aead_key key;
    static TF_ALIGNED(64) uint8_t in[LARGEST + 64], out[LARGEST + 64];
    state s = {.key = &key, .in = in, .out = out, .secret = tf_secret_new(), .other = tf_secret_new(), .mlkem = tf_mlkem768_key_new()};
    if (argc > 1)
        wanted = argv[1];
    must(tf_random(in, sizeof in));
    bench_aead(&s, TF_PRIMITIVE_AES_GCM, TF_AES_128_GCM, "AES-128-GCM");
    bench_aead(&s, TF_PRIMITIVE_AES_GCM, TF_AES_256_GCM, "AES-256-GCM");
    bench_aead(&s, TF_PRIMITIVE_CHACHA20_POLY1305, TF_CHACHA20_POLY1305, "ChaCha20-Poly1305");
    bench_hash(&s, TF_PRIMITIVE_SHA256, TF_SHA256, "SHA-256");
    bench_hash(&s, TF_PRIMITIVE_SHA512, TF_SHA384, "SHA-384");
    bench_x25519(&s);
    bench_mlkem(&s);
    tf_secret_free(s.secret);
    tf_secret_free(s.other);
    tf_mlkem768_key_free(s.mlkem);
    return 0;
}
