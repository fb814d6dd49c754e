/* SPDX-License-Identifier: Apache-2.0 */
/* The record layer (RFC 8446, 5; RFC 5246, 6.2): wire bytes to contents and back, many records a call; headers, lengths and limits are judged here.
 * Above it stand the Python readers and writers, below it protection.c. Three epochs: in the clear, TLS 1.3, and TLS 1.2. */
#include "internal.h"

#include <stdlib.h>

enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23, HEARTBEAT = 24 }; /* RFC 8446, 5.1; RFC 6520 */

enum {
    HEADER = TF_RECORD_HEADER,
    INNER_MAX = TF_RECORD_MAX + 1,
    CIPHERTEXT_MAX_13 = TF_RECORD_MAX + 256,
    CIPHERTEXT_MAX_12 = TF_RECORD_MAX + 2048,
    LIMIT_MIN = 64
};

/* ---- Contexts ---- */

/* The expanded keys want 64-byte alignment, malloc gives 16 at most. Where the allocation starts is kept just below. */
static void *new_aligned(size_t size)
{
    uint8_t *base = calloc(1, size + 64 + sizeof base);
    if (base == NULL)
        return NULL;
    uint8_t *p = base + sizeof base;
    p += (64 - (uintptr_t)p % 64) % 64;
    memcpy(p - sizeof base, &base, sizeof base);
    return p;
}

static void free_aligned(void *p)
{
    void *base;
    memcpy(&base, (uint8_t *)p - sizeof base, sizeof base);
    free(base);
}

tf_record_reader *tf_record_reader_new(void)
{
    tf_record_reader *reader = new_aligned(sizeof *reader);
    if (reader != NULL)
        reader->limit = INNER_MAX;
    return reader;
}

void tf_record_reader_free(tf_record_reader *reader)
{
    if (reader == NULL)
        return;
    tf_protection_forget(&reader->protection);
    free_aligned(reader);
}

void tf_record_reader_wipe(tf_record_reader *reader)
{
    tf_protection_wipe(&reader->protection);
}

/* What belonged to the key before ends with it. */
static int reader_changed(tf_record_reader *reader, int rc)
{
    if (rc == TF_OK) {
        reader->skip = TF_SKIP_NONE;
        reader->plaintext_alert = 0;
    }
    return tf_protection_leave(&reader->protection, rc);
}

int tf_record_reader_use(tf_record_reader *reader, const tf_schedule *schedule, int traffic_secret)
{
    int rc = tf_protection_enter(&reader->protection);
    return rc != TF_OK ? rc : reader_changed(reader, tf_protection_use(&reader->protection, schedule, traffic_secret));
}

int tf_record_reader_update_key(tf_record_reader *reader)
{
    int rc = tf_protection_enter(&reader->protection);
    return rc != TF_OK ? rc : reader_changed(reader, tf_protection_update_key(&reader->protection));
}

int tf_record_reader_traffic_secret(tf_record_reader *reader, tf_secret *out)
{
    return tf_protection_traffic_secret(&reader->protection, out);
}

int tf_record_reader_set_key13(tf_record_reader *reader, int aead, int hash, const tf_secret *traffic_secret)
{
    int rc = tf_protection_enter(&reader->protection);
    return rc != TF_OK ? rc : reader_changed(reader, tf_protection_set_key13(&reader->protection, aead, hash, traffic_secret));
}

int tf_record_reader_set_key12(tf_record_reader *reader, int aead, const tf_secret *key_block, int client)
{
    int rc = tf_protection_enter(&reader->protection);
    return rc != TF_OK ? rc : reader_changed(reader, tf_protection_set_key12(&reader->protection, aead, key_block, client));
}

int tf_record_reader_allow_plaintext_alert(tf_record_reader *reader)
{
    int rc = tf_protection_enter(&reader->protection);
    if (rc != TF_OK)
        return rc;
    reader->plaintext_alert = 1;
    return tf_protection_leave(&reader->protection, TF_OK);
}

int tf_record_reader_set_limit(tf_record_reader *reader, size_t max_inner_plaintext)
{
    if (max_inner_plaintext < LIMIT_MIN || max_inner_plaintext > INNER_MAX)
        return TF_ERR_ARGUMENT;
    int rc = tf_protection_enter(&reader->protection);
    if (rc != TF_OK)
        return rc;
    reader->limit = max_inner_plaintext;
    return tf_protection_leave(&reader->protection, TF_OK);
}

int tf_record_reader_skip_early_data(tf_record_reader *reader, int mode, size_t budget)
{
    if (mode < TF_SKIP_NONE || mode > TF_SKIP_APPLICATION_DATA)
        return TF_ERR_ARGUMENT;
    int rc = tf_protection_enter(&reader->protection);
    if (rc != TF_OK)
        return rc;
    reader->skip = mode;
    reader->skip_budget = budget;
    return tf_protection_leave(&reader->protection, TF_OK);
}

/* ---- Reading ---- */

/* A record's header. Another thread may write into the input while we read (the GIL is off, a bytearray may be under us), so its bytes are fetched
 * once, checked here and used as additional data from here. */
typedef struct {
    uint8_t bytes[HEADER];
    size_t have; /* how many of them are there: 1..5 */
    int type;
    size_t length;
} record_header;

/* 1 <= left. */
static void read_header(record_header *h, const uint8_t *in, size_t left)
{
    const volatile uint8_t *once = in;
    h->have = left < HEADER ? left : HEADER;
    for (size_t i = 0; i < h->have; i++)
        h->bytes[i] = once[i];
    h->type = h->bytes[0];
    h->length = h->have == HEADER ? (size_t)h->bytes[3] << 8 | h->bytes[4] : 0;
}

static int within_skip_budget(const tf_record_reader *reader, const record_header *h)
{
    return HEADER + h->length <= reader->skip_budget;
}

static int check_type(const tf_record_reader *reader, int type)
{
    if (reader->protection.epoch == TF_EPOCH_CLEAR) {
        if (type < CHANGE_CIPHER_SPEC || type > HEARTBEAT)
            return TF_ERR_NOT_TLS;
        if (type == APPLICATION_DATA)
            return reader->skip == TF_SKIP_APPLICATION_DATA ? TF_OK : TF_ERR_UNEXPECTED_MESSAGE;
        return type == HEARTBEAT ? TF_ERR_UNEXPECTED_MESSAGE : TF_OK;
    }
    if (reader->protection.epoch == TF_EPOCH_12)
        return type >= CHANGE_CIPHER_SPEC && type <= APPLICATION_DATA ? TF_OK : TF_ERR_UNEXPECTED_MESSAGE;
    if (type == APPLICATION_DATA || type == CHANGE_CIPHER_SPEC || (type == ALERT && reader->plaintext_alert))
        return TF_OK;
    return TF_ERR_UNEXPECTED_MESSAGE; /* RFC 8446, 5: MUST terminate the connection with an "unexpected_message" alert */
}

/* RFC 8446, 5.1, 5.2; RFC 5246, 6.2.3: the longest fragment. Only protected records may be longer than 2^14. */
static size_t fragment_max(const tf_record_reader *reader, int type)
{
    if (reader->protection.epoch == TF_EPOCH_12)
        return CIPHERTEXT_MAX_12;
    return type == APPLICATION_DATA ? CIPHERTEXT_MAX_13 : TF_RECORD_MAX;
}

/* What can be said before the record is whole. legacy_record_version is ignored (RFC 8446, 5.1), but that another protocol would hardly have a 3
 * there. */
static int check_header(const tf_record_reader *reader, const record_header *h)
{
    int rc = check_type(reader, h->type), is_clear = reader->protection.epoch == TF_EPOCH_CLEAR;
    if (rc != TF_OK || h->have < HEADER)
        return rc;
    if (is_clear && h->bytes[1] != 3)
        return TF_ERR_NOT_TLS;
    if (h->length > fragment_max(reader, h->type))
        return TF_ERR_RECORD_OVERFLOW; /* RFC 8446, 5.1, 5.2: MUST terminate the connection with a "record_overflow" alert */
    /* RFC 8446, 5.1: MUST NOT send zero-length fragments of Handshake types; 5.4, of Alert. */
    if (h->length == 0 && (h->type == HANDSHAKE || h->type == ALERT) && reader->protection.epoch != TF_EPOCH_12)
        return TF_ERR_UNEXPECTED_MESSAGE; /* in TLS 1.2 the fragment is protected: a length of 0 is no record at all, and fails as such */
    if (is_clear && h->type == APPLICATION_DATA && !within_skip_budget(reader, h))
        return TF_ERR_UNEXPECTED_MESSAGE;
    return TF_OK;
}

/* tf_opened.need, from the 1 <= left bytes that follow the last record. */
static size_t bytes_needed(const tf_record_reader *reader, const uint8_t *in, size_t left)
{
    record_header h;
    read_header(&h, in, left);
    if (check_header(reader, &h) != TF_OK)
        return 0; /* the next call says why */
    if (h.have < HEADER)
        return HEADER - left;
    return left < HEADER + h.length ? HEADER + h.length - left : 0;
}

typedef struct {
    int type;
    int is_protected;
    size_t len; /* the content stands at the start of the record's output */
} record_content;

/* The content of an opened TLSInnerPlaintext of len bytes (RFC 8446, 5.4): zeros from the end on are padding, then comes the type. */
static int read_inner(const tf_record_reader *reader, const uint8_t *inner, size_t len, record_content *content)
{
    if (len > reader->limit)
        return TF_ERR_RECORD_OVERFLOW; /* RFC 8446, 5.4; RFC 8449, 4: MUST terminate the connection with a "record_overflow" alert */
    size_t end = len;
    for (; end > 0; end--) {
        TF_PUBLIC(&inner[end - 1], 1); /* the record is genuine: its padding and type are no secret any more */
        if (inner[end - 1] != 0)
            break;
    }
    if (end == 0)
        return TF_ERR_UNEXPECTED_MESSAGE; /* RFC 8446, 5.4: no non-zero octet: MUST terminate with an "unexpected_message" alert */
    content->type = inner[end - 1];
    content->len = end - 1;
    content->is_protected = 1;
    if (content->type != ALERT && content->type != HANDSHAKE && content->type != APPLICATION_DATA)
        return TF_ERR_UNEXPECTED_MESSAGE;
    if (content->len == 0 && content->type != APPLICATION_DATA)
        return TF_ERR_UNEXPECTED_MESSAGE; /* RFC 8446, 5.4: MUST NOT send Handshake and Alert records with a zero-length content */
    return TF_OK;
}

/* What a genuine record holds once it is open. */
static int read_content(const tf_record_reader *reader, const record_header *h, const uint8_t *opened, size_t len, record_content *content)
{
    if (reader->protection.epoch == TF_EPOCH_13)
        return read_inner(reader, opened, len, content);
    content->type = h->type;
    content->len = len;
    content->is_protected = 1;
    if (len > TF_RECORD_MAX || len > reader->limit)
        return TF_ERR_RECORD_OVERFLOW; /* RFC 5246, 6.2.3; RFC 8449, 4: MUST terminate the connection with a "record_overflow" alert */
    if (len == 0 && h->type != APPLICATION_DATA)
        return TF_ERR_UNEXPECTED_MESSAGE; /* RFC 5246, 6.2.1: MUST NOT send zero-length fragments of Handshake, Alert, or ChangeCipherSpec */
    return TF_OK;
}

static int open_protected(tf_record_reader *reader, const record_header *h, uint8_t *out, const uint8_t *fragment, record_content *content)
{
    size_t len;
    int rc = tf_protection_open(&reader->protection, out, &len, h->bytes, fragment, h->length);
    if (rc != TF_OK)
        return rc;
    reader->skip = TF_SKIP_NONE;
    reader->plaintext_alert = 0;
    rc = read_content(reader, h, out, len, content);
    if (rc != TF_OK && len > 0)
        tf_wipe(out, len);
    return rc;
}

enum { SKIPPED = 1 };

/* One whole record whose header is good and whose output has room. TF_OK, SKIPPED, or its error. */
static int open_record(tf_record_reader *reader, const record_header *h, uint8_t *out, const uint8_t *fragment, record_content *content)
{
    if (reader->protection.epoch == TF_EPOCH_12)
        return open_protected(reader, h, out, fragment, content); /* TLS 1.2 has no early data, and nothing in the clear under a key */
    if (h->type == APPLICATION_DATA && reader->protection.epoch == TF_EPOCH_CLEAR) {
        reader->skip_budget -= HEADER + h->length;
        return SKIPPED;
    }
    if (h->type == APPLICATION_DATA) {
        int rc = open_protected(reader, h, out, fragment, content);
        if (rc != TF_ERR_BAD_RECORD_MAC || reader->skip != TF_SKIP_UNDECRYPTABLE || !within_skip_budget(reader, h))
            return rc;
        reader->skip_budget -= HEADER + h->length; /* RFC 8446, 4.2.10: early data that we refused */
        return SKIPPED;
    }
    if (h->length > 0)
        memcpy(out, fragment, h->length);
    content->type = h->type;
    content->len = h->length;
    content->is_protected = 0;
    return TF_OK;
}

static int open_records(tf_record_reader *reader, uint8_t *out, size_t cap, const uint8_t *in, size_t len, size_t max_records, tf_opened *r)
{
    size_t records = 0;
    while (r->consumed < len && (max_records == 0 || records < max_records)) {
        const uint8_t *record = in + r->consumed;
        record_header h;
        record_content content = {0, 0, 0};
        read_header(&h, record, len - r->consumed);
        int rc = check_header(reader, &h);
        if (rc != TF_OK)
            return rc;
        if (h.have < HEADER || len - r->consumed < HEADER + h.length || cap - r->data_len < h.length)
            break;
        rc = open_record(reader, &h, out + r->data_len, record + HEADER, &content);
        if (rc < 0)
            return rc;
        r->consumed += HEADER + h.length;
        if (rc == SKIPPED)
            continue;
        records++;
        if (content.type == APPLICATION_DATA && content.len > 0) {
            r->data_len += content.len;
            continue;
        }
        r->type = content.type;
        r->other_len = content.len;
        r->is_protected = content.is_protected;
        break;
    }
    r->need = len > r->consumed ? bytes_needed(reader, in + r->consumed, len - r->consumed) : HEADER;
    return TF_OK;
}

int tf_record_open(tf_record_reader *reader, uint8_t *out, size_t cap, const uint8_t *in, size_t len, size_t max_records, tf_opened *r)
{
    memset(r, 0, sizeof *r);
    int rc = tf_protection_enter(&reader->protection);
    if (rc != TF_OK)
        return rc;
    rc = open_records(reader, out, cap, in, len, max_records, r);
    reader->protection.error = rc;
    return tf_protection_leave(&reader->protection, rc);
}

/* The calls for data take buffers of callers whom the core does not know: a mistake there must not be silently wrong bytes. */
static int overlap(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    uintptr_t at = (uintptr_t)a, other = (uintptr_t)b;
    return at < other ? other - at < a_len : at - other < b_len;
}

ptrdiff_t tf_record_open_data(tf_record_reader *reader, uint8_t *out, size_t cap, const uint8_t *in, size_t len, tf_opened *r)
{
    if (overlap(out, cap, in, len)) {
        memset(r, 0, sizeof *r);
        return TF_ERR_ARGUMENT;
    }
    int rc = tf_record_open(reader, out, cap, in, len, 0, r);
    if (rc != TF_OK)
        return rc;
    return r->consumed == len && r->type == 0 ? (ptrdiff_t)r->data_len : 0;
}

/* ---- Writing ---- */

/* RFC 8446, 5.5: 2^24.5 full-size records under one AES-GCM key; for ChaCha20-Poly1305 the sequence number ends first. Past its limit a key still
 * protects the KeyUpdate, tickets and the alert. */
enum { AES_GCM_RECORDS = 23726566, RESERVE = 4096 };

tf_record_writer *tf_record_writer_new(void)
{
    tf_record_writer *writer = new_aligned(sizeof *writer);
    if (writer != NULL) {
        writer->limit = INNER_MAX;
        writer->version = 0x0303;
    }
    return writer;
}

void tf_record_writer_free(tf_record_writer *writer)
{
    if (writer == NULL)
        return;
    tf_protection_forget(&writer->protection);
    free_aligned(writer);
}

void tf_record_writer_wipe(tf_record_writer *writer)
{
    tf_protection_wipe(&writer->protection);
}

static uint64_t own_limit(int aead)
{
    return aead == TF_CHACHA20_POLY1305 ? UINT64_MAX - RESERVE : AES_GCM_RECORDS;
}

static int writer_changed(tf_record_writer *writer, int aead, int rc)
{
    if (rc == TF_OK)
        writer->own_limit = own_limit(aead);
    return tf_protection_leave(&writer->protection, rc);
}

int tf_record_writer_use(tf_record_writer *writer, const tf_schedule *schedule, int traffic_secret)
{
    int rc = tf_protection_enter(&writer->protection);
    return rc != TF_OK ? rc : writer_changed(writer, schedule->aead, tf_protection_use(&writer->protection, schedule, traffic_secret));
}

int tf_record_writer_update_key(tf_record_writer *writer)
{
    int rc = tf_protection_enter(&writer->protection);
    return rc != TF_OK ? rc : writer_changed(writer, writer->protection.aead, tf_protection_update_key(&writer->protection));
}

int tf_record_writer_traffic_secret(tf_record_writer *writer, tf_secret *out)
{
    return tf_protection_traffic_secret(&writer->protection, out);
}

int tf_record_writer_set_key13(tf_record_writer *writer, int aead, int hash, const tf_secret *traffic_secret)
{
    int rc = tf_protection_enter(&writer->protection);
    return rc != TF_OK ? rc : writer_changed(writer, aead, tf_protection_set_key13(&writer->protection, aead, hash, traffic_secret));
}

int tf_record_writer_set_key12(tf_record_writer *writer, int aead, const tf_secret *key_block, int client)
{
    int rc = tf_protection_enter(&writer->protection);
    return rc != TF_OK ? rc : writer_changed(writer, aead, tf_protection_set_key12(&writer->protection, aead, key_block, client));
}

int tf_record_writer_set_limit(tf_record_writer *writer, size_t max_inner_plaintext)
{
    if (max_inner_plaintext < LIMIT_MIN || max_inner_plaintext > INNER_MAX)
        return TF_ERR_ARGUMENT;
    int rc = tf_protection_enter(&writer->protection);
    if (rc != TF_OK)
        return rc;
    writer->limit = max_inner_plaintext;
    return tf_protection_leave(&writer->protection, TF_OK);
}

int tf_record_writer_set_version(tf_record_writer *writer, int version)
{
    if (version >> 8 != 3)
        return TF_ERR_ARGUMENT;
    int rc = tf_protection_enter(&writer->protection);
    if (rc != TF_OK)
        return rc;
    writer->version = version;
    return tf_protection_leave(&writer->protection, TF_OK);
}

int tf_record_writer_set_usage_limit(tf_record_writer *writer, uint64_t records)
{
    int rc = tf_protection_enter(&writer->protection);
    if (rc != TF_OK)
        return rc;
    writer->lowered_limit = records;
    return tf_protection_leave(&writer->protection, TF_OK);
}

static size_t content_max(const tf_record_writer *writer, int is_protected)
{
    if (!is_protected || (writer->protection.epoch == TF_EPOCH_12 && writer->limit > TF_RECORD_MAX))
        return TF_RECORD_MAX;
    return writer->protection.epoch == TF_EPOCH_13 ? writer->limit - 1 : writer->limit;
}

static size_t records_for(size_t len, size_t max)
{
    return len == 0 ? 1 : (len - 1) / max + 1;
}

size_t tf_record_seal_size(const tf_record_writer *writer, size_t len)
{
    int is_protected = writer->protection.epoch != TF_EPOCH_CLEAR;
    size_t overhead = HEADER + (is_protected ? tf_protection_overhead(&writer->protection) : 0);
    size_t records = records_for(len, content_max(writer, is_protected));
    return records > (SIZE_MAX - len) / overhead ? SIZE_MAX : len + records * overhead;
}

/* How many records of this type the present key may still protect. */
static uint64_t records_left(const tf_record_writer *writer, int type)
{
    uint64_t limit = writer->own_limit;
    if (writer->lowered_limit != 0 && writer->lowered_limit < limit)
        limit = writer->lowered_limit;
    if (type != APPLICATION_DATA)
        limit += RESERVE;
    return limit > writer->protection.sequence ? limit - writer->protection.sequence : 0;
}

static size_t write_clear(uint8_t *out, int type, int version, const uint8_t *in, size_t len)
{
    tf_record_header_write(out, type, version, len);
    memcpy(out + HEADER, in, len);
    return HEADER + len;
}

static int seal_records(tf_record_writer *writer, int type, uint8_t *out, size_t cap, const uint8_t *in, size_t len, tf_sealed *r)
{
    tf_protection *p = &writer->protection;
    int is_protected = p->epoch == TF_EPOCH_12 || (p->epoch == TF_EPOCH_13 && type != CHANGE_CIPHER_SPEC);
    if (type < CHANGE_CIPHER_SPEC || type > APPLICATION_DATA || cap < tf_record_seal_size(writer, len))
        return TF_ERR_ARGUMENT;
    if (type == APPLICATION_DATA ? !is_protected : len == 0)
        return TF_ERR_ARGUMENT;
    size_t max = content_max(writer, is_protected), records = records_for(len, max);
    if (is_protected && records > records_left(writer, type)) {
        if (type != APPLICATION_DATA)
            return TF_ERR_EXHAUSTED;
        records = (size_t)records_left(writer, type);
    }
    int version = p->epoch == TF_EPOCH_CLEAR ? writer->version : 0x0303;
    for (; records > 0; records--) {
        const uint8_t *part = len > 0 ? in + r->consumed : in;
        size_t part_len = len - r->consumed < max ? len - r->consumed : max;
        if (!is_protected)
            r->written += write_clear(out + r->written, type, version, part, part_len);
        else
            r->written += tf_protection_seal(p, type, out + r->written, part, part_len);
        r->consumed += part_len;
    }
    return TF_OK;
}

int tf_record_seal(tf_record_writer *writer, int type, uint8_t *out, size_t cap, const uint8_t *in, size_t len, tf_sealed *r)
{
    memset(r, 0, sizeof *r);
    int rc = tf_protection_enter(&writer->protection);
    if (rc != TF_OK)
        return rc;
    return tf_protection_leave(&writer->protection, seal_records(writer, type, out, cap, in, len, r));
}

ptrdiff_t tf_record_seal_data(tf_record_writer *writer, uint8_t *out, size_t cap, const uint8_t *in, size_t len)
{
    tf_sealed r = {0, 0};
    if (overlap(out, cap, in, len))
        return TF_ERR_ARGUMENT;
    int rc = tf_protection_enter(&writer->protection);
    if (rc != TF_OK)
        return rc;
    if (records_for(len, content_max(writer, 1)) > records_left(writer, APPLICATION_DATA))
        rc = TF_ERR_EXHAUSTED;
    else
        rc = seal_records(writer, APPLICATION_DATA, out, cap, in, len, &r);
    rc = tf_protection_leave(&writer->protection, rc);
    return rc != TF_OK ? rc : (ptrdiff_t)r.written;
}
