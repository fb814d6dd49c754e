/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF (RFC 5869), HKDF-Expand-Label and what TLS 1.3 makes with it outside the key schedule (RFC 8446, 7.1), TLS 1.2's PRF: over hmac.c, beneath
 * schedule.c and the handles of tlsfast_api.h. All results are computed before the first output is written, so that outputs may be inputs. */
#include "internal.h"

/* "An unset key": an empty secret is a mistake of the caller, never the key of zeros. */
static int is_unset(const tf_secret *secret)
{
    return secret->len == 0;
}

/* ---- HKDF ---- */

static const uint8_t zeros[TF_HASH_MAX];

/* RFC 5869, 2.2: PRK = HMAC-Hash(salt, IKM). */
static void extract(int hash, uint8_t *prk, const uint8_t *salt, size_t salt_len, const tf_secret *ikm)
{
    tf_hmac_once(hash, prk, salt, salt_len, ikm ? ikm->bytes : zeros, ikm ? ikm->len : tf_hash_length(hash));
}

/* RFC 5869, 2.3: T(i) = HMAC-Hash(PRK, T(i-1) | info | i); the output is the first len bytes of T(1) | T(2) | ...; len <= 255 * the hash's length. */
static void expand(const tf_hmac_key *prk, uint8_t *out, size_t len, const uint8_t *info, size_t info_len)
{
    size_t length = tf_hash_length(prk->hash), t_len = 0;
    uint8_t t[TF_HASH_MAX], i = 1;
    for (size_t done = 0; done < len; i++) {
        tf_hash inner;
        tf_hmac_start(prk, &inner);
        tf_hash_update(&inner, t, t_len);
        tf_hash_update(&inner, info, info_len);
        tf_hash_update(&inner, &i, 1);
        tf_hmac_finish(prk, &inner, t);
        t_len = length;
        size_t part = len - done < length ? len - done : length;
        memcpy(out + done, t, part);
        done += part;
    }
    tf_wipe(t, sizeof t);
}

int tf_hkdf_extract(int hash, tf_secret *prk, const tf_secret *salt, const tf_secret *ikm)
{
    uint8_t bytes[TF_HASH_MAX];
    size_t length = tf_hash_length(hash);
    if (length == 0 || (ikm != NULL && is_unset(ikm))) {
        tf_secret_wipe(prk);
        return TF_ERR_ARGUMENT;
    }
    extract(hash, bytes, salt ? salt->bytes : zeros, salt ? salt->len : length, ikm);
    tf_secret_set(prk, bytes, length);
    tf_wipe(bytes, sizeof bytes);
    return TF_OK;
}

int tf_hkdf_expand(int hash, tf_secret *out, size_t out_len, const tf_secret *prk, const uint8_t *info, size_t info_len)
{
    if (tf_hash_length(hash) == 0 || is_unset(prk) || out_len > TF_SECRET_MAX) {
        tf_secret_wipe(out);
        return TF_ERR_ARGUMENT;
    }
    tf_hmac_key key;
    uint8_t bytes[TF_SECRET_MAX];
    tf_hmac_set_key(&key, hash, prk->bytes, prk->len);
    expand(&key, bytes, out_len, info, info_len);
    tf_secret_set(out, bytes, out_len);
    tf_wipe(bytes, sizeof bytes);
    tf_wipe(&key, sizeof key);
    return TF_OK;
}

/* ---- RFC 8446, 7.1 ---- */

enum { LABEL_MAX = 249, CONTEXT_MAX = 255, INFO_MAX = 2 + 1 + 6 + LABEL_MAX + 1 + CONTEXT_MAX };

/* struct { uint16 length; opaque label<7..255> = "tls13 " + Label; opaque context<0..255>; } HkdfLabel, the info of HKDF-Expand; its length. */
static size_t hkdf_label(uint8_t *info, size_t out_len, const uint8_t *label, size_t label_len, const uint8_t *context, size_t context_len)
{
    uint8_t *p = info;
    *p++ = (uint8_t)(out_len >> 8);
    *p++ = (uint8_t)out_len;
    *p++ = (uint8_t)(6 + label_len);
    memcpy(p, "tls13 ", 6);
    memcpy(p + 6, label, label_len);
    p += 6 + label_len;
    *p++ = (uint8_t)context_len;
    if (context_len > 0)
        memcpy(p, context, context_len);
    return (size_t)(p - info) + context_len;
}

/* Of one hash's length the output is T(1) = HMAC(secret, info | 0x01), and the labels of RFC 8446 make that a short message. */
void tf_expand_label(const tf_hmac_key *secret, uint8_t *out, size_t len, const uint8_t *label, size_t label_len, const uint8_t *context,
                     size_t context_len)
{
    TF_ALIGNED(16) uint8_t info[INFO_MAX];
    size_t info_len = 10 + label_len + context_len;
    if (len > tf_hash_length(secret->hash) || !tf_hmac_is_short(secret->hash, info_len + 1)) {
        hkdf_label(info, len, label, label_len, context, context_len);
        expand(secret, out, len, info, info_len);
        tf_wipe(info, info_len); /* a ticket's nonce or an exporter's context may be the caller's secret */
        return;
    }
    memset(info, 0, TF_HASH_BLOCK_MAX);
    hkdf_label(info, len, label, label_len, context, context_len);
    info[info_len] = 1;
    tf_hmac_short(secret, info, info, info_len + 1);
    memcpy(out, info, len);
    tf_wipe(info, TF_HASH_BLOCK_MAX);
}

void tf_expand_label_two(const tf_expansion *a, const tf_expansion *b, const uint8_t *context)
{
    TF_ALIGNED(16) uint8_t block[2][TF_HASH_BLOCK_MAX] = {{0}, {0}};
    const tf_expansion *const each[2] = {a, b};
    const tf_hmac_key *const keys[2] = {a->secret, b->secret};
    uint8_t *const outs[2] = {block[0], block[1]};
    size_t lens[2], context_len = context != NULL ? tf_hash_length(a->secret->hash) : 0;
    for (int i = 0; i < 2; i++) {
        lens[i] = hkdf_label(block[i], each[i]->len, (const uint8_t *)each[i]->label, strlen(each[i]->label), context, context_len);
        block[i][lens[i]++] = 1;
    }
    tf_hmac_short_two(keys, outs, block, lens);
    memcpy(a->out, block[0], a->len);
    memcpy(b->out, block[1], b->len);
    tf_wipe(block, sizeof block);
}

int tf_hkdf_expand_label(int hash, tf_secret *out, size_t out_len, const tf_secret *secret, const uint8_t *label, size_t label_len,
                         const uint8_t *context, size_t context_len)
{
    if (tf_hash_length(hash) == 0 || is_unset(secret) || out_len > TF_SECRET_MAX || label_len == 0 || label_len > LABEL_MAX ||
        context_len > CONTEXT_MAX) {
        tf_secret_wipe(out);
        return TF_ERR_ARGUMENT;
    }
    tf_hmac_key key;
    tf_hmac_set_key(&key, hash, secret->bytes, secret->len);
    tf_expand_label(&key, out->bytes, out_len, label, label_len, context, context_len); /* secret, which out may be, is no longer needed */
    memset(out->bytes + out_len, 0, sizeof out->bytes - out_len);
    out->len = out_len;
    tf_wipe(&key, sizeof key);
    return TF_OK;
}

void tf_derive_secret(const tf_hmac_key *secret, uint8_t *out, const char *label, const uint8_t *transcript_hash)
{
    size_t length = tf_hash_length(secret->hash);
    tf_expand_label(secret, out, length, (const uint8_t *)label, strlen(label), transcript_hash, length);
}

/* FIPS 180-4: SHA-256 and SHA-384 of no bytes. */
const uint8_t *tf_empty_hash(int hash)
{
    static const uint8_t sha256[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
                                       0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
    static const uint8_t sha384[48] = {0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a,
                                       0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda,
                                       0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b};
    return hash == TF_SHA256 ? sha256 : sha384;
}

int tf_early_secret(int hash, tf_secret *early_secret, const tf_secret *psk)
{
    return tf_hkdf_extract(hash, early_secret, NULL, psk);
}

/* RFC 8446, 4.4.4: verify_data = HMAC(finished_key, transcript_hash). */
static void finished(const tf_hmac_key *base_key, uint8_t *out, const uint8_t *transcript_hash)
{
    uint8_t finished_key[TF_HASH_MAX];
    size_t length = tf_hash_length(base_key->hash);
    tf_expand_label(base_key, finished_key, length, (const uint8_t *)"finished", 8, NULL, 0);
    tf_hmac_once(base_key->hash, out, finished_key, length, transcript_hash, length);
    tf_wipe(finished_key, sizeof finished_key);
}

int tf_finished(int hash, uint8_t *out, const tf_secret *base_key, const uint8_t *transcript_hash)
{
    size_t length = tf_hash_length(hash);
    if (length == 0 || base_key->len != length) {
        if (length > 0)
            tf_wipe(out, length);
        return TF_ERR_ARGUMENT;
    }
    tf_hmac_key key;
    tf_hmac_set_key(&key, hash, base_key->bytes, length);
    finished(&key, out, transcript_hash);
    tf_wipe(&key, sizeof key);
    return TF_OK;
}

int tf_binder(int hash, uint8_t *out, const tf_secret *psk, const uint8_t *transcript_hash)
{
    size_t length = tf_hash_length(hash);
    if (length == 0 || hash == TF_SHA512 || is_unset(psk)) {
        if (length > 0)
            tf_wipe(out, length);
        return TF_ERR_ARGUMENT;
    }
    tf_hmac_key key;
    uint8_t secret[TF_HASH_MAX];
    extract(hash, secret, zeros, length, psk); /* Early Secret */
    tf_hmac_set_key(&key, hash, secret, length);
    tf_derive_secret(&key, secret, "res binder", tf_empty_hash(hash));
    tf_hmac_set_key(&key, hash, secret, length);
    finished(&key, out, transcript_hash);
    tf_wipe(&key, sizeof key);
    tf_wipe(secret, sizeof secret);
    return TF_OK;
}

/* ---- TLS 1.2: the PRF (RFC 5246, 5) and what is made with it ---- */

/* P_hash(secret, label | seed) = HMAC(secret, A(1) | label | seed) | HMAC(secret, A(2) | ...) ..., A(0) = label | seed, A(i) = HMAC(secret, A(i-1)).
 */
static void p_hash(const tf_hmac_key *k, uint8_t *out, size_t len, const uint8_t *label, size_t label_len, const uint8_t *seed, size_t seed_len)
{
    size_t length = tf_hash_length(k->hash);
    uint8_t a[TF_HASH_MAX], t[TF_HASH_MAX];
    tf_hash inner;
    tf_hmac_start(k, &inner);
    tf_hash_update(&inner, label, label_len);
    tf_hash_update(&inner, seed, seed_len);
    tf_hmac_finish(k, &inner, a);
    for (size_t done = 0; done < len;) {
        tf_hmac_start(k, &inner);
        tf_hash_update(&inner, a, length);
        tf_hash_update(&inner, label, label_len);
        tf_hash_update(&inner, seed, seed_len);
        tf_hmac_finish(k, &inner, t);
        size_t part = len - done < length ? len - done : length;
        memcpy(out + done, t, part);
        done += part;
        if (done < len) {
            tf_hmac_start(k, &inner);
            tf_hash_update(&inner, a, length);
            tf_hmac_finish(k, &inner, a);
        }
    }
    tf_wipe(a, sizeof a);
    tf_wipe(t, sizeof t);
}

static int prf12(int hash, uint8_t *out, size_t len, const tf_secret *secret, const uint8_t *label, size_t label_len, const uint8_t *seed,
                 size_t seed_len)
{
    tf_hmac_key k;
    if (hash != TF_SHA256 && hash != TF_SHA384)
        return TF_ERR_ARGUMENT;
    tf_hmac_set_key(&k, hash, secret->bytes, secret->len);
    p_hash(&k, out, len, label, label_len, seed, seed_len);
    tf_wipe(&k, sizeof k);
    return TF_OK;
}

int tf_prf12(int hash, tf_secret *out, size_t out_len, const tf_secret *secret, const uint8_t *label, size_t label_len, const uint8_t *seed,
             size_t seed_len)
{
    uint8_t bytes[TF_SECRET_MAX];
    int rc = is_unset(secret) || out_len == 0 || out_len > TF_SECRET_MAX ? TF_ERR_ARGUMENT : TF_OK;
    if (rc == TF_OK)
        rc = prf12(hash, bytes, out_len, secret, label, label_len, seed, seed_len);
    if (rc == TF_OK)
        tf_secret_set(out, bytes, out_len);
    else
        tf_secret_wipe(out);
    tf_wipe(bytes, sizeof bytes);
    return rc;
}

int tf_finished12(int hash, uint8_t *out, const tf_secret *master_secret, const uint8_t *label, size_t label_len, const uint8_t *transcript_hash)
{
    enum { VERIFY_DATA = 12 }; /* RFC 5246, 7.4.9 */
    int rc = is_unset(master_secret) ? TF_ERR_ARGUMENT : TF_OK;
    if (rc == TF_OK)
        rc = prf12(hash, out, VERIFY_DATA, master_secret, label, label_len, transcript_hash, tf_hash_length(hash));
    if (rc != TF_OK)
        memset(out, 0, VERIFY_DATA);
    return rc;
}

int tf_premaster_select(tf_secret *premaster, const uint8_t *decrypted, size_t len, int client_version, const tf_secret *random_premaster)
{
    enum { PREMASTER = 48 };
    uint8_t chosen[PREMASTER];
    if (random_premaster->len != PREMASTER) {
        tf_secret_wipe(premaster);
        return TF_ERR_ARGUMENT;
    }
    uint64_t wrong = (uint64_t)len ^ PREMASTER; /* the length says as much of the padding as the bytes: all 48 are read, whatever it is */
    memcpy(chosen, decrypted, PREMASTER);
    wrong |= (uint64_t)(chosen[0] ^ ((unsigned)client_version >> 8 & 0xff)) | (uint64_t)(chosen[1] ^ ((unsigned)client_version & 0xff));
    uint64_t use_random = tf_mask_nonzero(wrong);
    for (size_t i = 0; i < PREMASTER; i++)
        chosen[i] = (uint8_t)tf_select(use_random, random_premaster->bytes[i], chosen[i]);
    tf_secret_set(premaster, chosen, PREMASTER);
    tf_wipe(chosen, sizeof chosen);
    return TF_OK;
}
