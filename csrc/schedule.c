/* SPDX-License-Identifier: Apache-2.0 */
/* The key schedule of TLS 1.3 (RFC 8446, 7.1, 7.3) for one connection: a call for each step derives every secret of it with the keys, IVs and
 * finished keys of both directions; readers and writers (record.c) take theirs from here when the flow says so. Above it stands keys13.py, below it
 * kdf.c. */
#include "internal.h"

#include <stdlib.h>

enum { STAGE_EARLY = 0, STAGE_HANDSHAKE = 1, STAGE_MASTER = 2, STAGE_DONE = 3 };

tf_schedule *tf_schedule_new(int aead, int hash)
{
    if (tf_aead_key_length(aead) == 0 || (hash != TF_SHA256 && hash != TF_SHA384))
        return NULL;
    tf_schedule *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->aead = aead;
    s->hash = hash;
    return s;
}

void tf_schedule_wipe(tf_schedule *s)
{
    int aead = s->aead, hash = s->hash;
    tf_wipe(s, sizeof *s);
    s->aead = aead;
    s->hash = hash;
    s->stage = STAGE_DONE;
}

void tf_schedule_free(tf_schedule *s)
{
    if (s == NULL)
        return;
    tf_wipe(s, sizeof *s);
    free(s);
}

/* ---- Steps ---- */

void tf_traffic_keys(tf_traffic *traffic, int hash, size_t key_len)
{
    tf_hmac_key secret;
    tf_hmac_set_key(&secret, hash, traffic->secret, tf_hash_length(hash));
    tf_expand_label_two(&(tf_expansion){&secret, "key", traffic->key, key_len}, &(tf_expansion){&secret, "iv", traffic->iv, TF_NONCE}, NULL);
    tf_wipe(&secret, sizeof secret);
}

/* The secrets of both directions at the present stage, their keys and IVs, and their finished keys unless finished_key is NULL. */
static void derive_traffic(tf_schedule *s, tf_traffic *client, tf_traffic *server, const char *client_label, const char *server_label,
                           uint8_t (*finished_key)[TF_HASH_MAX_13], const uint8_t *transcript_hash)
{
    tf_hmac_key c, v;
    size_t length = tf_hash_length(s->hash), key_len = tf_aead_key_length(s->aead);
    tf_expand_label_two(&(tf_expansion){&s->stage_key, client_label, client->secret, length},
                        &(tf_expansion){&s->stage_key, server_label, server->secret, length}, transcript_hash);
    tf_hmac_set_key(&c, s->hash, client->secret, length);
    tf_hmac_set_key(&v, s->hash, server->secret, length);
    tf_expand_label_two(&(tf_expansion){&c, "key", client->key, key_len}, &(tf_expansion){&v, "key", server->key, key_len}, NULL);
    tf_expand_label_two(&(tf_expansion){&c, "iv", client->iv, TF_NONCE}, &(tf_expansion){&v, "iv", server->iv, TF_NONCE}, NULL);
    if (finished_key != NULL)
        tf_expand_label_two(&(tf_expansion){&c, "finished", finished_key[0], length}, &(tf_expansion){&v, "finished", finished_key[1], length}, NULL);
    tf_wipe(&c, sizeof c);
    tf_wipe(&v, sizeof v);
}

/* The next stage's secret = HKDF-Extract(salt, ikm), salt being Derive-Secret(the secret before, "derived", ""); ikm NULL: zeros. */
static void enter_stage(tf_schedule *s, int stage, const uint8_t *salt, const uint8_t *ikm, size_t ikm_len)
{
    static const uint8_t zeros[TF_HASH_MAX_13];
    size_t length = tf_hash_length(s->hash);
    tf_hmac_once(s->hash, s->stage_secret, salt, length, ikm != NULL ? ikm : zeros, ikm != NULL ? ikm_len : length);
    tf_hmac_set_key(&s->stage_key, s->hash, s->stage_secret, length);
    s->stage = stage;
    s->held |= 1u << TF_STAGE_SECRET;
}

/* Derive-Secret(Early Secret, "derived", ""). Without a PSK it is a constant: Early Secret = HKDF-Extract(0, 0); RFC 8448, 3 prints the first. */
static void early_salt(uint8_t *salt, int hash, const tf_secret *psk)
{
    static const uint8_t sha256[32] = {0x6f, 0x26, 0x15, 0xa1, 0x08, 0xc7, 0x02, 0xc5, 0x67, 0x8f, 0x54, 0xfc, 0x9d, 0xba, 0xb6, 0x97,
                                       0x16, 0xc0, 0x76, 0x18, 0x9c, 0x48, 0x25, 0x0c, 0xeb, 0xea, 0xc3, 0x57, 0x6c, 0x36, 0x11, 0xba};
    static const uint8_t sha384[48] = {0x15, 0x91, 0xda, 0xc5, 0xcb, 0xbf, 0x03, 0x30, 0xa4, 0xa8, 0x4d, 0xe9, 0xc7, 0x53, 0x33, 0x0e,
                                       0x92, 0xd0, 0x1f, 0x0a, 0x88, 0x21, 0x4b, 0x44, 0x64, 0x97, 0x2f, 0xd6, 0x68, 0x04, 0x9e, 0x93,
                                       0xe5, 0x2f, 0x2b, 0x16, 0xfa, 0xd9, 0x22, 0xfd, 0xc0, 0x58, 0x44, 0x78, 0x42, 0x8f, 0x28, 0x2b};
    static const uint8_t zeros[TF_HASH_MAX_13];
    tf_hmac_key early;
    if (psk == NULL) {
        memcpy(salt, hash == TF_SHA256 ? sha256 : sha384, tf_hash_length(hash));
        return;
    }
    tf_hmac_once(hash, salt, zeros, tf_hash_length(hash), psk->bytes, psk->len);
    tf_hmac_set_key(&early, hash, salt, tf_hash_length(hash));
    tf_derive_secret(&early, salt, "derived", tf_empty_hash(hash));
    tf_wipe(&early, sizeof early);
}

int tf_schedule_handshake(tf_schedule *s, tf_secret *shared, const tf_secret *psk, const uint8_t *transcript_hash)
{
    uint8_t salt[TF_HASH_MAX_13];
    if (s->stage != STAGE_EARLY || (shared != NULL && shared->len == 0) || (psk != NULL && psk->len == 0))
        return TF_ERR_ARGUMENT;
    early_salt(salt, s->hash, psk);
    enter_stage(s, STAGE_HANDSHAKE, salt, shared != NULL ? shared->bytes : NULL, shared != NULL ? shared->len : 0);
    derive_traffic(s, &s->traffic[TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET], &s->traffic[TF_SERVER_HANDSHAKE_TRAFFIC_SECRET], "c hs traffic",
                   "s hs traffic", s->finished_key, transcript_hash);
    s->held |= 1u << TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET | 1u << TF_SERVER_HANDSHAKE_TRAFFIC_SECRET;
    if (shared != NULL)
        tf_secret_wipe(shared);
    tf_wipe(salt, sizeof salt);
    return TF_OK;
}

int tf_schedule_application(tf_schedule *s, const uint8_t *transcript_hash)
{
    uint8_t salt[TF_HASH_MAX_13];
    if (s->stage != STAGE_HANDSHAKE)
        return TF_ERR_ARGUMENT;
    tf_derive_secret(&s->stage_key, salt, "derived", tf_empty_hash(s->hash));
    enter_stage(s, STAGE_MASTER, salt, NULL, 0);
    derive_traffic(s, &s->traffic[TF_CLIENT_APPLICATION_TRAFFIC_SECRET], &s->traffic[TF_SERVER_APPLICATION_TRAFFIC_SECRET], "c ap traffic",
                   "s ap traffic", NULL, transcript_hash);
    tf_derive_secret(&s->stage_key, s->exporter_master, "exp master", transcript_hash);
    s->held |= 1u << TF_CLIENT_APPLICATION_TRAFFIC_SECRET | 1u << TF_SERVER_APPLICATION_TRAFFIC_SECRET | 1u << TF_EXPORTER_MASTER_SECRET;
    tf_wipe(salt, sizeof salt);
    return TF_OK;
}

int tf_schedule_resumption(tf_schedule *s, const uint8_t *transcript_hash)
{
    if (s->stage != STAGE_MASTER)
        return TF_ERR_ARGUMENT;
    tf_derive_secret(&s->stage_key, s->resumption_master, "res master", transcript_hash);
    tf_wipe(s->traffic, sizeof s->traffic);
    tf_wipe(s->finished_key, sizeof s->finished_key);
    tf_wipe(s->stage_secret, sizeof s->stage_secret);
    tf_wipe(&s->stage_key, sizeof s->stage_key);
    s->held = 1u << TF_EXPORTER_MASTER_SECRET | 1u << TF_RESUMPTION_MASTER_SECRET;
    s->stage = STAGE_DONE;
    return TF_OK;
}

int tf_schedule_finished(const tf_schedule *s, uint8_t *out, int base_key, const uint8_t *transcript_hash)
{
    size_t length = tf_hash_length(s->hash);
    if (base_key < TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET || base_key > TF_SERVER_HANDSHAKE_TRAFFIC_SECRET || (s->held >> base_key & 1) == 0) {
        tf_wipe(out, length);
        return TF_ERR_ARGUMENT;
    }
    tf_hmac_once(s->hash, out, s->finished_key[base_key - TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET], length, transcript_hash, length);
    return TF_OK;
}

/* ---- What it holds ---- */

const tf_traffic *tf_schedule_traffic(const tf_schedule *s, int secret)
{
    if (secret < TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET || secret > TF_SERVER_APPLICATION_TRAFFIC_SECRET || (s->held >> secret & 1) == 0)
        return NULL;
    return &s->traffic[secret];
}

/* Where a secret stands; NULL if it is not there. */
static const uint8_t *held(const tf_schedule *s, int secret)
{
    if (secret < 0 || secret > TF_STAGE_SECRET || (s->held >> secret & 1) == 0)
        return NULL;
    switch (secret) {
    case TF_EXPORTER_MASTER_SECRET:
        return s->exporter_master;
    case TF_RESUMPTION_MASTER_SECRET:
        return s->resumption_master;
    case TF_STAGE_SECRET:
        return s->stage_secret;
    default:
        return s->traffic[secret].secret;
    }
}

int tf_schedule_secret(const tf_schedule *s, tf_secret *out, int secret)
{
    const uint8_t *bytes = held(s, secret);
    if (bytes == NULL) {
        tf_secret_wipe(out);
        return TF_ERR_ARGUMENT;
    }
    return tf_secret_set(out, bytes, tf_hash_length(s->hash));
}

uint32_t tf_schedule_held(const tf_schedule *s)
{
    return s->held;
}

void tf_schedule_forget_resumption(tf_schedule *s)
{
    tf_wipe(s->resumption_master, sizeof s->resumption_master);
    s->held &= ~(1u << TF_RESUMPTION_MASTER_SECRET);
}

int tf_schedule_resumption_psk(const tf_schedule *s, tf_secret *psk, const uint8_t *ticket_nonce, size_t nonce_len)
{
    tf_hmac_key key;
    uint8_t bytes[TF_HASH_MAX_13];
    size_t length = tf_hash_length(s->hash);
    const uint8_t *master = held(s, TF_RESUMPTION_MASTER_SECRET);
    if (master == NULL || nonce_len > 255) {
        tf_secret_wipe(psk);
        return TF_ERR_ARGUMENT;
    }
    tf_hmac_set_key(&key, s->hash, master, length);
    tf_expand_label(&key, bytes, length, (const uint8_t *)"resumption", 10, ticket_nonce, nonce_len);
    tf_secret_set(psk, bytes, length);
    tf_wipe(bytes, sizeof bytes);
    tf_wipe(&key, sizeof key);
    return TF_OK;
}
