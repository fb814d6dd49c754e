/* SPDX-License-Identifier: Apache-2.0 */
/* Session tickets (RFC 8446, 4.6.1), sealed straight from the PSK's handle: sessions.py chooses the key and the state, aead.c protects them. Random
 * nonces under one shared key would run out on a large fleet, so every ticket has a 256-bit salt and from it its own key and nonce. */
#include "internal.h"

enum { AAD = TF_TICKET_NAME + TF_TICKET_SALT, KEY = 32, PSK_LENGTH = 2 };

/* key and nonce = HKDF-SHA256(salt, ticket_key, "tlsfast ticket") (RFC 5869), which serve one ticket. */
static int derive(tf_aead_key *key, uint8_t nonce[TF_NONCE], const tf_secret *ticket_key, const uint8_t *salt_bytes)
{
    static const uint8_t info[] = {'t', 'l', 's', 'f', 'a', 's', 't', ' ', 't', 'i', 'c', 'k', 'e', 't'};
    tf_secret salt, okm;
    int rc = tf_secret_set(&salt, salt_bytes, TF_TICKET_SALT);
    if (rc == TF_OK)
        rc = tf_hkdf_extract(TF_SHA256, &okm, &salt, ticket_key);
    if (rc == TF_OK)
        rc = tf_hkdf_expand(TF_SHA256, &okm, KEY + TF_NONCE, &okm, info, sizeof info);
    if (rc == TF_OK)
        rc = tf_aead_set_key(key, TF_AES_256_GCM, okm.bytes, KEY);
    if (rc == TF_OK)
        memcpy(nonce, okm.bytes + KEY, TF_NONCE);
    tf_secret_wipe(&salt);
    tf_secret_wipe(&okm);
    return rc;
}

int tf_ticket_seal(uint8_t *out, size_t cap, const uint8_t *name, const tf_secret *ticket_key, const tf_secret *psk, const uint8_t *state,
                   size_t state_len)
{
    tf_aead_key key;
    uint8_t nonce[TF_NONCE], *salt = out + TF_TICKET_NAME, *text = out + AAD;
    if (cap < TF_TICKET_OVERHEAD + psk->len || cap - TF_TICKET_OVERHEAD - psk->len < state_len || ticket_key->len == 0)
        return TF_ERR_ARGUMENT;
    size_t len = PSK_LENGTH + psk->len + state_len;
    memcpy(out, name, TF_TICKET_NAME);
    int rc = tf_random(salt, TF_TICKET_SALT);
    if (rc == TF_OK)
        rc = derive(&key, nonce, ticket_key, salt);
    if (rc == TF_OK) {
        text[0] = (uint8_t)(psk->len >> 8);
        text[1] = (uint8_t)psk->len;
        memcpy(text + PSK_LENGTH, psk->bytes, psk->len);
        if (state_len > 0)
            memcpy(text + PSK_LENGTH + psk->len, state, state_len);
        tf_aead_seal(&key, text, nonce, out, AAD, text, len, -1); /* in place: the PSK does not outlive this line */
    } else {
        tf_wipe(out, AAD + len + TF_TAG);
    }
    tf_aead_wipe(&key);
    tf_wipe(nonce, sizeof nonce);
    return rc;
}

/* The opened text of len bytes: the PSK to its handle, the state to the front, zeros behind it. */
static int split(tf_secret *psk, uint8_t *text, size_t len, size_t *state_len)
{
    TF_PUBLIC(text, len < PSK_LENGTH ? len : PSK_LENGTH);
    size_t psk_len = len < PSK_LENGTH ? 0 : (size_t)text[0] << 8 | text[1];
    if (len < PSK_LENGTH + psk_len || tf_secret_set(psk, text + PSK_LENGTH, psk_len) != TF_OK) {
        tf_wipe(text, len);
        return TF_ERR_BAD_RECORD_MAC; /* sealed with our key, but not by tf_ticket_seal */
    }
    *state_len = len - PSK_LENGTH - psk_len;
    memmove(text, text + PSK_LENGTH + psk_len, *state_len);
    tf_wipe(text + *state_len, PSK_LENGTH + psk_len);
    return TF_OK;
}

int tf_ticket_open(tf_secret *psk, uint8_t *state, size_t cap, size_t *state_len, const tf_secret *ticket_key, const uint8_t *ticket, size_t len)
{
    tf_aead_key key;
    uint8_t nonce[TF_NONCE];
    *state_len = 0;
    tf_secret_wipe(psk);
    if (cap < len || ticket_key->len == 0)
        return TF_ERR_ARGUMENT;
    if (cap > 0)
        memset(state, 0, cap);
    if (len < TF_TICKET_OVERHEAD)
        return TF_ERR_BAD_RECORD_MAC;
    size_t text_len = len - AAD - TF_TAG;
    int rc = derive(&key, nonce, ticket_key, ticket + TF_TICKET_NAME);
    if (rc == TF_OK)
        rc = tf_aead_open(&key, state, nonce, ticket, AAD, ticket + AAD, text_len, ticket + AAD + text_len);
    if (rc == TF_OK)
        rc = split(psk, state, text_len, state_len);
    tf_aead_wipe(&key);
    tf_wipe(nonce, sizeof nonce);
    return rc;
}
