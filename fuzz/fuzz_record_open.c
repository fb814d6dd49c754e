/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer on tf_record_open: an input is a reader's configuration, a script that makes wire bytes (records of the writer, genuine records the
 * writer would never make, rubbish, flipped bits), and how to cut them. It is read twice, whole and in pieces; both must tell the same story, and
 * under a key, of TLS 1.3 or of TLS 1.2, that story must be what was sealed, in order, or an error that stays. run_libfuzzer.sh builds and runs it.
 */
#include "../csrc/internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { WIRE_MAX = 1 << 17, RECORDS_MAX = 48, FRAGMENT_MAX = 16384 + 2048, GUARD = 32, UNTOUCHED = 0xa5 };

/* What must hold; a breach is a crash with its line. */
#define MUST(condition) ((condition) ? (void)0 : breach(#condition, __LINE__))

static void breach(const char *text, int line)
{
    fprintf(stderr, "fuzz_record_open.c:%d: does not hold: %s\n", line, text);
    abort();
}

/* ---- The input ---- */

typedef struct {
    const uint8_t *p;
    size_t left;
} input;

static unsigned take(input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->p++;
}

static unsigned take16(input *in)
{
    unsigned high = take(in);
    return high << 8 | take(in);
}

typedef struct {
    int is_keyed, is_12, aead, hash, plaintext_alert, skip;
    size_t limit, skip_budget, chunk, cap, max_records;
} config;

static config take_config(input *in)
{
    static const int hashes[] = {TF_SHA256, TF_SHA384, TF_SHA256};
    config c;
    unsigned flags = take(in);
    c.is_keyed = flags & 1;
    c.is_12 = c.is_keyed && (flags & 0x80) != 0;
    c.plaintext_alert = flags >> 1 & 1;
    c.skip = (int)(flags >> 2 & 3) % 3;
    c.aead = 1 + (int)(flags >> 4 & 3) % 3;
    c.hash = hashes[c.aead - 1];
    c.limit = flags & 0x40 ? TF_RECORD_MAX + 1 : 64 + take(in);
    c.skip_budget = 16 * (size_t)take(in);
    c.chunk = 1 + (size_t)take(in);
    c.cap = 8 * (size_t)take(in);
    c.max_records = take(in) & 3;
    return c;
}

/* ---- What was sealed ---- */

typedef struct {
    int type;       /* of the last non-zero byte of the inner plaintext; 0 if there is none. TLS 1.2: of the header */
    int rekey;      /* the keys change behind it */
    size_t inner;   /* TLSInnerPlaintext's length; TLS 1.2: the content's */
    size_t at, len; /* the content, in story.sealed */
} genuine;

typedef struct {
    config c;
    uint8_t wire[WIRE_MAX], sealed[WIRE_MAX];
    size_t wire_len, sealed_len, count;
    genuine records[RECORDS_MAX];
    int is_intact; /* every byte of wire is the writer's or crafted */
} story;

static void traffic_secret(tf_secret *secret, const config *c, int generation)
{
    uint8_t bytes[TF_HASH_MAX];
    memset(bytes, generation + 1, sizeof bytes);
    MUST(tf_secret_set(secret, bytes, tf_hash_length(c->hash)) == TF_OK);
}

/* The key block of the generation, which serves the client's side. */
static void key_block(tf_secret *secret, const config *c, int generation)
{
    uint8_t bytes[TF_SECRET_MAX];
    memset(bytes, 2 * generation + 1, sizeof bytes);
    MUST(tf_secret_set(secret, bytes, 2 * (tf_aead_key_length(c->aead) + (c->aead == TF_CHACHA20_POLY1305 ? TF_NONCE : 4))) == TF_OK);
}

static void set_writer_key(tf_record_writer *writer, const config *c, int generation)
{
    tf_secret secret;
    (c->is_12 ? key_block : traffic_secret)(&secret, c, generation);
    MUST((c->is_12 ? tf_record_writer_set_key12(writer, c->aead, &secret, 1) : tf_record_writer_set_key13(writer, c->aead, c->hash, &secret)) ==
         TF_OK);
}

static void set_reader_key(tf_record_reader *reader, const config *c, int generation)
{
    tf_secret secret;
    (c->is_12 ? key_block : traffic_secret)(&secret, c, generation);
    MUST((c->is_12 ? tf_record_reader_set_key12(reader, c->aead, &secret, 1) : tf_record_reader_set_key13(reader, c->aead, c->hash, &secret)) ==
         TF_OK);
}

/* What a protected record has on the wire beyond header and TLSInnerPlaintext, or content. */
static size_t overhead(const config *c)
{
    return TF_TAG + (c->is_12 && c->aead != TF_CHACHA20_POLY1305 ? 8 : 0);
}

static void remember12(story *s, int type, const uint8_t *content, size_t len, int rekey)
{
    genuine *g = &s->records[s->count++];
    *g = (genuine){type, rekey, len, s->sealed_len, len};
    if (len > 0)
        memcpy(s->sealed + s->sealed_len, content, len);
    s->sealed_len += len;
}

static void remember(story *s, const uint8_t *inner, size_t inner_len, int rekey)
{
    genuine *g = &s->records[s->count++];
    size_t end = inner_len;
    while (end > 0 && inner[end - 1] == 0)
        end--;
    g->type = end > 0 ? inner[end - 1] : 0;
    g->rekey = rekey;
    g->inner = inner_len;
    g->at = s->sealed_len;
    g->len = end > 0 ? end - 1 : 0;
    memcpy(s->sealed + s->sealed_len, inner, g->len);
    s->sealed_len += g->len;
}

static void fill(uint8_t *out, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(seed + i * 7);
}

/* A record by the writer; in the clear too. */
static void write_record(story *s, tf_record_writer *writer, int type, size_t len, unsigned seed, int rekey)
{
    static uint8_t content[TF_RECORD_MAX + 1];
    tf_sealed r;
    fill(content, len, seed);
    if (tf_record_seal(writer, type, s->wire + s->wire_len, WIRE_MAX - s->wire_len, content, len, &r) != TF_OK)
        return; /* application data in the clear, an empty handshake record */
    int is_protected = s->c.is_12 || (s->c.is_keyed && type != 20);
    MUST(r.consumed == len && r.written == TF_RECORD_HEADER + len + (is_protected ? overhead(&s->c) + !s->c.is_12 : 0));
    s->wire_len += r.written;
    if (!is_protected)
        return;
    if (s->c.is_12) {
        remember12(s, type, content, len, rekey);
        return;
    }
    content[len] = (uint8_t)type;
    remember(s, content, len + 1, rekey);
}

/* A genuine record with any inner plaintext: content, a type, padding. */
static void craft_record(story *s, tf_record_writer *writer, int generation, uint64_t sequence, const uint8_t *inner, size_t len)
{
    static const uint8_t labels[] = "keyiv";
    tf_secret secret, key, iv;
    uint8_t *out = s->wire + s->wire_len, nonce[TF_NONCE], scratch[64];
    tf_sealed r;
    traffic_secret(&secret, &s->c, generation);
    MUST(tf_hkdf_expand_label(s->c.hash, &key, tf_aead_key_length(s->c.aead), &secret, labels, 3, NULL, 0) == TF_OK);
    MUST(tf_hkdf_expand_label(s->c.hash, &iv, TF_NONCE, &secret, labels + 3, 2, NULL, 0) == TF_OK);
    memcpy(nonce, iv.bytes, TF_NONCE);
    for (int i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(sequence >> (56 - 8 * i));
    const uint8_t header[TF_RECORD_HEADER] = {23, 3, 3, (uint8_t)((len + TF_TAG) >> 8), (uint8_t)(len + TF_TAG)};
    memcpy(out, header, sizeof header);
    MUST(tf_test_aead_seal(s->c.aead, out + sizeof header, key.bytes, nonce, header, sizeof header, inner, len) == TF_OK);
    s->wire_len += sizeof header + len + TF_TAG;
    remember(s, inner, len, 0);
    MUST(tf_record_seal(writer, 23, scratch, sizeof scratch, NULL, 0, &r) == TF_OK); /* the writer's sequence number goes on too */
}

/* The same in TLS 1.2: any type and any length, with an explicit nonce that is no sequence number. */
static void craft_record12(story *s, tf_record_writer *writer, int generation, uint64_t sequence, int type, const uint8_t *content, size_t len)
{
    tf_secret block;
    uint8_t *out = s->wire + s->wire_len, nonce[TF_NONCE], aad[13], scratch[64];
    tf_sealed r;
    size_t key_len = tf_aead_key_length(s->c.aead), explicit_len = overhead(&s->c) - TF_TAG, length = len + overhead(&s->c);
    key_block(&block, &s->c, generation);
    tf_store64be(aad, sequence);
    const uint8_t covered[] = {(uint8_t)type, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};
    memcpy(aad + 8, covered, sizeof covered);
    memcpy(nonce, block.bytes + 2 * key_len, TF_NONCE - explicit_len);
    tf_store64be(nonce + 4, explicit_len > 0 ? sequence * 3 + 1000 : tf_load64be(nonce + 4) ^ sequence);
    const uint8_t header[] = {(uint8_t)type, 3, 3, (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(out, header, sizeof header);
    memcpy(out + sizeof header, nonce + 4, explicit_len);
    MUST(tf_test_aead_seal(s->c.aead, out + sizeof header + explicit_len, block.bytes, nonce, aad, sizeof aad, content, len) == TF_OK);
    s->wire_len += sizeof header + length;
    remember12(s, type, content, len, 0);
    MUST(tf_record_seal(writer, 23, scratch, sizeof scratch, NULL, 0, &r) == TF_OK);
}

static void run_script(story *s, input *in)
{
    static uint8_t inner[FRAGMENT_MAX];
    tf_record_writer *writer = tf_record_writer_new();
    uint64_t sequence = 0;
    int generation = 0;
    MUST(writer != NULL);
    if (s->c.is_keyed)
        set_writer_key(writer, &s->c, 0);
    while (in->left > 0 && s->count < RECORDS_MAX && s->wire_len + FRAGMENT_MAX + 300 < WIRE_MAX && s->sealed_len + FRAGMENT_MAX < WIRE_MAX) {
        unsigned operation = take(in) % 10, seed = take(in);
        size_t before = s->count, len = take(in);
        switch (operation) {
        case 0:
            write_record(s, writer, 23, len, seed, 0);
            break;
        case 1:
            write_record(s, writer, 23, len * 64 + seed / 4, seed, 0);
            break;
        case 2:
            write_record(s, writer, 22, len, seed, 0);
            break;
        case 3:
            write_record(s, writer, 20 + (int)seed % 3, 1 + len % 2, seed, 0);
            break;
        case 4: /* content, any type, padding */
        case 5: /* the same, up to the longest fragment and past what a TLSInnerPlaintext may be */
            fill(inner, len, seed);
            inner[len] = (uint8_t)take(in);
            size_t padding = operation == 4 ? take(in) : take16(in) % (FRAGMENT_MAX - TF_TAG - 8 - 256);
            memset(inner + len + 1, 0, padding);
            if (s->c.is_12)
                craft_record12(s, writer, generation, sequence, seed % 8 == 0 ? inner[len] : 20 + (int)seed % 4, inner, len + padding);
            else if (s->c.is_keyed && len + 1 + padding + TF_TAG <= TF_RECORD_MAX + 256)
                craft_record(s, writer, generation, sequence, inner, len + 1 + padding);
            break;
        case 6: /* bytes as they come */
            s->is_intact = 0;
            for (size_t i = 0; i < len % 64; i++)
                s->wire[s->wire_len++] = (uint8_t)take(in);
            break;
        case 7: /* a flipped bit */
        case 8:
            s->is_intact = 0;
            if (s->wire_len > 0)
                s->wire[(len << 8 | take(in)) % s->wire_len] ^= (uint8_t)(1 << seed % 8);
            break;
        default: /* a handshake message that ends a key */
            write_record(s, writer, 22, 1 + len, seed, 1);
            if (s->c.is_keyed)
                set_writer_key(writer, &s->c, ++generation);
        }
        sequence = operation == 9 ? 0 : sequence + (s->count - before);
    }
    tf_record_writer_free(writer);
}

/* ---- What was read ---- */

typedef struct {
    int type, is_protected;
    size_t data_before, len;
} other_record;

typedef struct {
    uint8_t data[WIRE_MAX], others[WIRE_MAX];
    size_t data_len, others_len, count, consumed;
    other_record records[WIRE_MAX / TF_RECORD_HEADER];
    size_t next;    /* the genuine record that must come next */
    size_t skipped; /* wire bytes */
    int rc;
} account;

/* The next genuine record, which the reader says it opened; its length on the wire. */
static size_t check_next(const story *s, account *a, int type, const uint8_t *content, size_t len)
{
    MUST(a->next < s->count);
    const genuine *g = &s->records[a->next++];
    MUST(g->type == type && g->inner <= s->c.limit && g->len <= len);
    MUST(memcmp(content, s->sealed + g->at, g->len) == 0);
    return TF_RECORD_HEADER + g->inner + overhead(&s->c);
}

/* Under a key: data, then the other record if there is one, are what was sealed, next in order, and nothing but early data was passed over. */
static void check_genuine(const story *s, account *a, const uint8_t *out, const tf_opened *r)
{
    size_t accounted = 0, opened_before = a->next;
    for (size_t done = 0; done < r->data_len; done += s->records[a->next - 1].len) {
        accounted += check_next(s, a, 23, out + done, r->data_len - done);
        MUST(s->records[a->next - 1].len > 0);
    }
    if (r->is_protected) {
        accounted += check_next(s, a, r->type, out + r->data_len, r->other_len);
        MUST(s->records[a->next - 1].len == r->other_len);
    } else if (r->type != 0) {
        MUST(!s->c.is_12 && (r->type == 20 || (r->type == 21 && s->c.plaintext_alert && a->next == 0)));
        accounted += TF_RECORD_HEADER + r->other_len;
    }
    MUST(opened_before == 0 ? r->consumed >= accounted : r->consumed == accounted);
    a->skipped += r->consumed - accounted;
    MUST(a->skipped <= (s->c.skip == TF_SKIP_UNDECRYPTABLE && !s->c.is_12 ? s->c.skip_budget : 0));
}

/* What every answer obeys. */
static void check_answer(const tf_opened *r, int rc, const uint8_t *in, size_t len, const uint8_t *out, size_t cap)
{
    MUST(rc <= 0 && rc != TF_ERR_BUSY && rc != TF_ERR_ARGUMENT && rc != TF_ERR_RANDOM && rc != TF_ERR_PEER_KEY);
    MUST(r->consumed <= len && r->data_len <= r->consumed && r->data_len <= cap && r->other_len <= cap - r->data_len);
    MUST(r->type == 0 ? r->other_len == 0 && !r->is_protected : r->type >= 20 && r->type <= 23);
    MUST(r->type != 23 || (r->other_len == 0 && r->is_protected));
    MUST((r->type != 21 && r->type != 22) || r->other_len > 0);
    for (size_t i = 0; i < GUARD; i++)
        MUST(out[cap + i] == UNTOUCHED);
    if (rc != TF_OK) { /* no byte of the record that failed; the type byte of the good one before it may stand behind its data */
        MUST(r->type == 0);
        for (size_t i = r->data_len; i < cap; i++)
            MUST(out[i] == 0 || out[i] == UNTOUCHED || (out[i] == 23 && i == r->data_len && i > 0));
        return;
    }
    size_t left = len - r->consumed;
    const uint8_t *next = in + r->consumed;
    if (left == 0)
        MUST(r->need == TF_RECORD_HEADER);
    else if (left < TF_RECORD_HEADER)
        MUST(r->need == 0 || r->need == TF_RECORD_HEADER - left);
    else
        MUST(r->need == 0 || r->need + left == TF_RECORD_HEADER + ((size_t)next[3] << 8 | next[4]));
}

static void keep(const story *s, account *a, const uint8_t *out, const tf_opened *r)
{
    if (s->c.is_keyed)
        check_genuine(s, a, out, r);
    memcpy(a->data + a->data_len, out, r->data_len);
    a->data_len += r->data_len;
    a->consumed += r->consumed;
    if (r->type == 0)
        return;
    other_record *o = &a->records[a->count++];
    o->type = r->type;
    o->is_protected = r->is_protected;
    o->data_before = a->data_len;
    o->len = r->other_len;
    memcpy(a->others + a->others_len, out + r->data_len, r->other_len);
    a->others_len += r->other_len;
}

/* One call with buffers of exactly these sizes, so that AddressSanitizer sees a byte too many. */
static tf_opened open_once(const story *s, account *a, tf_record_reader *reader, size_t len, size_t cap, size_t max_records)
{
    tf_opened r;
    uint8_t *in = malloc(len + 1), *out = malloc(cap + GUARD);
    MUST(in != NULL && out != NULL);
    uint8_t *exact = in + 1;
    memcpy(exact, s->wire + a->consumed, len);
    memset(out, UNTOUCHED, cap + GUARD);
    a->rc = tf_record_open(reader, out, cap, exact, len, max_records, &r);
    check_answer(&r, a->rc, exact, len, out, cap);
    keep(s, a, out, &r);
    free(in);
    free(out);
    return r;
}

static void check_sticky(const story *s, account *a, tf_record_reader *reader)
{
    int rc = a->rc;
    size_t consumed = a->consumed, next = a->next;
    a->consumed = 0; /* even from the start, which was good once */
    tf_opened r = open_once(s, a, reader, s->wire_len, FRAGMENT_MAX, 0);
    MUST(a->rc == rc && r.consumed == 0 && r.data_len == 0 && r.type == 0 && a->next == next);
    a->consumed = consumed;
}

/* Reads all of the wire; chunk 0: at once. */
static void read_all(const story *s, account *a, size_t chunk)
{
    tf_record_reader *reader = tf_record_reader_new();
    int generation = 0;
    size_t available = chunk == 0 ? s->wire_len : 0, cap = chunk == 0 ? s->wire_len : s->c.cap;
    a->data_len = a->others_len = a->count = a->consumed = a->next = a->skipped = 0;
    MUST(reader != NULL && tf_record_reader_set_limit(reader, s->c.limit) == TF_OK);
    if (s->c.is_keyed)
        set_reader_key(reader, &s->c, 0);
    if (s->c.plaintext_alert)
        MUST(tf_record_reader_allow_plaintext_alert(reader) == TF_OK);
    MUST(tf_record_reader_skip_early_data(reader, s->c.skip, s->c.skip_budget) == TF_OK);
    for (;;) {
        tf_opened r = open_once(s, a, reader, available - a->consumed, cap, chunk == 0 ? 0 : s->c.max_records);
        if (a->rc != TF_OK)
            break;
        if (r.consumed == 0 && r.need == 0 && available > a->consumed) { /* a whole record or a fault waits: with room it must move */
            r = open_once(s, a, reader, available - a->consumed, FRAGMENT_MAX, 1);
            if (a->rc != TF_OK)
                break;
            MUST(r.consumed > 0);
        }
        if (r.type == 22 && r.is_protected && s->records[a->next - 1].rekey)
            set_reader_key(reader, &s->c, ++generation);
        if (r.consumed > 0)
            continue;
        if (available == s->wire_len)
            break;
        available = s->wire_len - available < chunk ? s->wire_len : available + chunk;
    }
    if (a->rc != TF_OK)
        check_sticky(s, a, reader);
    tf_record_reader_free(reader);
}

/* A wire that nobody touched is read to its end, or to the first record that no honest peer would send. */
static void check_complete(const story *s, const account *a)
{
    size_t i = 0;
    int rc = TF_OK;
    for (; i < s->count && rc == TF_OK; i++) {
        const genuine *g = &s->records[i];
        if (s->c.is_12 && (g->type < 20 || g->type > 23)) /* at the record's first byte */
            rc = TF_ERR_UNEXPECTED_MESSAGE;
        else if (g->inner > s->c.limit || (s->c.is_12 && g->inner > TF_RECORD_MAX))
            rc = TF_ERR_RECORD_OVERFLOW;
        else if (g->type < 21 - s->c.is_12 || g->type > 23 || (g->len == 0 && g->type != 23))
            rc = TF_ERR_UNEXPECTED_MESSAGE;
    }
    MUST(a->rc == rc && a->next == (rc == TF_OK ? s->count : i - 1));
    MUST(rc != TF_OK || a->consumed == s->wire_len);
}

static void compare(const account *a, const account *b)
{
    MUST(a->rc == b->rc && a->consumed == b->consumed && a->next == b->next);
    MUST(a->data_len == b->data_len && memcmp(a->data, b->data, a->data_len) == 0);
    MUST(a->others_len == b->others_len && memcmp(a->others, b->others, a->others_len) == 0);
    MUST(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const other_record *x = &a->records[i], *y = &b->records[i];
        MUST(x->type == y->type && x->is_protected == y->is_protected && x->data_before == y->data_before && x->len == y->len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static story s;
    static account whole, pieces;
    input in = {data, size};
    s.c = take_config(&in);
    s.wire_len = s.sealed_len = s.count = 0;
    s.is_intact = 1;
    run_script(&s, &in);
    read_all(&s, &whole, 0);
    read_all(&s, &pieces, s.c.chunk + s.wire_len / 256); /* a few hundred calls at most */
    compare(&whole, &pieces);
    if (s.c.is_keyed && s.is_intact)
        check_complete(&s, &whole);
    return 0;
}
