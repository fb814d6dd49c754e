/* SPDX-License-Identifier: Apache-2.0 */
/* What protects one direction of a connection, between record.c and aead.c: its keys, sequence number and nonces, and one record sealed or opened.
 * TLS 1.3 (RFC 8446, 5.2, 5.3) and TLS 1.2 (RFC 5246, 6.2.3.3; RFC 5288; RFC 7905). One thread at a time works in it. */
#include "internal.h"

enum { HEADER = TF_RECORD_HEADER, AAD_12 = 13, APPLICATION_DATA = 23 };

/* ---- One thread at a time ---- */

/* busy: 0, INSIDE while a call works, and WIPE once a wipe was asked for. The wipe is done by whoever is inside, so never under a call's feet. */
enum { INSIDE = 1, WIPE = 2 };

void tf_protection_forget(tf_protection *p)
{
    tf_aead_wipe(&p->key);
    tf_wipe(p->iv, sizeof p->iv);
    tf_wipe(p->traffic_secret, sizeof p->traffic_secret);
    if (p->error == TF_OK)
        p->error = TF_ERR_EXHAUSTED;
}

int tf_protection_leave(tf_protection *p, int rc)
{
    if (!tf_atomic_change(&p->busy, INSIDE, 0)) {
        tf_protection_forget(p);
        tf_atomic_store(&p->busy, 0);
    }
    return rc;
}

int tf_protection_enter(tf_protection *p)
{
    if (!tf_atomic_change(&p->busy, 0, INSIDE))
        return TF_ERR_BUSY;
    return p->error == TF_OK ? TF_OK : tf_protection_leave(p, p->error);
}

void tf_protection_wipe(tf_protection *p)
{
    if (tf_atomic_or(&p->busy, WIPE) == 0) {
        tf_protection_forget(p);
        tf_atomic_store(&p->busy, 0);
    }
}

/* ---- Keys ---- */

static int use(tf_protection *p, int aead, int hash, const tf_traffic *traffic)
{
    int rc = tf_aead_set_key(&p->key, aead, traffic->key, tf_aead_key_length(aead));
    if (rc != TF_OK)
        return rc;
    memcpy(p->iv, traffic->iv, sizeof p->iv);
    memcpy(p->traffic_secret, traffic->secret, sizeof p->traffic_secret);
    p->aead = aead;
    p->hash = hash;
    p->sequence = 0;
    p->epoch = TF_EPOCH_13;
    p->explicit_nonce = 0;
    return TF_OK;
}

int tf_protection_use(tf_protection *p, const tf_schedule *schedule, int secret)
{
    const tf_traffic *traffic = tf_schedule_traffic(schedule, secret);
    return traffic == NULL ? TF_ERR_ARGUMENT : use(p, schedule->aead, schedule->hash, traffic);
}

int tf_protection_set_key13(tf_protection *p, int aead, int hash, const tf_secret *traffic_secret)
{
    tf_traffic traffic = {0};
    size_t key_len = tf_aead_key_length(aead), length = tf_hash_length(hash);
    if (key_len == 0 || length == 0 || length > sizeof traffic.secret || traffic_secret->len != length)
        return TF_ERR_ARGUMENT;
    memcpy(traffic.secret, traffic_secret->bytes, length);
    tf_traffic_keys(&traffic, hash, key_len);
    int rc = use(p, aead, hash, &traffic);
    tf_wipe(&traffic, sizeof traffic);
    return rc;
}

/* RFC 8446, 7.2: application_traffic_secret_N+1 = HKDF-Expand-Label(application_traffic_secret_N, "traffic upd", "", Hash.length). */
int tf_protection_update_key(tf_protection *p)
{
    tf_traffic next = {0};
    tf_hmac_key secret;
    if (p->epoch != TF_EPOCH_13)
        return TF_ERR_ARGUMENT;
    size_t length = tf_hash_length(p->hash);
    tf_hmac_set_key(&secret, p->hash, p->traffic_secret, length);
    tf_expand_label(&secret, next.secret, length, (const uint8_t *)"traffic upd", 11, NULL, 0);
    tf_traffic_keys(&next, p->hash, tf_aead_key_length(p->aead));
    int rc = use(p, p->aead, p->hash, &next);
    tf_wipe(&secret, sizeof secret);
    tf_wipe(&next, sizeof next);
    return rc;
}

int tf_protection_traffic_secret(tf_protection *p, tf_secret *out)
{
    tf_secret_wipe(out);
    int rc = tf_protection_enter(p);
    if (rc != TF_OK)
        return rc;
    rc = p->epoch == TF_EPOCH_13 ? tf_secret_set(out, p->traffic_secret, tf_hash_length(p->hash)) : TF_ERR_ARGUMENT;
    return tf_protection_leave(p, rc);
}

/* RFC 5246, 6.3: one side's key and IV of the key block. RFC 5288, 3: AES-GCM has a fixed IV of 4 bytes; RFC 7905, 2: ChaCha20-Poly1305 one of 12. */
int tf_protection_set_key12(tf_protection *p, int aead, const tf_secret *key_block, int client)
{
    size_t key_len = tf_aead_key_length(aead), iv_len = aead == TF_CHACHA20_POLY1305 ? TF_NONCE : 4;
    if (key_len == 0 || key_block->len != 2 * (key_len + iv_len))
        return TF_ERR_ARGUMENT;
    const uint8_t *key = key_block->bytes + (client ? 0 : key_len), *iv = key_block->bytes + 2 * key_len + (client ? 0 : iv_len);
    int rc = tf_aead_set_key(&p->key, aead, key, key_len);
    if (rc == TF_OK) {
        memset(p->iv, 0, TF_NONCE);
        tf_wipe(p->traffic_secret, sizeof p->traffic_secret);
        memcpy(p->iv, iv, iv_len);
        p->sequence = 0;
        p->epoch = TF_EPOCH_12;
        p->explicit_nonce = TF_NONCE - iv_len;
    }
    return rc;
}

size_t tf_protection_overhead(const tf_protection *p)
{
    return p->explicit_nonce + (p->epoch == TF_EPOCH_13) + TF_TAG;
}

/* RFC 8446, 5.3; RFC 7905, 2: the iv XOR the sequence number in its last 64 bits. Stored as two words, which an implementation can load as such
 * without waiting. */
static void form_nonce(const tf_protection *p, uint8_t nonce[TF_NONCE])
{
    memcpy(nonce, p->iv, 4);
    tf_store64be(nonce + 4, tf_load64be(p->iv + 4) ^ p->sequence);
}

/* ---- TLS 1.3 ---- */

static int open13(tf_protection *p, uint8_t *out, size_t *len, const uint8_t header[HEADER], const uint8_t *fragment, size_t length)
{
    uint8_t nonce[TF_NONCE];
    if (length < TF_TAG)
        return TF_ERR_BAD_RECORD_MAC;
    *len = length - TF_TAG;
    form_nonce(p, nonce);
    return tf_aead_open(&p->key, out, nonce, header, HEADER, fragment, *len, fragment + *len);
}

static void seal13(tf_protection *p, int type, uint8_t *out, const uint8_t header[HEADER], const uint8_t *in, size_t len)
{
    uint8_t nonce[TF_NONCE];
    form_nonce(p, nonce);
    tf_aead_seal(&p->key, out, nonce, header, HEADER, in, len, type);
}

/* ---- TLS 1.2 ---- */

/* RFC 5246, 6.2.3.3: seq_num | type | version | length of the plaintext; type and version as they stand in the record. */
static void form_aad12(uint8_t aad[AAD_12], uint64_t sequence, const uint8_t header[HEADER], size_t len)
{
    tf_store64be(aad, sequence);
    memcpy(aad + 8, header, 3);
    aad[11] = (uint8_t)(len >> 8);
    aad[12] = (uint8_t)len;
}

/* RFC 5288, 3: the fixed IV, then the explicit nonce, which stands in the record; RFC 7905, 2: no explicit nonce. */
static void form_nonce12(const tf_protection *p, uint8_t nonce[TF_NONCE], const uint8_t *explicit_nonce)
{
    if (p->explicit_nonce == 0) {
        form_nonce(p, nonce);
        return;
    }
    memcpy(nonce, p->iv, 4);
    memcpy(nonce + 4, explicit_nonce, 8);
}

static int open12(tf_protection *p, uint8_t *out, size_t *len, const uint8_t header[HEADER], const uint8_t *fragment, size_t length)
{
    uint8_t nonce[TF_NONCE], aad[AAD_12];
    if (length < p->explicit_nonce + TF_TAG)
        return TF_ERR_BAD_RECORD_MAC;
    if (header[1] != 3 || header[2] != 3)
        return TF_ERR_BAD_RECORD_MAC; /* a version that TLS 1.2 does not have is a changed header, even under a tag that covers it */
    *len = length - p->explicit_nonce - TF_TAG;
    form_nonce12(p, nonce, fragment);
    form_aad12(aad, p->sequence, header, *len);
    fragment += p->explicit_nonce;
    return tf_aead_open(&p->key, out, nonce, aad, AAD_12, fragment, *len, fragment + *len);
}

/* RFC 5288, 3: the explicit nonce is the sequence number, which never repeats under a key. */
static void seal12(tf_protection *p, uint8_t *out, const uint8_t header[HEADER], const uint8_t *in, size_t len)
{
    uint8_t nonce[TF_NONCE], aad[AAD_12], explicit_nonce[8];
    tf_store64be(explicit_nonce, p->sequence);
    form_nonce12(p, nonce, explicit_nonce);
    form_aad12(aad, p->sequence, header, len);
    memcpy(out, explicit_nonce, p->explicit_nonce);
    tf_aead_seal(&p->key, out + p->explicit_nonce, nonce, aad, AAD_12, in, len, -1);
}

/* ---- Either ---- */

int tf_protection_open(tf_protection *p, uint8_t *out, size_t *len, const uint8_t header[HEADER], const uint8_t *fragment, size_t length)
{
    *len = 0;
    if (p->sequence == UINT64_MAX)
        return TF_ERR_EXHAUSTED; /* RFC 8446, 5.3; RFC 5246, 6.1: MUST NOT wrap */
    int rc = p->epoch == TF_EPOCH_12 ? open12(p, out, len, header, fragment, length) : open13(p, out, len, header, fragment, length);
    if (rc == TF_OK)
        p->sequence++;
    return rc;
}

void tf_record_header_write(uint8_t header[HEADER], int type, int version, size_t length)
{
    header[0] = (uint8_t)type;
    header[1] = (uint8_t)(version >> 8);
    header[2] = (uint8_t)version;
    header[3] = (uint8_t)(length >> 8);
    header[4] = (uint8_t)length;
}

size_t tf_protection_seal(tf_protection *p, int type, uint8_t *out, const uint8_t *in, size_t len)
{
    uint8_t header[HEADER]; /* apart from out, which another thread may write: what is sent and what the tag covers are one */
    size_t length = len + tf_protection_overhead(p);
    tf_record_header_write(header, p->epoch == TF_EPOCH_12 ? type : APPLICATION_DATA, 0x0303, length);
    memcpy(out, header, HEADER);
    if (p->epoch == TF_EPOCH_12)
        seal12(p, out + HEADER, header, in, len);
    else
        seal13(p, type, out + HEADER, header, in, len);
    p->sequence++;
    return HEADER + length;
}
