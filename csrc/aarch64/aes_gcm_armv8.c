/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM (FIPS 197, NIST SP 800-38D) with the AES and PMULL instructions of ARMv8: eight blocks of AES side by side, and between their rounds GHASH
 * of eight blocks with one reduction. dispatch.c chooses it; aead.c checked the lengths.
 *
 * A block with the bits of each byte reversed (RBIT) is a 128-bit number with the coefficient of x^i at bit i, and PMULL is the product of such
 * halves: nothing has to be shifted. */
#include "../internal.h"

#if defined(TF_ARMV8)

#include <arm_neon.h>

#if defined(__clang__)
#define ARMV8 TF_TARGET("aes")
#else
#define ARMV8 TF_TARGET("+aes")
#endif
#define UNROLL _Pragma("GCC unroll 16")
/* Memory is read again after this: else the round keys are kept over a loop, which has no registers for them, on the stack. */
#define RELOAD __asm__ __volatile__("" : : : "memory")

enum { MAX_ROUNDS = 14, BATCH = 8, POWERS = BATCH + 2 };

typedef struct {
    uint8x16_t round_keys[MAX_ROUNDS + 1];
    uint8x16_t powers[POWERS]; /* powers[i] = H^(i+1) */
    uint8x16_t sums[POWERS];   /* the two halves of that, added: for Karatsuba */
    int rounds;
} gcm_state;

_Static_assert(sizeof(gcm_state) <= TF_AEAD_STATE, "TF_AEAD_STATE is too small");

static gcm_state *state_of(tf_aead_key *key)
{
    return (gcm_state *)(void *)key->state;
}

/* ---- Blocks ---- */

ARMV8 TF_INLINE uint8x16_t zeros(void)
{
    return vdupq_n_u8(0);
}

ARMV8 TF_INLINE uint8x16_t swap_halves(uint8x16_t x)
{
    return vextq_u8(x, x, 8);
}

/* n < 16 bytes and, if it is not negative, the trailer; zeros behind. */
ARMV8 TF_INLINE uint8x16_t load_partial(const uint8_t *p, size_t n, int trailer)
{
    uint8_t block[16] = {0};
    memcpy(block, p, n);
    if (trailer >= 0)
        block[n] = (uint8_t)trailer;
    uint8x16_t x = vld1q_u8(block);
    tf_wipe(block, sizeof block);
    return x;
}

/* Stores the first n < 16 bytes of x, and answers them with zeros behind. */
ARMV8 TF_INLINE uint8x16_t store_partial(uint8_t *p, uint8x16_t x, size_t n)
{
    uint8_t block[16];
    vst1q_u8(block, x);
    memset(block + n, 0, 16 - n);
    memcpy(p, block, n);
    x = vld1q_u8(block);
    tf_wipe(block, sizeof block);
    return x;
}

/* Round keys, powers of H and keystream would stay in the registers. */
TF_INLINE void clear_registers(void)
{
#define CLEAR(n) "movi v" #n ".4s, #0\n\t"
    __asm__ __volatile__(CLEAR(0) CLEAR(1) CLEAR(2) CLEAR(3) CLEAR(4) CLEAR(5) CLEAR(6) CLEAR(7) CLEAR(8) CLEAR(9) CLEAR(10) CLEAR(11) CLEAR(12)
                             CLEAR(13) CLEAR(14) CLEAR(15) CLEAR(16) CLEAR(17) CLEAR(18) CLEAR(19) CLEAR(20) CLEAR(21) CLEAR(22) CLEAR(23) CLEAR(24)
                                 CLEAR(25) CLEAR(26) CLEAR(27) CLEAR(28) CLEAR(29) CLEAR(30) CLEAR(31)
                         :
                         :
                         : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18",
                           "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
#undef CLEAR
}

/* ---- AES ---- */

/* All of a round but the last: AddRoundKey, SubBytes, ShiftRows, MixColumns. One statement, because processors fuse the two where they stand
 * together. */
ARMV8 TF_INLINE uint8x16_t aes_round(uint8x16_t x, uint8x16_t key)
{
    __asm__("aese %0.16b, %1.16b\n\taesmc %0.16b, %0.16b" : "+w"(x) : "w"(key));
    return x;
}

/* Without MixColumns; the last round key and the text are added behind it. */
ARMV8 TF_INLINE uint8x16_t aes_last_round(uint8x16_t x, uint8x16_t key)
{
    __asm__("aese %0.16b, %1.16b" : "+w"(x) : "w"(key));
    return x;
}

/* SubWord: of four equal columns, which ShiftRows does not change. */
ARMV8 TF_INLINE uint32_t sub_word(uint32_t x)
{
    return vgetq_lane_u32(vreinterpretq_u32_u8(aes_last_round(vreinterpretq_u8_u32(vdupq_n_u32(x)), zeros())), 0);
}

/* FIPS 197, 5.2; answers the number of rounds. Words are little-endian, so RotWord turns right and the round constant goes to the low byte. */
ARMV8 static int expand_key(uint8x16_t round_keys[MAX_ROUNDS + 1], const uint8_t *bytes, size_t len)
{
    uint32_t w[4 * (MAX_ROUNDS + 1)], rcon = 1;
    size_t nk = len / 4, count = 4 * (nk + 7);
    for (size_t i = 0; i < nk; i++)
        w[i] = tf_load32le(bytes + 4 * i);
    for (size_t i = nk; i < count; i++) {
        uint32_t t = w[i - 1];
        if (i % nk == 0) {
            t = sub_word(t >> 8 | t << 24) ^ rcon;
            rcon = rcon << 1 ^ (rcon >> 7) * 0x11B;
        } else if (nk == 8 && i % nk == 4) {
            t = sub_word(t);
        }
        w[i] = w[i - nk] ^ t;
    }
    for (size_t i = 0; i < count / 4; i++)
        round_keys[i] = vreinterpretq_u8_u32(vld1q_u32(w + 4 * i));
    tf_wipe(w, sizeof w);
    return (int)nk + 6;
}

/* The counter block whose number stands in the last word in the processor's byte order. */
ARMV8 TF_INLINE uint8x16_t counter_block(uint32x4_t counter)
{
    static const uint8_t order[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12};
    return vqtbl1q_u8(vreinterpretq_u8_u32(counter), vld1q_u8(order));
}

/* The nonce is read as protection.c wrote it: 4 and 8 bytes. */
ARMV8 TF_INLINE uint32x4_t first_counter(const uint8_t *nonce, uint32_t counter)
{
    uint64_t last = tf_load64le(nonce + 4);
    return vreinterpretq_u32_u64(vcombine_u64(vcreate_u64(tf_load32le(nonce) | last << 32), vcreate_u64(last >> 32 | (uint64_t)counter << 32)));
}

ARMV8 TF_INLINE uint32x4_t one(void)
{
    return vsetq_lane_u32(1, vdupq_n_u32(0), 3);
}

/* ---- GHASH ---- */

typedef struct {
    uint8x16_t low, middle, high; /* of a sum of products; middle without what Karatsuba takes off */
} product;

ARMV8 TF_INLINE product no_product(void)
{
    product p = {zeros(), zeros(), zeros()};
    return p;
}

/* Of the low halves, and of the high ones. In assembly: the intrinsics take halves as numbers, which compilers then move through general registers.
 */
ARMV8 TF_INLINE uint8x16_t multiply_low(uint8x16_t a, uint8x16_t b)
{
    uint8x16_t r;
    __asm__("pmull %0.1q, %1.1d, %2.1d" : "=w"(r) : "w"(a), "w"(b));
    return r;
}

ARMV8 TF_INLINE uint8x16_t multiply_high(uint8x16_t a, uint8x16_t b)
{
    uint8x16_t r;
    __asm__("pmull2 %0.1q, %1.2d, %2.2d" : "=w"(r) : "w"(a), "w"(b));
    return r;
}

/* p += x H^n. */
ARMV8 TF_INLINE void multiply_add(product *p, const gcm_state *s, uint8x16_t x, size_t n)
{
    p->low = veorq_u8(p->low, multiply_low(x, s->powers[n - 1]));
    p->high = veorq_u8(p->high, multiply_high(x, s->powers[n - 1]));
    p->middle = veorq_u8(p->middle, multiply_low(veorq_u8(x, swap_halves(x)), s->sums[n - 1]));
}

/* Modulo x^128 + x^7 + x^2 + x + 1: the 64 bits at x^192 come back times 0x87 at x^64, up to 7 bits over; then those at x^128, with these, at x^0. */
ARMV8 TF_INLINE uint8x16_t reduce(product p)
{
    const uint8x16_t polynomial = vreinterpretq_u8_u64(vdupq_n_u64(0x87));
    uint8x16_t middle = veorq_u8(p.middle, veorq_u8(p.low, p.high));
    uint8x16_t low = veorq_u8(p.low, vextq_u8(zeros(), middle, 8)), high = veorq_u8(p.high, vextq_u8(middle, zeros(), 8));
    uint8x16_t top = multiply_high(high, polynomial);
    low = veorq_u8(low, vextq_u8(zeros(), top, 8));
    high = veorq_u8(high, vextq_u8(top, zeros(), 8));
    return veorq_u8(low, multiply_low(high, polynomial));
}

ARMV8 TF_INLINE uint8x16_t multiply_by_h(const gcm_state *s, uint8x16_t x)
{
    product p = no_product();
    multiply_add(&p, s, x, 1);
    return reduce(p);
}

/* The additional data but for one multiplication by H, which its last block shares with the text behind it. */
ARMV8 TF_INLINE uint8x16_t ghash_aad(const gcm_state *s, const uint8_t *aad, size_t len)
{
    uint8x16_t acc = zeros();
    for (; len > 16; aad += 16, len -= 16)
        acc = multiply_by_h(s, veorq_u8(acc, vrbitq_u8(vld1q_u8(aad))));
    if (len == 0)
        return acc;
    return veorq_u8(acc, vrbitq_u8(len == 16 ? vld1q_u8(aad) : load_partial(aad, len, -1)));
}

/* acc H^8 + x0 H^7 + ... + x6 H + x7, of the eight blocks at p. */
ARMV8 TF_INLINE uint8x16_t ghash_batch(const gcm_state *s, uint8x16_t acc, const uint8_t *p)
{
    product sum = no_product();
    UNROLL for (size_t i = BATCH - 1; i-- > 0;) multiply_add(&sum, s, vrbitq_u8(vld1q_u8(p + 16 * i)), BATCH - 1 - i);
    multiply_add(&sum, s, acc, BATCH);
    return veorq_u8(reduce(sum), vrbitq_u8(vld1q_u8(p + 16 * (BATCH - 1))));
}

ARMV8 TF_NOINLINE static void prepare(gcm_state *s, const uint8_t *bytes, size_t len)
{
    s->rounds = expand_key(s->round_keys, bytes, len);
    uint8x16_t h = zeros();
    for (int round = 0; round < s->rounds - 1; round++)
        h = aes_round(h, s->round_keys[round]);
    h = vrbitq_u8(veorq_u8(aes_last_round(h, s->round_keys[s->rounds - 1]), s->round_keys[s->rounds]));
    for (size_t i = 0; i < POWERS; i++) {
        if (i > 0)
            h = multiply_by_h(s, h);
        s->powers[i] = h;
        s->sums[i] = veorq_u8(h, swap_halves(h));
    }
    clear_registers();
}

static void set_key(tf_aead_key *key, const uint8_t *bytes, size_t len)
{
    prepare(state_of(key), bytes, len);
}

/* ---- GCM ---- */

/* Encrypts or decrypts the eight blocks at in. Between the rounds the eight blocks of ciphertext at hashed, if any, go into the hash: when sealing
 * those of the batch before, when opening this one's. rounds is a constant wherever this is expanded. */
ARMV8 TF_INLINE uint8x16_t crypt_batch(const gcm_state *s, int rounds, uint8x16_t acc, uint32x4_t *counter, uint8_t *out, const uint8_t *in,
                                       const uint8_t *hashed)
{
    RELOAD;
    uint8x16_t lane[BATCH], key;
    product sum = no_product();
    UNROLL for (int i = 0; i < BATCH; i++)
    {
        lane[i] = counter_block(*counter);
        *counter = vaddq_u32(*counter, one());
    }
    UNROLL for (int round = 0; round < rounds - 1; round++)
    {
        key = s->round_keys[round];
        UNROLL for (int i = 0; i < BATCH / 2; i++) lane[i] = aes_round(lane[i], key);
        if (hashed != NULL && round < BATCH) /* from the last block but one to the first, and then acc, the late comer */
            multiply_add(&sum, s, round < BATCH - 1 ? vrbitq_u8(vld1q_u8(hashed + 16 * (BATCH - 2 - round))) : acc, (size_t)round + 1);
        UNROLL for (int i = BATCH / 2; i < BATCH; i++) lane[i] = aes_round(lane[i], key);
    }
    if (hashed != NULL)
        acc = veorq_u8(reduce(sum), vrbitq_u8(vld1q_u8(hashed + 16 * (BATCH - 1))));
    key = s->round_keys[rounds - 1];
    UNROLL for (int i = 0; i < BATCH; i++) lane[i] = veorq_u8(aes_last_round(lane[i], key), s->round_keys[rounds]);
    UNROLL for (int i = 0; i < BATCH; i++) vst1q_u8(out + 16 * i, veorq_u8(lane[i], vld1q_u8(in + 16 * i)));
    return acc;
}

/* What remains, len <= 128 bytes (the trailer counted), with the length block and the mask of the tag: answers the tag. */
ARMV8 TF_INLINE uint8x16_t crypt_tail(const gcm_state *s, int rounds, int sealing, uint8x16_t acc, uint32x4_t counter, uint8x16_t lengths,
                                      uint8_t *out, const uint8_t *in, size_t len, int trailer)
{
    RELOAD;
    uint8x16_t lane[BATCH + 1], key;
    lane[BATCH] = counter_block(vsetq_lane_u32(1, counter, 3)); /* counter 1 masks the tag */
    UNROLL for (int i = 0; i < BATCH; i++)
    {
        lane[i] = counter_block(counter);
        counter = vaddq_u32(counter, one());
    }
    UNROLL for (int round = 0; round < rounds - 1; round++)
    {
        key = s->round_keys[round];
        UNROLL for (int i = 0; i <= BATCH; i++) lane[i] = aes_round(lane[i], key);
    }
    key = s->round_keys[rounds - 1];
    UNROLL for (int i = 0; i <= BATCH; i++) lane[i] = veorq_u8(aes_last_round(lane[i], key), s->round_keys[rounds]);

    product sum = no_product();
    size_t n = (len + 15) / 16 + 2, plain = len - (sealing && trailer >= 0);
    multiply_add(&sum, s, acc, n);
    for (size_t i = 0; 16 * i < len; i++) {
        size_t at = 16 * i, whole = len - at >= 16;
        uint8x16_t x = plain - at >= 16 ? vld1q_u8(in + at) : load_partial(in + at, plain - at, sealing ? trailer : -1);
        uint8x16_t y = veorq_u8(x, lane[i]);
        if (whole)
            vst1q_u8(out + at, y);
        else
            y = store_partial(out + at, y, len - at);
        multiply_add(&sum, s, vrbitq_u8(sealing ? y : x), --n);
    }
    multiply_add(&sum, s, lengths, 1);
    uint8x16_t tag = veorq_u8(vrbitq_u8(reduce(sum)), lane[BATCH]);
    tf_wipe(lane, sizeof lane);
    return tag;
}

/* The length block, as GHASH reads it. */
ARMV8 TF_INLINE uint8x16_t length_block(size_t aad_len, size_t len)
{
    uint64x2_t bits = vcombine_u64(vcreate_u64((uint64_t)aad_len * 8), vcreate_u64((uint64_t)len * 8));
    return vrbitq_u8(vrev64q_u8(vreinterpretq_u8_u64(bits)));
}

/* Both directions for one key length; the tag of in (opening) or out (sealing). */
ARMV8 TF_INLINE uint8x16_t crypt(const gcm_state *s, int rounds, int sealing, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                                 const uint8_t *in, size_t len, int trailer)
{
    enum { WHOLE = 16 * BATCH };
    uint32x4_t counter = first_counter(nonce, 2);
    uint8x16_t acc = ghash_aad(s, aad, aad_len);
    size_t total = len + (trailer >= 0), done = 0;
    if (sealing && len >= WHOLE) {
        crypt_batch(s, rounds, acc, &counter, out, in, NULL);
        for (done = WHOLE; len - done >= WHOLE; done += WHOLE)
            acc = crypt_batch(s, rounds, acc, &counter, out + done, in + done, out + done - WHOLE);
        acc = ghash_batch(s, acc, out + done - WHOLE);
    }
    if (!sealing)
        for (; len - done >= WHOLE; done += WHOLE)
            acc = crypt_batch(s, rounds, acc, &counter, out + done, in + done, in + done);
    if (done > 0) {
        out += done;
        in += done;
    }
    return crypt_tail(s, rounds, sealing, acc, counter, length_block(aad_len, total), out, in, total - done, trailer);
}

ARMV8 static void seal(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                       int trailer)
{
    const gcm_state *s = state_of(key);
    uint8x16_t tag = s->rounds == 10 ? crypt(s, 10, 1, out, nonce, aad, aad_len, in, len, trailer)
                                     : crypt(s, MAX_ROUNDS, 1, out, nonce, aad, aad_len, in, len, trailer);
    vst1q_u8(out + len + (trailer >= 0), tag);
    clear_registers();
}

ARMV8 TF_NOINLINE static void decrypt(const gcm_state *s, uint8_t *out, uint8_t tag[TF_TAG], const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
                                      const uint8_t *in, size_t len)
{
    vst1q_u8(tag, s->rounds == 10 ? crypt(s, 10, 0, out, nonce, aad, aad_len, in, len, -1)
                                  : crypt(s, MAX_ROUNDS, 0, out, nonce, aad, aad_len, in, len, -1));
    clear_registers();
}

static int open(tf_aead_key *key, uint8_t *out, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                const uint8_t *tag)
{
    uint8_t computed[TF_TAG];
    decrypt(state_of(key), out, computed, nonce, aad, aad_len, in, len);
    int verdict = tf_aead_verdict(out, len, computed, tag);
    tf_wipe(computed, sizeof computed); /* of a forgery it would be the right tag */
    return verdict;
}

const tf_aead_impl tf_aes_gcm_armv8 = {"aes_gcm_armv8", TF_CPU_ARM_AES, set_key, seal, open};

#else
typedef int tf_aes_gcm_armv8_needs_aarch64; /* ISO C wants a declaration in every file */
#endif
