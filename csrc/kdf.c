/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC (RFC 2104), HKDF (RFC 5869) and the TLS 1.3 key schedule (RFC 8446, 7.1) over hash.c: from the shared secret to every traffic secret. All
 * results are computed before the first output is written, so that outputs may be inputs. */
#include "internal.h"

/* "An unset key": an empty secret is a mistake of the caller, never the key of zeros. */
static int is_unset(const tf_secret *secret)
{
    return secret->len == 0;
}

/* ---- HMAC ---- */

/* The hash states after K ^ ipad and after K ^ opad: a key once prepared serves any number of messages. */
typedef struct {
    tf_hash inner, outer;
} hmac_key;

static void hmac_set_key(hmac_key *k, int hash, const uint8_t *key, size_t len)
{
    uint8_t pad[128] = {0};
    size_t block = tf_hash_block(hash);
    if (len > block)
        tf_hash_once(hash, pad, key, len);
    else if (len > 0)
        memcpy(pad, key, len);
    for (size_t i = 0; i < block; i++)
        pad[i] ^= 0x36;
    tf_hash_start(&k->inner, hash);
    tf_hash_update(&k->inner, pad, block);
    for (size_t i = 0; i < block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    tf_hash_start(&k->outer, hash);
    tf_hash_update(&k->outer, pad, block);
    tf_wipe(pad, sizeof pad);
}

/* out = H(K ^ opad, H(K ^ ipad, message)), where inner, a copy of k->inner, has been given the message; wipes it. out may be part of the message. */
static void hmac_finish(const hmac_key *k, tf_hash *inner, uint8_t *out)
{
    uint8_t digest[TF_HASH_MAX];
    tf_hash outer = k->outer;
    tf_hash_finish(inner, digest);
    tf_hash_update(&outer, digest, tf_hash_length(outer.hash));
    tf_hash_finish(&outer, out);
    tf_wipe(digest, sizeof digest);
}

/* out = HMAC(key, in), to TF_HASH_MAX bytes of which the hash's length are used; out may be key or in. */
static void hmac(int hash, uint8_t *out, const uint8_t *key, size_t key_len, const uint8_t *in, size_t len)
{
    hmac_key k;
    hmac_set_key(&k, hash, key, key_len);
    tf_hash inner = k.inner;
    tf_hash_update(&inner, in, len);
    hmac_finish(&k, &inner, out);
    tf_wipe(&k, sizeof k);
}

int tf_hmac(int hash, uint8_t *out, const uint8_t *key, size_t key_len, const uint8_t *in, size_t len)
{
    if (tf_hash_length(hash) == 0)
        return TF_ERR_ARGUMENT;
    hmac(hash, out, key, key_len, in, len);
    return TF_OK;
}

/* ---- HKDF ---- */

static const uint8_t zeros[TF_HASH_MAX];

/* RFC 5869, 2.2: PRK = HMAC-Hash(salt, IKM). */
static void extract(int hash, uint8_t *prk, const uint8_t *salt, size_t salt_len, const tf_secret *ikm)
{
    hmac(hash, prk, salt, salt_len, ikm ? ikm->bytes : zeros, ikm ? ikm->len : tf_hash_length(hash));
}

/* RFC 5869, 2.3: T(i) = HMAC-Hash(PRK, T(i-1) | info | i); the output is the first len bytes of T(1) | T(2) | ...; len <= 255 * the hash's length. */
static void expand(const hmac_key *prk, uint8_t *out, size_t len, const uint8_t *info, size_t info_len)
{
    size_t length = tf_hash_length(prk->inner.hash), t_len = 0;
    uint8_t t[TF_HASH_MAX], i = 1;
    for (size_t done = 0; done < len; i++) {
        tf_hash inner = prk->inner;
        tf_hash_update(&inner, t, t_len);
        tf_hash_update(&inner, info, info_len);
        tf_hash_update(&inner, &i, 1);
        hmac_finish(prk, &inner, t);
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
    hmac_key key;
    uint8_t bytes[TF_SECRET_MAX];
    hmac_set_key(&key, hash, prk->bytes, prk->len);
    expand(&key, bytes, out_len, info, info_len);
    tf_secret_set(out, bytes, out_len);
    tf_wipe(bytes, sizeof bytes);
    tf_wipe(&key, sizeof key);
    return TF_OK;
}

/* ---- RFC 8446, 7.1 ---- */

enum { LABEL_MAX = 249, CONTEXT_MAX = 255 };

/* struct { uint16 length; opaque label<7..255> = "tls13 " + Label; opaque context<0..255>; } HkdfLabel, the info of HKDF-Expand. */
static void expand_label(const hmac_key *secret, uint8_t *out, size_t out_len, const uint8_t *label, size_t label_len, const uint8_t *context,
                         size_t context_len)
{
    uint8_t info[2 + 1 + 6 + LABEL_MAX + 1 + CONTEXT_MAX], *p = info;
    *p++ = (uint8_t)(out_len >> 8);
    *p++ = (uint8_t)out_len;
    *p++ = (uint8_t)(6 + label_len);
    memcpy(p, "tls13 ", 6);
    memcpy(p + 6, label, label_len);
    p += 6 + label_len;
    *p++ = (uint8_t)context_len;
    if (context_len > 0)
        memcpy(p, context, context_len);
    expand(secret, out, out_len, info, (size_t)(p - info) + context_len);
    tf_wipe(info, sizeof info); /* a ticket's nonce or an exporter's context may be the caller's secret */
}

int tf_hkdf_expand_label(int hash, tf_secret *out, size_t out_len, const tf_secret *secret, const uint8_t *label, size_t label_len,
                         const uint8_t *context, size_t context_len)
{
    if (tf_hash_length(hash) == 0 || is_unset(secret) || out_len > TF_SECRET_MAX || label_len == 0 || label_len > LABEL_MAX ||
        context_len > CONTEXT_MAX) {
        tf_secret_wipe(out);
        return TF_ERR_ARGUMENT;
    }
    hmac_key key;
    uint8_t bytes[TF_SECRET_MAX];
    hmac_set_key(&key, hash, secret->bytes, secret->len);
    expand_label(&key, bytes, out_len, label, label_len, context, context_len);
    tf_secret_set(out, bytes, out_len);
    tf_wipe(bytes, sizeof bytes);
    tf_wipe(&key, sizeof key);
    return TF_OK;
}

/* Derive-Secret(Secret, Label, Messages), given Transcript-Hash(Messages). */
static void derive_secret(const hmac_key *secret, uint8_t *out, const char *label, const uint8_t *transcript_hash)
{
    size_t length = tf_hash_length(secret->inner.hash);
    expand_label(secret, out, length, (const uint8_t *)label, strlen(label), transcript_hash, length);
}

/* One step down the schedule's spine: HKDF-Extract(Derive-Secret(secret, "derived", ""), ikm), prepared as the key of the derivations to come. */
static void next_stage(int hash, hmac_key *next_key, uint8_t *next, const tf_secret *secret, const tf_secret *ikm)
{
    uint8_t derived[TF_HASH_MAX], empty_hash[TF_HASH_MAX];
    tf_hash_once(hash, empty_hash, NULL, 0);
    hmac_set_key(next_key, hash, secret->bytes, secret->len);
    derive_secret(next_key, derived, "derived", empty_hash);
    extract(hash, next, derived, tf_hash_length(hash), ikm);
    hmac_set_key(next_key, hash, next, tf_hash_length(hash));
    tf_wipe(derived, sizeof derived);
}

int tf_early_secret(int hash, tf_secret *early_secret, const tf_secret *psk)
{
    return tf_hkdf_extract(hash, early_secret, NULL, psk);
}

int tf_handshake_secrets(int hash, tf_secret *handshake_secret, tf_secret *client_traffic, tf_secret *server_traffic, const tf_secret *early_secret,
                         const tf_secret *shared, const uint8_t *transcript_hash)
{
    size_t length = tf_hash_length(hash);
    if (length == 0 || early_secret->len != length || (shared != NULL && is_unset(shared))) {
        tf_secret_wipe(handshake_secret);
        tf_secret_wipe(client_traffic);
        tf_secret_wipe(server_traffic);
        return TF_ERR_ARGUMENT;
    }
    hmac_key key;
    uint8_t stage[TF_HASH_MAX], client[TF_HASH_MAX], server[TF_HASH_MAX];
    next_stage(hash, &key, stage, early_secret, shared);
    derive_secret(&key, client, "c hs traffic", transcript_hash);
    derive_secret(&key, server, "s hs traffic", transcript_hash);
    tf_secret_set(handshake_secret, stage, length);
    tf_secret_set(client_traffic, client, length);
    tf_secret_set(server_traffic, server, length);
    tf_wipe(&key, sizeof key);
    tf_wipe(stage, sizeof stage);
    tf_wipe(client, sizeof client);
    tf_wipe(server, sizeof server);
    return TF_OK;
}

int tf_application_secrets(int hash, tf_secret *master_secret, tf_secret *client_traffic, tf_secret *server_traffic, tf_secret *exporter_master,
                           const tf_secret *handshake_secret, const uint8_t *transcript_hash)
{
    size_t length = tf_hash_length(hash);
    if (length == 0 || handshake_secret->len != length) {
        tf_secret_wipe(master_secret);
        tf_secret_wipe(client_traffic);
        tf_secret_wipe(server_traffic);
        tf_secret_wipe(exporter_master);
        return TF_ERR_ARGUMENT;
    }
    hmac_key key;
    uint8_t stage[TF_HASH_MAX], client[TF_HASH_MAX], server[TF_HASH_MAX], exporter[TF_HASH_MAX];
    next_stage(hash, &key, stage, handshake_secret, NULL);
    derive_secret(&key, client, "c ap traffic", transcript_hash);
    derive_secret(&key, server, "s ap traffic", transcript_hash);
    derive_secret(&key, exporter, "exp master", transcript_hash);
    tf_secret_set(master_secret, stage, length);
    tf_secret_set(client_traffic, client, length);
    tf_secret_set(server_traffic, server, length);
    tf_secret_set(exporter_master, exporter, length);
    tf_wipe(&key, sizeof key);
    tf_wipe(stage, sizeof stage);
    tf_wipe(client, sizeof client);
    tf_wipe(server, sizeof server);
    tf_wipe(exporter, sizeof exporter);
    return TF_OK;
}

int tf_finished(int hash, uint8_t *out, const tf_secret *base_key, const uint8_t *transcript_hash)
{
    size_t length = tf_hash_length(hash);
    if (length == 0 || base_key->len != length) {
        if (length > 0)
            tf_wipe(out, length);
        return TF_ERR_ARGUMENT;
    }
    hmac_key key;
    uint8_t finished_key[TF_HASH_MAX];
    hmac_set_key(&key, hash, base_key->bytes, length);
    expand_label(&key, finished_key, length, (const uint8_t *)"finished", 8, NULL, 0);
    hmac(hash, out, finished_key, length, transcript_hash, length);
    tf_wipe(finished_key, sizeof finished_key);
    tf_wipe(&key, sizeof key);
    return TF_OK;
}

/* ---- TLS 1.2: the PRF (RFC 5246, 5) and what is made with it ---- */

/* P_hash(secret, label | seed) = HMAC(secret, A(1) | label | seed) | HMAC(secret, A(2) | ...) ..., A(0) = label | seed, A(i) = HMAC(secret, A(i-1)).
 */
static void p_hash(const hmac_key *k, uint8_t *out, size_t len, const uint8_t *label, size_t label_len, const uint8_t *seed, size_t seed_len)
{
    size_t length = tf_hash_length(k->inner.hash);
    uint8_t a[TF_HASH_MAX], t[TF_HASH_MAX];
    tf_hash inner = k->inner;
    tf_hash_update(&inner, label, label_len);
    tf_hash_update(&inner, seed, seed_len);
    hmac_finish(k, &inner, a);
    for (size_t done = 0; done < len;) {
        inner = k->inner;
        tf_hash_update(&inner, a, length);
        tf_hash_update(&inner, label, label_len);
        tf_hash_update(&inner, seed, seed_len);
        hmac_finish(k, &inner, t);
        size_t part = len - done < length ? len - done : length;
        memcpy(out + done, t, part);
        done += part;
        if (done < len) {
            inner = k->inner;
            tf_hash_update(&inner, a, length);
            hmac_finish(k, &inner, a);
        }
    }
    tf_wipe(a, sizeof a);
    tf_wipe(t, sizeof t);
}

static int prf12(int hash, uint8_t *out, size_t len, const tf_secret *secret, const uint8_t *label, size_t label_len, const uint8_t *seed,
                 size_t seed_len)
{
    hmac_key k;
    if (hash != TF_SHA256 && hash != TF_SHA384)
        return TF_ERR_ARGUMENT;
    hmac_set_key(&k, hash, secret->bytes, secret->len);
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
