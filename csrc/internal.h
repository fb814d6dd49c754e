/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the core share: implementation structs (one const object for each technique, chosen in dispatch.c), load and store helpers,
 * TF_TARGET. */
#ifndef TF_INTERNAL_H
#define TF_INTERNAL_H

#include "ct.h"
#include "tlsfast.h"

#if defined(__x86_64__) || defined(_M_X64)
#define TF_X86_64 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define TF_AARCH64 1
#if (defined(__GNUC__) || defined(__clang__)) && !defined(__AARCH64EB__)
#define TF_ARMV8 1 /* csrc/aarch64 is for compilers that have GNU C's assembly, and for the usual byte order */
#endif
#endif

#if defined(__GNUC__) || defined(__clang__)
#define TF_TARGET(features) __attribute__((target(features)))
#define TF_INLINE static inline __attribute__((always_inline))
#define TF_NOINLINE __attribute__((noinline))
#define TF_ALIGNED(n) __attribute__((aligned(n)))
#else
#define TF_TARGET(features)
#define TF_INLINE static inline
#define TF_NOINLINE
#define TF_ALIGNED(n)
#endif

#if defined(__SIZEOF_INT128__) && !defined(TF_NO_INT128) /* -DTF_NO_INT128 tests the other code on a machine that has it */
#define TF_INT128 1
__extension__ typedef unsigned __int128 tf_uint128;
#endif

/* ---- Atomics: one word, for the CPU bits and the busy flag ---- */

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
typedef volatile long tf_atomic;
static inline uint32_t tf_atomic_load(tf_atomic *p)
{
    return (uint32_t)_InterlockedOr(p, 0);
}
static inline void tf_atomic_store(tf_atomic *p, uint32_t x)
{
    (void)_InterlockedExchange(p, (long)x);
}
static inline int tf_atomic_change(tf_atomic *p, uint32_t from, uint32_t to)
{
    return _InterlockedCompareExchange(p, (long)to, (long)from) == (long)from;
}
static inline uint32_t tf_atomic_or(tf_atomic *p, uint32_t bits)
{
    return (uint32_t)_InterlockedOr(p, (long)bits);
}
#else
#include <stdatomic.h>
typedef _Atomic uint32_t tf_atomic;
static inline uint32_t tf_atomic_load(tf_atomic *p)
{
    return atomic_load_explicit(p, memory_order_acquire);
}
static inline void tf_atomic_store(tf_atomic *p, uint32_t x)
{
    atomic_store_explicit(p, x, memory_order_release);
}
/* from to to, in one step; 0 if it was not from. */
static inline int tf_atomic_change(tf_atomic *p, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong(p, &from, to);
}
/* Sets bits; what was there before. */
static inline uint32_t tf_atomic_or(tf_atomic *p, uint32_t bits)
{
    return atomic_fetch_or(p, bits);
}
#endif

/* ---- Loads and stores ---- */

static inline uint32_t tf_load32be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t tf_load64be(const uint8_t *p)
{
    return (uint64_t)tf_load32be(p) << 32 | tf_load32be(p + 4);
}
static inline uint32_t tf_load32le(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}
static inline uint64_t tf_load64le(const uint8_t *p)
{
    return (uint64_t)tf_load32le(p + 4) << 32 | tf_load32le(p);
}

static inline void tf_store32be(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x >> 24);
    p[1] = (uint8_t)(x >> 16);
    p[2] = (uint8_t)(x >> 8);
    p[3] = (uint8_t)x;
}

static inline void tf_store64be(uint8_t *p, uint64_t x)
{
    tf_store32be(p, (uint32_t)(x >> 32));
    tf_store32be(p + 4, (uint32_t)x);
}

static inline void tf_store32le(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
    p[2] = (uint8_t)(x >> 16);
    p[3] = (uint8_t)(x >> 24);
}

static inline void tf_store64le(uint8_t *p, uint64_t x)
{
    tf_store32le(p, (uint32_t)x);
    tf_store32le(p + 4, (uint32_t)(x >> 32));
}

/* ---- Secrets ---- */

struct tf_secret {
    size_t len;
    uint8_t bytes[TF_SECRET_MAX];
};

/* ---- AEAD implementations ---- */

enum { TF_TAG = 16, TF_NONCE = 12, TF_HASH_MAX_13 = 48 /* of TLS 1.3's suites: SHA-256 and SHA-384 */ };

/* Room for any implementation's expanded key: 15 round keys and powers of H (two tables of 41 blocks) for the widest. */
enum { TF_AEAD_STATE = 1792 };

typedef struct tf_aead_key tf_aead_key;

/* Lengths are checked in aead.c; an implementation has no error paths but the tag's verdict. */
typedef struct {
    const char *name;
    uint32_t cpu_needs;
    void (*set_key)(tf_aead_key *key, const uint8_t *bytes, size_t len);
    /* out = encryption of in[len] and, if trailer >= 0, of that one byte more (the inner content type); then the tag. out may be in. */
    void (*seal)(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                 int trailer);
    /* Decrypts in[len] to out and compares with tag[16]: 0 when it is genuine, else non-zero and out is zeroed. out may be in. */
    int (*open)(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                const uint8_t *tag);
} tf_aead_impl;

struct tf_aead_key {
    TF_ALIGNED(64) uint8_t state[TF_AEAD_STATE]; /* laid out by the implementation, which casts it; record.c allocates with this alignment */
    const tf_aead_impl *impl;                    /* NULL: no key */
};

/* aead.c: expand bytes under the best implementation for this AEAD; TF_ERR_ARGUMENT for a wrong length or number. */
int tf_aead_set_key(tf_aead_key *key, int aead, const uint8_t *bytes, size_t len);
size_t tf_aead_key_length(int aead); /* 16, 32, 32; 0 for another number */
void tf_aead_wipe(tf_aead_key *key);
/* The implementation's seal and open; open answers TF_OK or TF_ERR_BAD_RECORD_MAC. */
void tf_aead_seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                  int trailer);
int tf_aead_open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                 const uint8_t *tag);

/* The end of an implementation's open: 0 if the tag is genuine, else non-zero and out is zeroed. The verdict is public, where the tags differ is not.
 */
static inline int tf_aead_verdict(uint8_t *out, size_t len, const uint8_t computed[TF_TAG], const uint8_t *tag)
{
    uint64_t differ = tf_mask_nonzero(tf_diff(computed, tag, TF_TAG));
    TF_PUBLIC(&differ, sizeof differ);
    if (differ != 0 && len > 0)
        tf_wipe(out, len);
    return differ != 0;
}

/* ---- protection.c: what protects one direction, and record.c's readers and writers over it ---- */

enum { TF_EPOCH_CLEAR = 0, TF_EPOCH_13 = 1, TF_EPOCH_12 = 2 };

typedef struct {
    tf_aead_key key;
    uint64_t sequence; /* of the next record; never wraps */
    uint8_t iv[TF_NONCE];
    uint8_t traffic_secret[TF_HASH_MAX_13]; /* TLS 1.3: what the next generation is made of */
    int aead, hash;                         /* TLS 1.3: of that secret */
    int epoch;
    size_t explicit_nonce; /* bytes of the nonce that stand before the ciphertext: 8 for AES-GCM in TLS 1.2, else 0 */
    int error;             /* what every later call answers, or TF_OK */
    tf_atomic busy;        /* one thread at a time; see protection.c */
} tf_protection;

/* TF_OK: inside, and leave must follow. Else what the call answers. */
int tf_protection_enter(tf_protection *p);
int tf_protection_leave(tf_protection *p, int rc); /* answers rc */
void tf_protection_wipe(tf_protection *p);         /* now, or by the call that is inside when it leaves */
void tf_protection_forget(tf_protection *p);       /* the wipe itself, for an owner that knows nobody inside */
/* A new key starts at number 0; a refused one (TF_ERR_ARGUMENT) changes nothing. */
int tf_protection_set_key13(tf_protection *p, int aead, int hash, const tf_secret *traffic_secret);
int tf_protection_use(tf_protection *p, const tf_schedule *schedule, int secret);
int tf_protection_update_key(tf_protection *p);
int tf_protection_traffic_secret(tf_protection *p, tf_secret *out); /* a copy; enters and leaves by itself */
int tf_protection_set_key12(tf_protection *p, int aead, const tf_secret *key_block, int client);
/* What a record has under the present key beyond its header and content: explicit nonce, inner type, tag. */
size_t tf_protection_overhead(const tf_protection *p);
/* Opens a record's fragment of length bytes under the next number: *len bytes to out (in TLS 1.3 a TLSInnerPlaintext), which has room for length. */
int tf_protection_open(tf_protection *p, uint8_t *out, size_t *len, const uint8_t header[TF_RECORD_HEADER], const uint8_t *fragment, size_t length);
/* Writes one record of len <= 2^14 bytes of content under the next number; its length on the wire. */
size_t tf_protection_seal(tf_protection *p, int type, uint8_t *out, const uint8_t *in, size_t len);
void tf_record_header_write(uint8_t header[TF_RECORD_HEADER], int type, int version, size_t length);

struct tf_record_reader {
    tf_protection protection;
    size_t limit;        /* the largest TLSInnerPlaintext taken */
    size_t skip_budget;  /* wire bytes of early data that may still be skipped */
    int skip;            /* TF_SKIP_* */
    int plaintext_alert; /* an alert in the clear is still taken */
};

struct tf_record_writer {
    tf_protection protection;
    size_t limit;           /* the largest TLSInnerPlaintext written */
    uint64_t own_limit;     /* records that the AEAD allows under one key */
    uint64_t lowered_limit; /* the test hook's; 0: none */
    int version;            /* legacy_record_version of records in the clear */
};

/* ---- Hash implementations ---- */

typedef struct {
    const char *name;
    uint32_t cpu_needs;
    void (*compress)(uint32_t state[8], const uint8_t *blocks, size_t count); /* count blocks of 64 bytes */
    /* A block for each of two states; NULL where that is no faster than one after the other. */
    void (*compress_two)(uint32_t a[8], const uint8_t *block_a, uint32_t b[8], const uint8_t *block_b);
} tf_sha256_impl;

typedef struct {
    const char *name;
    uint32_t cpu_needs;
    void (*compress)(uint64_t state[8], const uint8_t *blocks, size_t count);                           /* count blocks of 128 bytes */
    void (*compress_two)(uint64_t a[8], const uint8_t *block_a, uint64_t b[8], const uint8_t *block_b); /* as above */
} tf_sha512_impl;

extern const uint32_t tf_sha256_k[64]; /* sha256.c: the round constants, for every implementation */
extern const uint64_t tf_sha512_k[80]; /* sha512.c: the same */

/* ---- X25519 implementations ---- */

enum { TF_X25519_BATCH = 8 };

typedef struct {
    const char *name;
    uint32_t cpu_needs;
    void (*multiply)(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32]); /* clamps; no check of the result */
    void (*base)(uint8_t out[32], const uint8_t scalar[32]);
    /* NULL where eight at a time gain nothing. */
    void (*base8)(uint8_t out[TF_X25519_BATCH][32], const uint8_t scalars[TF_X25519_BATCH][32]);
} tf_x25519_impl;

/* ---- Keccak (FIPS 202), for ML-KEM alone ---- */

/* Four states side by side: lane[i][s] is lane i of state s. */
typedef struct {
    TF_ALIGNED(32) uint64_t lane[25][4];
} tf_keccak_x4;

typedef struct {
    const char *name;
    uint32_t cpu_needs;
    void (*permute)(tf_keccak_x4 *states, unsigned count); /* at least the first count states, 1..4; the others may change too */
} tf_keccak_x4_impl;

extern const uint64_t tf_keccak_iota[24]; /* keccak.c: the round constants, for every implementation */
void tf_keccak_permute(uint64_t state[25]);
void tf_sha3_512(uint8_t out[64], const uint8_t *in, size_t words, uint64_t last); /* in: words < 8 of 8 bytes, then `last` with the padding */

/* ---- ML-KEM-768 implementations (FIPS 203) ---- */

enum { TF_MLKEM_Q = 3329, TF_MLKEM_N = 256, TF_MLKEM_K = 3 };

typedef struct {
    int16_t c[TF_MLKEM_N];
} tf_mlkem_poly;

/* Arithmetic modulo q on polynomials. Coefficients are representatives of small size, not always the canonical ones: unless the text says otherwise,
 * |c| <= q before and after. Transformed polynomials stand in an order of the implementation's own. Only `uniform` and `decode12` may let time depend
 * on what they read: the matrix and encapsulation keys are public. */
typedef struct {
    const char *name;
    uint32_t cpu_needs;
    void (*transform)(tf_mlkem_poly *p);      /* NTT */
    void (*transform_back)(tf_mlkem_poly *p); /* 2^16 times its inverse, to undo what multiply takes away */
    void (*order)(tf_mlkem_poly *p);          /* from the standard's order of a transformed polynomial to ours, and back */
    void (*multiply)(tf_mlkem_poly *r, const tf_mlkem_poly *a, size_t step, const tf_mlkem_poly *b); /* 2^-16 times sum a[i * step] b[i], i = 0..2 */
    void (*add)(tf_mlkem_poly *r, const tf_mlkem_poly *a, int factor); /* r = 2^-16 factor r + a, |factor| <= q/2; factor 0: r + a */
    size_t (*uniform)(tf_mlkem_poly *p, size_t have, const uint8_t *in,
                      size_t len);                          /* SampleNTT's loop over len = 24n bytes: coefficients now, <= 256 */
    void (*noise)(tf_mlkem_poly *p, const uint8_t in[128]); /* SamplePolyCBD, eta = 2 */
    /* ByteEncode and ByteDecode of 12 bits; with compression before, or decompression after, for 10, 4 and 1. */
    void (*encode12)(uint8_t out[384], const tf_mlkem_poly *p);
    void (*encode10)(uint8_t out[320], const tf_mlkem_poly *p);
    void (*encode4)(uint8_t out[128], const tf_mlkem_poly *p);
    void (*encode1)(uint8_t out[32], const tf_mlkem_poly *p);
    int (*decode12)(tf_mlkem_poly *p, const uint8_t in[384]); /* non-zero if a coefficient is not below q */
    void (*decode10)(tf_mlkem_poly *p, const uint8_t in[320]);
    void (*decode4)(tf_mlkem_poly *p, const uint8_t in[128]);
    void (*decode1)(tf_mlkem_poly *p, const uint8_t in[32]);
} tf_mlkem768_impl;

/* ---- dispatch.c: the best implementation whose needs the CPU meets ---- */

const tf_aead_impl *tf_dispatch_aes_gcm(void);
const tf_aead_impl *tf_dispatch_chacha20_poly1305(void);
const tf_sha256_impl *tf_dispatch_sha256(void);
const tf_sha512_impl *tf_dispatch_sha512(void);
const tf_x25519_impl *tf_dispatch_x25519(void);
const tf_mlkem768_impl *tf_dispatch_mlkem768(void);
const tf_keccak_x4_impl *tf_dispatch_keccak_x4(void);

extern const tf_aead_impl tf_aes_gcm_portable, tf_chacha20_poly1305_portable;
extern const tf_sha256_impl tf_sha256_portable;
extern const tf_sha512_impl tf_sha512_portable;
extern const tf_x25519_impl tf_x25519_portable; /* 64-bit limbs where the compiler has __int128, else 32-bit limbs */
extern const tf_mlkem768_impl tf_mlkem768_portable;
extern const tf_keccak_x4_impl tf_keccak_x4_portable;
#if defined(TF_ARMV8)
#if defined(TF_INT128)
extern const tf_aead_impl tf_chacha20_poly1305_neon;
#endif
extern const tf_aead_impl tf_aes_gcm_armv8;
extern const tf_sha256_impl tf_sha256_armv8;
extern const tf_sha512_impl tf_sha512_armv8;
#endif
#if defined(TF_X86_64)
extern const tf_aead_impl tf_aes_gcm_aesni, tf_aes_gcm_vaes256, tf_aes_gcm_vaes512;
extern const tf_sha256_impl tf_sha256_shani;
extern const tf_mlkem768_impl tf_mlkem768_avx2;
extern const tf_keccak_x4_impl tf_keccak_x4_avx2, tf_keccak_x4_avx512vl;
extern const tf_sha512_impl tf_sha512_avx2, tf_sha512_avx512vl;
#if defined(TF_INT128)
extern const tf_aead_impl tf_chacha20_poly1305_avx2, tf_chacha20_poly1305_avx512;
extern const tf_x25519_impl tf_x25519_ifma, tf_x25519_ifma512; /* their limbs are those of the portable 64-bit ones, which finish their work */
#endif
#endif

/* ---- hash.c ---- */

enum { TF_HASH_BLOCK_MAX = 128 };

typedef union {
    uint32_t h32[8]; /* SHA-256 */
    uint64_t h64[8]; /* SHA-384, SHA-512 */
} tf_hash_words;

struct tf_hash {
    int hash;       /* TF_SHA256, TF_SHA384, TF_SHA512 */
    uint64_t total; /* bytes so far; below 2^61 */
    tf_hash_words state;
    uint8_t block[TF_HASH_BLOCK_MAX]; /* the unfinished block: total modulo the block's length is its fill */
};

int tf_hash_start(tf_hash *state, int hash);                            /* TF_ERR_ARGUMENT for an unknown number */
void tf_hash_finish(tf_hash *state, uint8_t *out);                      /* digest and wipe */
size_t tf_hash_block(int hash);                                         /* 64 or 128 */
const tf_hash_words *tf_hash_initial(int hash);                         /* NULL for an unknown number */
void tf_hash_store(int hash, uint8_t *out, const tf_hash_words *state); /* the digest: tf_hash_length bytes */

/* ---- hmac.c ---- */

/* The hash states after K ^ ipad and after K ^ opad: a key once prepared serves any number of messages. */
typedef struct {
    int hash;
    const tf_sha256_impl *sha256; /* what hashes, asked for once */
    const tf_sha512_impl *sha512;
    tf_hash_words inner, outer;
} tf_hmac_key;

void tf_hmac_set_key(tf_hmac_key *k, int hash, const uint8_t *key, size_t len);
/* A message of any length: start, tf_hash_update, finish, which wipes inner. out may be part of the message. */
void tf_hmac_start(const tf_hmac_key *k, tf_hash *inner);
void tf_hmac_finish(const tf_hmac_key *k, tf_hash *inner, uint8_t *out);
/* A message that is short: at the front of block, zeros behind it. out may be block, which the caller wipes. */
int tf_hmac_is_short(int hash, size_t len);
void tf_hmac_short(const tf_hmac_key *k, uint8_t *out, uint8_t block[TF_HASH_BLOCK_MAX], size_t len);
/* Two at once, under keys of one hash. */
void tf_hmac_short_two(const tf_hmac_key *const k[2], uint8_t *const out[2], uint8_t block[2][TF_HASH_BLOCK_MAX], const size_t len[2]);
/* out = HMAC(key, in); out may be key or in. */
void tf_hmac_once(int hash, uint8_t *out, const uint8_t *key, size_t key_len, const uint8_t *in, size_t len);

/* ---- kdf.c, for schedule.c and protection.c: RFC 8446, 7.1 under prepared keys ---- */

/* HKDF-Expand-Label(secret, label, context, len): label without "tls13 ", at most 249 bytes; context at most 255. */
void tf_expand_label(const tf_hmac_key *secret, uint8_t *out, size_t len, const uint8_t *label, size_t label_len, const uint8_t *context,
                     size_t context_len);
/* Two short ones at once, under keys of one hash: len at most the hash's length, the labels those of RFC 8446, 7 (at most 12 bytes), context NULL or
 * a hash. */
typedef struct {
    const tf_hmac_key *secret;
    const char *label;
    uint8_t *out;
    size_t len;
} tf_expansion;
void tf_expand_label_two(const tf_expansion *a, const tf_expansion *b, const uint8_t *context);
/* Derive-Secret(secret, label, messages), given Transcript-Hash(messages). */
void tf_derive_secret(const tf_hmac_key *secret, uint8_t *out, const char *label, const uint8_t *transcript_hash);
const uint8_t *tf_empty_hash(int hash); /* Transcript-Hash(""); of SHA-256 and SHA-384 */

/* ---- schedule.c ---- */

/* A traffic secret and what RFC 8446, 7.3 makes of it. */
typedef struct {
    uint8_t secret[TF_HASH_MAX_13];
    uint8_t key[32];
    uint8_t iv[TF_NONCE];
} tf_traffic;

struct tf_schedule {
    int aead, hash;
    int stage;                               /* schedule.c */
    uint32_t held;                           /* bit TF_*_SECRET: it is there */
    tf_traffic traffic[4];                   /* TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET and the three after it */
    uint8_t finished_key[2][TF_HASH_MAX_13]; /* of the two handshake traffic secrets */
    uint8_t exporter_master[TF_HASH_MAX_13], resumption_master[TF_HASH_MAX_13];
    uint8_t stage_secret[TF_HASH_MAX_13]; /* Handshake Secret, then Master Secret */
    tf_hmac_key stage_key;                /* the same, prepared for Derive-Secret */
};

/* RFC 8446, 7.3: key and iv of a traffic secret. */
void tf_traffic_keys(tf_traffic *traffic, int hash, size_t key_len);
/* The traffic secret of this number; NULL if it is not there. */
const tf_traffic *tf_schedule_traffic(const tf_schedule *schedule, int secret);

#endif
