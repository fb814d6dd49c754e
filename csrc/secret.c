/* SPDX-License-Identifier: Apache-2.0 */
/* Secret handles: fixed memory for keys and secrets that Python holds but never sees; bytes past the length are always zero, and freeing wipes. */
#include "internal.h"

#include <stdlib.h>

tf_secret *tf_secret_new(void)
{
    return calloc(1, sizeof(tf_secret));
}

void tf_secret_free(tf_secret *secret)
{
    if (secret == NULL)
        return;
    tf_secret_wipe(secret);
    free(secret);
}

void tf_secret_wipe(tf_secret *secret)
{
    tf_wipe(secret, sizeof *secret);
}

size_t tf_secret_length(const tf_secret *secret)
{
    return secret->len;
}

int tf_secret_set(tf_secret *secret, const uint8_t *in, size_t len)
{
    if (len > TF_SECRET_MAX) {
        tf_secret_wipe(secret);
        return TF_ERR_ARGUMENT;
    }
    if (len > 0)
        memcpy(secret->bytes, in, len);
    tf_wipe(secret->bytes + len, sizeof secret->bytes - len);
    secret->len = len;
    TF_SECRET(secret->bytes, len);
    return TF_OK;
}

int tf_secret_reveal(const tf_secret *secret, uint8_t *out, size_t len)
{
    if (len != secret->len) {
        if (len > 0)
            tf_wipe(out, len);
        return TF_ERR_ARGUMENT;
    }
    if (len > 0)
        memcpy(out, secret->bytes, len);
    TF_PUBLIC(out, len); /* from here the bytes are the caller's to guard */
    return TF_OK;
}

int tf_secret_join(tf_secret *out, const tf_secret *a, const tf_secret *b)
{
    tf_secret joined = *a;
    int rc = TF_ERR_ARGUMENT;
    if (a->len + b->len <= TF_SECRET_MAX) {
        memcpy(joined.bytes + a->len, b->bytes, b->len);
        joined.len += b->len;
        rc = TF_OK;
    }
    if (rc)
        tf_secret_wipe(out);
    else
        *out = joined;
    tf_secret_wipe(&joined);
    return rc;
}

int tf_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint64_t differ = tf_mask_nonzero(tf_diff(a, b, len));
    TF_PUBLIC(&differ, sizeof differ); /* the verdict is public, where it differs is not */
    return (int)(1 & ~differ);
}
