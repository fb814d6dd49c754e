/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM (FIPS 197, NIST SP 800-38D) with VAES and VPCLMULQDQ on 512-bit registers, four blocks in each: 32 blocks of AES side by side, and between
 * their rounds GHASH of 32 blocks. dispatch.c chooses it; aead.c checked the lengths.
 *
 * GHASH goes by Horner's rule in each of the four lanes apart: with v0..v7 the vectors of a batch, acc = acc H^32 + v0 H^28 + ... + v6 H^4 + v7, the
 * same power for all lanes. Only the tail folds them, by the powers that lanes and vectors still lack: a block behind which n - 1 others come (the
 * length block is one) is multiplied by H^n. */
#include "../internal.h"

#if defined(TF_X86_64)

#include "aes_gcm_x86.h"

#define VAES TF_TARGET("aes,pclmul,ssse3,sse4.1,avx2,avx512f,avx512bw,avx512vl,avx512dq,vaes,vpclmulqdq")

#if defined(__GNUC__) && !defined(__clang__)
/* gcc would sum the products as a tree, after having spilled them all. */
#define IN_THIS_ORDER(a, b, c) __asm__("" : "+v"(a), "+v"(b), "+v"(c))
#else
#define IN_THIS_ORDER(a, b, c) ((void)0)
#endif

enum {
    VECTOR = 64,                 /* bytes: four blocks */
    BATCH = 8,                   /* vectors */
    SHORT = 48,                  /* bytes that leave room in one vector for the block that masks the tag */
    HIGHEST = 4 + 4 * BATCH + 1, /* the power of H for the first lane of acc, when a tail of a whole batch and the length block come behind */
    POWERS = HIGHEST + 4         /* and zeros for lanes that nothing is in */
};

typedef struct {
    __m128i round_keys[MAX_ROUNDS + 2]; /* one unused, for alignment */
    __m128i powers[POWERS];             /* powers[HIGHEST - n] = H^n x^-1: four that follow each other are a vector */
    __m128i sums[POWERS];               /* the two halves of that, added: for Karatsuba */
    int rounds;
} gcm_state;

_Static_assert(sizeof(gcm_state) <= TF_AEAD_STATE, "TF_AEAD_STATE is too small");

static gcm_state *state_of(tf_aead_key *key)
{
    return (gcm_state *)(void *)key->state;
}

/* ---- Vectors ---- */

VAES TF_INLINE __m512i load4(const void *p)
{
    return _mm512_loadu_si512(p);
}

VAES TF_INLINE __m512i broadcast(const __m128i *p)
{
    return _mm512_broadcast_i32x4(load(p));
}

VAES TF_INLINE __m512i in_lane_0(__m128i x)
{
    return _mm512_inserti32x4(_mm512_setzero_si512(), x, 0);
}

VAES TF_INLINE __m512i xor3(__m512i a, __m512i b, __m512i c)
{
    return _mm512_xor_si512(_mm512_xor_si512(a, b),
                            c); /* not VPTERNLOG, through which MemorySanitizer cannot follow secrets; it saves nothing here */
}

VAES TF_INLINE __m512i reverse_bytes4(__m512i x)
{
    return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

/* The first n <= 64 of a vector's bytes. */
TF_INLINE __mmask64 first_bytes(size_t n)
{
    return n == 0 ? 0 : ~(uint64_t)0 >> (VECTOR - n);
}

/* The lanes' sum. */
VAES TF_INLINE __m128i fold(__m512i x)
{
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* ---- Counters ---- */

/* Four counters from the lanes' own numbers on, which stand in the last words in the processor's byte order. */
VAES TF_INLINE __m512i counters(__m128i zero_counter, int lane0, int lane1, int lane2, int lane3)
{
    return _mm512_add_epi32(_mm512_broadcast_i32x4(zero_counter), _mm512_set_epi32(lane3, 0, 0, 0, lane2, 0, 0, 0, lane1, 0, 0, 0, lane0, 0, 0, 0));
}

VAES TF_INLINE __m512i counter_blocks(__m512i counter)
{
    return _mm512_shuffle_epi8(counter, _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)));
}

/* The next vector of counter blocks, with the first round key added. */
VAES TF_INLINE __m512i next_counters(__m512i *counter, __m512i key)
{
    __m512i blocks = _mm512_xor_si512(counter_blocks(*counter), key);
    *counter = _mm512_add_epi32(*counter, _mm512_set_epi32(4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0));
    return blocks;
}

/* Round keys, powers of H and keystream would stay in the registers, and zmm16 to zmm31 until others use them. */
VAES TF_INLINE void clear_registers(void)
{
#if defined(__GNUC__) || defined(__clang__)
#define CLEAR(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
    __asm__ __volatile__("vzeroall\n\t" CLEAR(16) CLEAR(17) CLEAR(18) CLEAR(19) CLEAR(20) CLEAR(21) CLEAR(22) CLEAR(23) CLEAR(24) CLEAR(25) CLEAR(26)
                             CLEAR(27) CLEAR(28) CLEAR(29) CLEAR(30) CLEAR(31)
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                           "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",
                           "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "memory");
#undef CLEAR
#endif
}

/* ---- GHASH ---- */

typedef struct {
    __m512i low, middle, high; /* of a sum of products; middle without what Karatsuba takes off */
} product;

VAES TF_INLINE product no_product(void)
{
    product p = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    return p;
}

VAES TF_INLINE __m512i halves_added(__m512i x)
{
    return _mm512_xor_si512(x, _mm512_shuffle_epi32(x, (_MM_PERM_ENUM)0x4E));
}

VAES TF_INLINE void multiply_add(product *p, __m512i x, __m512i power, __m512i sum)
{
    p->low = _mm512_xor_si512(p->low, _mm512_clmulepi64_epi128(x, power, 0x00));
    p->high = _mm512_xor_si512(p->high, _mm512_clmulepi64_epi128(x, power, 0x11));
    p->middle = _mm512_xor_si512(p->middle, _mm512_clmulepi64_epi128(halves_added(x), sum, 0x00));
    IN_THIS_ORDER(p->low, p->middle, p->high);
}

/* p += x H^n in every lane. */
VAES TF_INLINE void multiply_add_same(product *p, const gcm_state *s, __m512i x, size_t n)
{
    multiply_add(p, x, broadcast(&s->powers[HIGHEST - n]), broadcast(&s->sums[HIGHEST - n]));
}

/* p += x times H^n, H^(n-1), H^(n-2), H^(n-3) in the lanes; n >= 1, and H^0 and below are zeros here. */
VAES TF_INLINE void multiply_add_falling(product *p, const gcm_state *s, __m512i x, size_t n)
{
    multiply_add(p, x, load4(&s->powers[HIGHEST - n]), load4(&s->sums[HIGHEST - n]));
}

/* Modulo x^128 + x^7 + x^2 + x + 1, which read from the other end is 2^128 + C2 * 2^120 + 1: adding it times the lowest 64 bits clears them, and
 * again. */
VAES TF_INLINE __m512i reduce(product p)
{
    const __m512i polynomial = _mm512_broadcast_i32x4(from_halves(0xC200000000000000u, 0));
    __m512i middle = xor3(p.middle, p.low, p.high);
    __m512i low = _mm512_xor_si512(p.low, _mm512_bslli_epi128(middle, 8)), high = _mm512_xor_si512(p.high, _mm512_bsrli_epi128(middle, 8));
    low = _mm512_xor_si512(_mm512_shuffle_epi32(low, (_MM_PERM_ENUM)0x4E), _mm512_clmulepi64_epi128(low, polynomial, 0x00));
    return xor3(high, _mm512_shuffle_epi32(low, (_MM_PERM_ENUM)0x4E), _mm512_clmulepi64_epi128(low, polynomial, 0x00));
}

VAES TF_INLINE __m128i multiply_by_h(const gcm_state *s, __m128i x)
{
    product p = no_product();
    multiply_add_same(&p, s, in_lane_0(x), 1);
    return _mm512_castsi512_si128(reduce(p));
}

/* The additional data but for one multiplication by H, which its last block shares with the text behind it. */
VAES TF_INLINE __m128i ghash_aad(const gcm_state *s, const uint8_t *aad, size_t len)
{
    __m128i acc = _mm_setzero_si128();
    for (; len > 16; aad += 16, len -= 16)
        acc = multiply_by_h(s, _mm_xor_si128(acc, reverse_bytes(load(aad))));
    return len > 0 ? _mm_xor_si128(acc, reverse_bytes(load_aad(aad, len))) : acc;
}

/* acc with the batch at p added. */
VAES TF_INLINE __m512i ghash_batch(const gcm_state *s, __m512i acc, const uint8_t *p)
{
    product sum = no_product();
    UNROLL for (size_t i = BATCH - 1; i-- > 0;) multiply_add_same(&sum, s, reverse_bytes4(load4(p + VECTOR * i)), 4 * (BATCH - 1 - i));
    multiply_add_same(&sum, s, acc, 4 * BATCH);
    return _mm512_xor_si512(reduce(sum), reverse_bytes4(load4(p + VECTOR * (BATCH - 1))));
}

VAES TF_INLINE void keep_power(gcm_state *s, int n, __m128i h)
{
    s->powers[HIGHEST - n] = h;
    s->sums[HIGHEST - n] = _mm_xor_si128(h, _mm_shuffle_epi32(h, 0x4E));
}

VAES static void set_key(tf_aead_key *key, const uint8_t *bytes, size_t len)
{
    gcm_state *s = state_of(key);
    s->rounds = expand_key(s->round_keys, bytes, len);
    memset(s->powers, 0, sizeof s->powers);
    memset(s->sums, 0, sizeof s->sums);
    keep_power(s, 1, hash_key(s->round_keys, s->rounds));
    for (int n = 2; n <= 4; n++)
        keep_power(s, n, multiply_by_h(s, s->powers[HIGHEST - n + 1]));
    for (int n = 8; n < HIGHEST; n += 4) { /* H^n .. H^(n-3) from the four below */
        product p = no_product();
        multiply_add_same(&p, s, load4(&s->powers[HIGHEST - n + 4]), 4);
        __m512i powers = reduce(p);
        _mm512_storeu_si512(&s->powers[HIGHEST - n], powers);
        _mm512_storeu_si512(&s->sums[HIGHEST - n], halves_added(powers));
    }
    keep_power(s, HIGHEST, multiply_by_h(s, s->powers[1]));
    clear_registers();
}

/* ---- GCM ---- */

/* Encrypts or decrypts the 32 blocks at in. Between the rounds, if hashing, the batch of ciphertext at hashed goes into the hash: when sealing the
 * one before, when opening this one. rounds and hashing are constants wherever this is expanded. */
VAES TF_INLINE __m512i crypt_batch(const gcm_state *s, int rounds, int hashing, __m512i acc, __m512i *counter, uint8_t *out, const uint8_t *in,
                                   const uint8_t *hashed)
{
    RELOAD;
    __m512i lane[BATCH], key = broadcast(&s->round_keys[0]);
    product sum = no_product();
    UNROLL for (int i = 0; i < BATCH; i++) lane[i] = next_counters(counter, key);
    UNROLL for (int round = 1; round < rounds; round++)
    {
        key = broadcast(&s->round_keys[round]);
        UNROLL for (int i = 0; i < BATCH / 2; i++) lane[i] = _mm512_aesenc_epi128(lane[i], key);
        if (hashing && round <= BATCH) { /* from the last vector but one to the first, and then acc, the late comer */
            __m512i x = round < BATCH ? reverse_bytes4(load4(hashed + VECTOR * (BATCH - 1 - round))) : acc;
            multiply_add_same(&sum, s, x, (size_t)(4 * round));
        }
        UNROLL for (int i = BATCH / 2; i < BATCH; i++) lane[i] = _mm512_aesenc_epi128(lane[i], key);
    }
    if (hashing)
        acc = _mm512_xor_si512(reduce(sum), reverse_bytes4(load4(hashed + VECTOR * (BATCH - 1))));
    key = broadcast(&s->round_keys[rounds]);
    UNROLL for (int i = 0; i < BATCH; i++) /* the text is added to the last round key */
        lane[i] = _mm512_aesenclast_epi128(lane[i], _mm512_xor_si512(key, load4(in + VECTOR * i)));
    UNROLL for (int i = 0; i < BATCH; i++) _mm512_storeu_si512(out + VECTOR * i, lane[i]);
    return acc;
}

/* What is left of a text that a batch has no more room for. */
typedef struct {
    __m512i counter;
    product sum;
    size_t n; /* the power of H for the next block */
    uint8_t *out;
    const uint8_t *in;
} tail;

/* The next count vectors of the tail. */
VAES TF_INLINE void crypt_vectors(const gcm_state *s, int rounds, int sealing, tail *t, int count)
{
    __m512i lane[4], key = broadcast(&s->round_keys[0]);
    UNROLL for (int i = 0; i < count; i++) lane[i] = next_counters(&t->counter, key);
    UNROLL for (int round = 1; round < rounds; round++)
    {
        key = broadcast(&s->round_keys[round]);
        UNROLL for (int i = 0; i < count; i++) lane[i] = _mm512_aesenc_epi128(lane[i], key);
    }
    key = broadcast(&s->round_keys[rounds]);
    UNROLL for (int i = 0; i < count; i++)
    {
        __m512i x = load4(t->in + VECTOR * i), y = _mm512_aesenclast_epi128(lane[i], _mm512_xor_si512(key, x));
        _mm512_storeu_si512(t->out + VECTOR * i, y);
        multiply_add_falling(&t->sum, s, reverse_bytes4(sealing ? y : x), t->n - 4 * (size_t)i);
    }
    t->n -= 4 * (size_t)count;
    t->in += VECTOR * count;
    t->out += VECTOR * count;
}

/* The last len < 64 bytes and the trailer, if it is not negative; ciphertext with zeros behind, and keystream is the block's. */
VAES TF_INLINE __m512i crypt_last(int sealing, __m512i keystream, uint8_t *out, const uint8_t *in, size_t len, int trailer)
{
    __m512i x = _mm512_maskz_loadu_epi8(first_bytes(len), in);
    size_t total = len;
    if (sealing && trailer >= 0) {
        x = _mm512_mask_set1_epi8(x, (__mmask64)1 << len, (char)trailer);
        total++;
    }
    __m512i y = _mm512_maskz_mov_epi8(first_bytes(total), _mm512_xor_si512(x, keystream));
    _mm512_mask_storeu_epi8(out, first_bytes(total), y);
    return sealing ? y : x;
}

/* Up to 48 bytes, trailer included: one vector has room for them and for the block that masks the tag. */
VAES TF_INLINE __m128i crypt_short(const gcm_state *s, int rounds, int sealing, __m128i zero_counter, __m128i aad, __m128i lengths, uint8_t *out,
                                   const uint8_t *in, size_t len, int trailer)
{
    __m512i lane = _mm512_xor_si512(counter_blocks(counters(zero_counter, 2, 3, 4, 1)), broadcast(&s->round_keys[0]));
    UNROLL for (int round = 1; round < rounds; round++) lane = _mm512_aesenc_epi128(lane, broadcast(&s->round_keys[round]));
    lane = _mm512_aesenclast_epi128(lane, broadcast(&s->round_keys[rounds]));

    __m512i text = reverse_bytes4(crypt_last(sealing, lane, out, in, len, trailer));
    size_t n = (len + (trailer >= 0) + 15) / 16 + 2; /* for the additional data, which is in the last lane: the powers turn with it */
    __m512i powers = load4(&s->powers[HIGHEST - n]), sums = load4(&s->sums[HIGHEST - n]);
    product sum = no_product();
    multiply_add_falling(&sum, s, in_lane_0(lengths), 1);
    multiply_add(&sum, _mm512_inserti32x4(text, aad, 3), _mm512_alignr_epi64(powers, powers, 2), _mm512_alignr_epi64(sums, sums, 2));
    return _mm_xor_si128(reverse_bytes(fold(reduce(sum))), _mm512_extracti32x4_epi32(lane, 3));
}

/* What remains of a longer text, len < 512 bytes and the trailer; the tag's mask is made beside the last of it. */
VAES TF_INLINE __m128i crypt_tail(const gcm_state *s, int rounds, int sealing, __m128i zero_counter, __m512i counter, __m512i acc, __m128i lengths,
                                  uint8_t *out, const uint8_t *in, size_t len, int trailer)
{
    tail t = {counter, no_product(), (len + (trailer >= 0) + 15) / 16 + 1, out, in};
    size_t n = t.n;
    if (len & 4 * VECTOR)
        crypt_vectors(s, rounds, sealing, &t, 4);
    if (len & 2 * VECTOR)
        crypt_vectors(s, rounds, sealing, &t, 2);
    if (len & VECTOR)
        crypt_vectors(s, rounds, sealing, &t, 1);

    __m512i key = broadcast(&s->round_keys[0]), last = next_counters(&t.counter, key);
    __m512i mask = _mm512_xor_si512(counter_blocks(counters(zero_counter, 1, 1, 1, 1)), key);
    UNROLL for (int round = 1; round < rounds; round++)
    {
        key = broadcast(&s->round_keys[round]);
        last = _mm512_aesenc_epi128(last, key);
        mask = _mm512_aesenc_epi128(mask, key);
    }
    key = broadcast(&s->round_keys[rounds]);
    last = _mm512_aesenclast_epi128(last, key);
    mask = _mm512_aesenclast_epi128(mask, key);
    multiply_add_falling(&t.sum, s, reverse_bytes4(crypt_last(sealing, last, t.out, t.in, len % VECTOR, trailer)), t.n);
    multiply_add_falling(&t.sum, s, in_lane_0(lengths), 1);
    multiply_add_falling(&t.sum, s, acc, n + 4);
    return _mm_xor_si128(reverse_bytes(fold(reduce(t.sum))), _mm512_castsi512_si128(mask));
}

/* Both directions for one key length; the tag of in (opening) or out (sealing). */
VAES TF_INLINE __m128i crypt(const gcm_state *s, int rounds, int sealing, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                             const uint8_t *in, size_t len, int trailer)
{
    enum { WHOLE = BATCH * VECTOR };
    size_t total = len + (trailer >= 0);
    __m128i zero_counter = first_counter(nonce, 0), hashed_aad = ghash_aad(s, aad, aad_len);
    __m128i lengths = from_halves((uint64_t)total * 8, (uint64_t)aad_len * 8);
    if (total <= SHORT)
        return crypt_short(s, rounds, sealing, zero_counter, hashed_aad, lengths, out, in, len, trailer);

    __m512i counter = counters(zero_counter, 2, 3, 4, 5), acc = _mm512_inserti32x4(_mm512_setzero_si512(), hashed_aad, 3);
    if (sealing && len >= WHOLE) {
        crypt_batch(s, rounds, 0, acc, &counter, out, in, in);
        for (len -= WHOLE, in += WHOLE, out += WHOLE; len >= WHOLE; len -= WHOLE, in += WHOLE, out += WHOLE)
            acc = crypt_batch(s, rounds, 1, acc, &counter, out, in, out - WHOLE);
        acc = ghash_batch(s, acc, out - WHOLE);
    }
    if (!sealing)
        for (; len >= WHOLE; len -= WHOLE, in += WHOLE, out += WHOLE)
            acc = crypt_batch(s, rounds, 1, acc, &counter, out, in, in);
    return crypt_tail(s, rounds, sealing, zero_counter, counter, acc, lengths, out, in, len, trailer);
}

VAES static void seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                      int trailer)
{
    const gcm_state *s = state_of(key);
    __m128i tag = s->rounds == 10 ? crypt(s, 10, 1, out, nonce, aad, aad_len, in, len, trailer)
                                  : crypt(s, MAX_ROUNDS, 1, out, nonce, aad, aad_len, in, len, trailer);
    store(out + len + (trailer >= 0), tag);
    clear_registers();
}

VAES TF_NOINLINE static void decrypt(const gcm_state *s, uint8_t *out, uint8_t tag[TF_TAG], const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                                     const uint8_t *in, size_t len)
{
    store(tag,
          s->rounds == 10 ? crypt(s, 10, 0, out, nonce, aad, aad_len, in, len, -1) : crypt(s, MAX_ROUNDS, 0, out, nonce, aad, aad_len, in, len, -1));
    clear_registers();
}

/* Outside of the kernel, which has so no way from its vector registers to a flag or an address: run_ct.sh looks for one. */
static int open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                const uint8_t *tag)
{
    uint8_t computed[TF_TAG];
    decrypt(state_of(key), out, computed, nonce, aad, aad_len, in, len);
    int verdict = tf_aead_verdict(out, len, computed, tag);
    tf_wipe(computed, sizeof computed); /* of a forgery it would be the right tag */
    return verdict;
}

const tf_aead_impl tf_aes_gcm_vaes512 = {"aes_gcm_vaes512", TF_CPU_AESNI | TF_CPU_VAES | TF_CPU_AVX512 | TF_CPU_ZMM, set_key, seal, open};

#else
typedef int tf_aes_gcm_vaes512_needs_x86_64; /* ISO C wants a declaration in every file */
#endif
