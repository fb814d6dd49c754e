/* SPDX-License-Identifier: Apache-2.0 */
/* Record protection in TLS 1.2: records that another library sealed, every rule of RFC 5246, 6.2, RFC 5288, 3 and RFC 7905, 2 at its limit and one
 * past it, both sides of a key block, the explicit nonce, the additional data as received, the sequence number's end, the busy flag and the wipe. */
#include "../../csrc/internal.h"

#include "check.h"

enum { OUT = 64 * 1024, WIRE = 64 * 1024 };

static uint8_t out[OUT], wire[WIRE], text[WIRE];
static tf_opened opened;
static tf_sealed sealed;

/* ---- A peer that may do anything ---- */

typedef struct {
    int aead, client;
    uint64_t sequence, nonce; /* nonce: the explicit one, of AES-GCM */
    tf_secret key_block;
    uint8_t key[32], iv[12];
    size_t key_len, iv_len, overhead;
} peer;

/* RFC 5246, 6.3: client_write_key | server_write_key | client_write_IV | server_write_IV. */
static void peer_start(peer *p, int aead, int client, uint64_t seed)
{
    uint8_t block[88];
    p->aead = aead;
    p->client = client;
    p->sequence = 0;
    p->nonce = 0xF0E0D0C0B0A09080u; /* it need not be the number */
    p->key_len = tf_aead_key_length(aead);
    p->iv_len = aead == TF_CHACHA20_POLY1305 ? 12 : 4;
    p->overhead = 12 - p->iv_len + 16;
    check_noise(block, sizeof block, seed);
    CHECK(tf_secret_set(&p->key_block, block, 2 * (p->key_len + p->iv_len)) == TF_OK);
    memcpy(p->key, block + (client ? 0 : p->key_len), p->key_len);
    memcpy(p->iv, block + 2 * p->key_len + (client ? 0 : p->iv_len), p->iv_len);
}

static void peer_header(uint8_t *at, int type, int version, size_t length)
{
    at[0] = (uint8_t)type;
    at[1] = (uint8_t)(version >> 8);
    at[2] = (uint8_t)version;
    at[3] = (uint8_t)(length >> 8);
    at[4] = (uint8_t)length;
}

/* A record under the peer's next number and nonce; its tag covers the version as it stands. */
static size_t peer_record_version(peer *p, uint8_t *at, int type, int version, const uint8_t *content, size_t len)
{
    uint8_t nonce[12], aad[13], *fragment = at + 5;
    for (int i = 0; i < 8; i++)
        aad[i] = (uint8_t)(p->sequence >> (56 - 8 * i));
    peer_header(aad + 8, type, version, len);
    peer_header(at, type, version, len + p->overhead);
    memcpy(nonce, p->iv, p->iv_len);
    for (int i = 0; i < 8; i++) {
        if (p->iv_len == 12) {
            nonce[4 + i] ^= aad[i];
            continue;
        }
        nonce[4 + i] = (uint8_t)(p->nonce >> (56 - 8 * i));
        *fragment++ = nonce[4 + i];
    }
    p->sequence++;
    p->nonce += 3;
    CHECK(tf_test_aead_seal(p->aead, fragment, p->key, nonce, aad, sizeof aad, content, len) == TF_OK);
    return 5 + p->overhead + len;
}

static size_t peer_record(peer *p, uint8_t *at, int type, const uint8_t *content, size_t len)
{
    return peer_record_version(p, at, type, 0x0303, content, len);
}

static tf_record_reader *reader_for(const peer *p)
{
    tf_record_reader *reader = tf_record_reader_new();
    CHECK(tf_record_reader_set_key12(reader, p->aead, &p->key_block, p->client) == TF_OK);
    return reader;
}

static tf_record_writer *writer_for(const peer *p)
{
    tf_record_writer *writer = tf_record_writer_new();
    CHECK(tf_record_writer_set_key12(writer, p->aead, &p->key_block, p->client) == TF_OK);
    return writer;
}

static int open_all(tf_record_reader *reader, size_t len)
{
    memset(out, 0xA5, sizeof out);
    return tf_record_open(reader, out, OUT, wire, len, 0, &opened);
}

static int is_result(size_t consumed, size_t data_len, int type, size_t other_len, size_t need)
{
    int good =
        opened.consumed == consumed && opened.data_len == data_len && opened.type == type && opened.other_len == other_len && opened.need == need;
    if (!good)
        fprintf(stderr, "consumed %zu, data %zu, type %d, other %zu, need %zu\n", opened.consumed, opened.data_len, opened.type, opened.other_len,
                opened.need);
    return good;
}

static int all_are(const uint8_t *p, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != value)
            return 0;
    return 1;
}

/* The reader must refuse wire[len] with this error, keep the good bytes before it, zero what the record wrote and nothing more, and stay refused. */
static void check_refused(tf_record_reader *reader, size_t len, int error, size_t good, size_t data_len, size_t failed)
{
    CHECK(open_all(reader, len) == error);
    CHECK(is_result(good, data_len, 0, 0, 0));
    CHECK(all_are(out + data_len, failed, 0) && all_are(out + data_len + failed, 64, 0xA5));
    CHECK(tf_record_open(reader, out, OUT, wire, len, 0, &opened) == error);
    CHECK(is_result(0, 0, 0, 0, 0));
    tf_record_reader_free(reader);
}

/* ---- What others sealed ---- */

typedef struct {
    int aead;
    const char *client, *server; /* each side's second record: type 23, "twelve", key_block 00 01 02 ... */
} vector;

/* Computed with the AESGCM and ChaCha20Poly1305 of the cryptography package, from the nonce and the additional data as the RFCs write them. */
static const vector vectors[] = {
    {TF_AES_128_GCM, "170303001e000000000000000154b49ec8f7b45183d276ec5307ee2f88c36eb3a1b035",
     "170303001e00000000000000013692f8ddfe68b9bc2510016dbbbb12a50bcda76798b7"},
    {TF_AES_256_GCM, "170303001e000000000000000177d55deff5d1f51a007985059ca467e05917e0caf220",
     "170303001e0000000000000001808a5d20f13ec74125899f529d36612f9b4d3d0d9b20"},
    {TF_CHACHA20_POLY1305, "1703030016df44d718d049be8597f0b15e7c086844748e2b2214b8", "17030300166b6f21d255318f2a03bfee61e8dbbae345f9b72a1827"},
};

static void check_vectors(void)
{
    uint8_t block[88];
    tf_secret key_block;
    for (uint8_t i = 0; i < sizeof block; i++)
        block[i] = i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const vector *v = &vectors[i];
        size_t iv_len = v->aead == TF_CHACHA20_POLY1305 ? 12 : 4;
        CHECK(tf_secret_set(&key_block, block, 2 * (tf_aead_key_length(v->aead) + iv_len)) == TF_OK);
        for (int client = 0; client <= 1; client++) {
            tf_record_writer *writer = tf_record_writer_new();
            tf_record_reader *reader = tf_record_reader_new();
            CHECK(tf_record_writer_set_key12(writer, v->aead, &key_block, client) == TF_OK);
            CHECK(tf_record_reader_set_key12(reader, v->aead, &key_block, client) == TF_OK);
            CHECK(tf_record_seal(writer, 22, wire, WIRE, block, 16, &sealed) == TF_OK); /* Finished, the first under the key */
            size_t first = sealed.written;
            CHECK(open_all(reader, first) == TF_OK && is_result(first, 0, 22, 16, 5) && opened.is_protected && memcmp(out, block, 16) == 0);
            CHECK(tf_record_seal(writer, 23, wire, WIRE, (const uint8_t *)"twelve", 6, &sealed) == TF_OK);
            CHECK(2 * sealed.written == strlen(client ? v->client : v->server) && check_is(wire, client ? v->client : v->server));
            CHECK(open_all(reader, sealed.written) == TF_OK && is_result(sealed.written, 6, 0, 0, 5) && memcmp(out, "twelve", 6) == 0);
            tf_record_writer_free(writer);
            tf_record_reader_free(reader);
        }
    }
}

/* ---- Both ways ---- */

static void check_round_trip(int aead)
{
    static const size_t lengths[] = {0, 1, 2, 15, 16, 17, 1350, 16383, 16384, 16385, 32768, 40000};
    peer p;
    check_noise(text, WIRE, 4);
    for (int client = 0; client <= 1; client++) {
        peer_start(&p, aead, client, 11);
        p.nonce = 0;
        tf_record_writer *writer = writer_for(&p);
        tf_record_reader *reader = reader_for(&p);
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            size_t len = lengths[i], records = len == 0 ? 1 : (len + 16383) / 16384, size = len + (5 + p.overhead) * records;
            CHECK(tf_record_seal_size(writer, len) == size);
            CHECK(tf_record_seal(writer, 23, wire, size - 1, text, len, &sealed) == TF_ERR_ARGUMENT);
            CHECK(sealed.consumed == 0 && sealed.written == 0);
            memset(wire, 0xA5, WIRE);
            CHECK(tf_record_seal(writer, 23, wire, size, text, len, &sealed) == TF_OK);
            CHECK(sealed.consumed == len && sealed.written == size && wire[size] == 0xA5);
            for (size_t at = 0, left = len; records > 0; records--) { /* as the peer would: the explicit nonce is the number */
                size_t part = left < 16384 ? left : 16384;
                p.nonce = p.sequence;
                size_t record = peer_record(&p, out, 23, text + len - left, part);
                CHECK(memcmp(wire + at, out, record) == 0);
                at += record;
                left -= part;
            }
            CHECK(open_all(reader, size) == TF_OK);
            CHECK(is_result(size, len, len == 0 ? 23 : 0, 0, 5) && memcmp(out, text, len) == 0);
        }
        /* The other side's keys open nothing of this. */
        tf_record_reader *other = tf_record_reader_new();
        CHECK(tf_record_writer_set_key12(writer, aead, &p.key_block, client) == TF_OK); /* back to number 0 */
        CHECK(tf_record_reader_set_key12(other, aead, &p.key_block, !client) == TF_OK);
        CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 100, &sealed) == TF_OK);
        check_refused(other, sealed.written, TF_ERR_BAD_RECORD_MAC, 0, 0, 100);
        tf_record_writer_free(writer);
        tf_record_reader_free(reader);
    }
}

/* Data, a handshake message, an empty record of data, ChangeCipherSpec, data; a peer whose explicit nonces are no sequence numbers. */
static void check_mixture(int aead)
{
    peer p;
    peer_start(&p, aead, 1, 12);
    size_t a = peer_record(&p, wire, 23, text, 100);
    size_t b = a + peer_record(&p, wire + a, 23, text + 100, 50);
    size_t c = b + peer_record(&p, wire + b, 22, text, 30);
    size_t d = c + peer_record(&p, wire + c, 23, NULL, 0);
    size_t e = d + peer_record(&p, wire + d, 20, text, 1);
    size_t f = e + peer_record(&p, wire + e, 23, text, 40);
    const size_t ends[] = {c, d, e};
    const int types[] = {22, 23, 20};
    const size_t lengths[] = {30, 0, 1};
    tf_record_reader *reader = reader_for(&p);
    size_t done = 0;
    for (int i = 0; i < 3; i++) {
        memset(out, 0xA5, sizeof out);
        CHECK(tf_record_open(reader, out, OUT, wire + done, f - done, 0, &opened) == TF_OK);
        size_t data = i == 0 ? 150 : 0;
        CHECK(is_result(ends[i] - done, data, types[i], lengths[i], 0) && opened.is_protected);
        CHECK(memcmp(out, text, data) == 0 && memcmp(out + data, text, lengths[i]) == 0);
        done = ends[i];
    }
    memmove(wire, wire + e, f - e);
    for (size_t n = 1; n < f - e; n++) {
        CHECK(open_all(reader, n) == TF_OK);
        CHECK(is_result(0, 0, 0, 0, n < 5 ? 5 - n : f - e - n) && all_are(out, 64, 0xA5));
    }
    for (size_t cap = 0; cap < f - e - 5; cap++) { /* room for the whole fragment, or nothing happens */
        CHECK(tf_record_open(reader, out, cap, wire, f - e, 0, &opened) == TF_OK);
        CHECK(is_result(0, 0, 0, 0, 0) && all_are(out, 64, 0xA5));
    }
    CHECK(tf_record_open(reader, out, f - e - 5, wire, f - e, 1, &opened) == TF_OK);
    CHECK(is_result(f - e, 40, 0, 0, 5) && memcmp(out, text, 40) == 0);
    tf_record_reader_free(reader);
}

/* ---- What a record may be ---- */

static void check_types(int aead)
{
    peer p;
    for (int type = 0; type < 256; type++) {
        peer_start(&p, aead, 0, 13);
        size_t len = peer_record(&p, wire, type, text, 3);
        if (type >= 20 && type <= 23) {
            tf_record_reader *reader = reader_for(&p);
            CHECK(open_all(reader, len) == TF_OK);
            CHECK(type == 23 ? is_result(len, 3, 0, 0, 5) : is_result(len, 0, type, 3, 5));
            tf_record_reader_free(reader);
            continue;
        }
        check_refused(reader_for(&p), 1, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0); /* at its first byte, genuine or not */
        check_refused(reader_for(&p), len, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
    }
    /* RFC 5246, 6.2.1: no empty fragments but of application data. The good record before it survives. */
    for (int type = 20; type <= 22; type++) {
        peer_start(&p, aead, 0, 13);
        size_t good = peer_record(&p, wire, 23, text, 9);
        size_t len = good + peer_record(&p, wire + good, type, NULL, 0);
        check_refused(reader_for(&p), len, TF_ERR_UNEXPECTED_MESSAGE, good, 9, 0);
    }
    /* Neither an alert in the clear nor early data is a way around the key. */
    for (int type = 20; type <= 23; type++) {
        tf_record_reader *reader = reader_for(&p);
        CHECK(tf_record_reader_allow_plaintext_alert(reader) == TF_OK);
        CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_UNDECRYPTABLE, 1 << 20) == TF_OK);
        peer_header(wire, type, 0x0303, 2);
        check_refused(reader, 7, TF_ERR_BAD_RECORD_MAC, 0, 0, 0);
    }
}

static void check_lengths(int aead)
{
    peer p;
    /* Too short for nonce and tag, down to nothing at all; then with room for them, forged. */
    peer_start(&p, aead, 1, 14);
    for (int type = 20; type <= 23; type++) {
        for (size_t n = 0; n <= p.overhead; n++) {
            peer_header(wire, type, 0x0303, n);
            memset(wire + 5, 0, n);
            check_refused(reader_for(&p), 5 + n, TF_ERR_BAD_RECORD_MAC, 0, 0, 0);
        }
    }
    /* RFC 5246, 6.2.1: content of 2^14, and one more. */
    size_t len = peer_record(&p, wire, 23, text, 16384);
    tf_record_reader *reader = reader_for(&p);
    CHECK(open_all(reader, len) == TF_OK && is_result(len, 16384, 0, 0, 5) && memcmp(out, text, 16384) == 0);
    tf_record_reader_free(reader);
    /* 6.2.3: a fragment of 2^14 + 2048 is read, and then its content is too long; one more is refused at the fifth byte. */
    const size_t contents[] = {16385, 16384 + 2048 - p.overhead};
    for (int i = 0; i < 2; i++) {
        for (int type = 20; type <= 23; type++) {
            peer_start(&p, aead, 1, 14);
            len = peer_record(&p, wire, type, text, contents[i]);
            check_refused(reader_for(&p), len, TF_ERR_RECORD_OVERFLOW, 0, 0, contents[i]);
        }
        wire[len - 1] ^= 1; /* not genuine: that is the fault then */
        check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, 0, 0, contents[i]);
    }
    peer_header(wire, 23, 0x0303, 16384 + 2048);
    reader = reader_for(&p);
    CHECK(open_all(reader, 5) == TF_OK && is_result(0, 0, 0, 0, 16384 + 2048));
    peer_header(wire, 23, 0x0303, 16384 + 2049);
    CHECK(open_all(reader, 4) == TF_OK && is_result(0, 0, 0, 0, 1));
    check_refused(reader, 5, TF_ERR_RECORD_OVERFLOW, 0, 0, 0);

    /* RFC 8449, 4: in TLS 1.2 the limit is of the content alone, and never above 2^14. */
    for (size_t limit = 64; limit <= 16384; limit += 16320 / 3) {
        for (size_t over = 0; over <= 1; over++) {
            peer_start(&p, aead, 1, 14);
            len = peer_record(&p, wire, 22, text, limit + over);
            reader = reader_for(&p);
            CHECK(tf_record_reader_set_limit(reader, limit) == TF_OK);
            if (over != 0) {
                check_refused(reader, len, TF_ERR_RECORD_OVERFLOW, 0, 0, limit + 1);
                continue;
            }
            CHECK(open_all(reader, len) == TF_OK && is_result(len, 0, 22, limit, 5));
            tf_record_reader_free(reader);
        }
    }
}

/* Every bit of a record matters: type, version, explicit nonce, ciphertext, tag; and its number. */
static void check_tampering(int aead)
{
    peer p;
    peer_start(&p, aead, 0, 15);
    size_t good = peer_record(&p, wire, 23, text, 9);
    size_t len = good + peer_record(&p, wire + good, 22, text, 50);
    for (size_t bit = 0; bit < (len - good) * 8; bit++) {
        uint8_t *byte = &wire[good + bit / 8];
        if (bit / 8 == 3 || bit / 8 == 4)
            continue; /* another length is another record: check_lengths */
        *byte ^= (uint8_t)(1 << bit % 8);
        if (bit >= 8)
            check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, good, 9, bit / 8 < 3 ? 0 : 50);
        else if (*byte >= 20 && *byte <= 23)
            check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, good, 9, 50);
        else
            check_refused(reader_for(&p), len, TF_ERR_UNEXPECTED_MESSAGE, good, 9, 0);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    tf_record_reader *reader = reader_for(&p);
    CHECK(open_all(reader, len) == TF_OK && is_result(len, 9, 22, 50, 5));
    tf_record_reader_free(reader);
    memmove(wire + good, wire, good); /* a replay */
    check_refused(reader_for(&p), 2 * good, TF_ERR_BAD_RECORD_MAC, good, 9, 9);
    peer_start(&p, aead, 0, 15); /* a record out of order, whose explicit nonce the reader would take */
    p.sequence = 1;
    len = peer_record(&p, wire, 23, text, 9);
    check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, 0, 0, 9);
    for (int version = 0; version < 0x10000; version += 0x101) { /* even under a tag that covers it */
        peer_start(&p, aead, 0, 15);
        len = peer_record_version(&p, wire, 23, version, text, 9);
        if (version != 0x0303)
            check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, 0, 0, 0);
    }
}

/* ---- The writer's limits, and numbers ---- */

static void check_writer(int aead)
{
    peer p;
    peer_start(&p, aead, 1, 16);
    tf_record_writer *writer = writer_for(&p);
    tf_record_reader *reader = reader_for(&p);
    for (int type = 20; type <= 22; type++)
        CHECK(tf_record_seal(writer, type, wire, WIRE, NULL, 0, &sealed) == TF_ERR_ARGUMENT);
    CHECK(tf_record_seal(writer, 19, wire, WIRE, text, 1, &sealed) == TF_ERR_ARGUMENT);
    CHECK(tf_record_seal(writer, 24, wire, WIRE, text, 1, &sealed) == TF_ERR_ARGUMENT);
    /* In this epoch a ChangeCipherSpec is protected as all else. */
    CHECK(tf_record_seal(writer, 20, wire, WIRE, (const uint8_t *)"\1", 1, &sealed) == TF_OK);
    CHECK(sealed.written == 6 + p.overhead && writer->protection.sequence == 1);
    CHECK(open_all(reader, sealed.written) == TF_OK && is_result(sealed.written, 0, 20, 1, 5) && opened.is_protected && out[0] == 1);

    CHECK(tf_record_writer_set_version(writer, 0x0301) == TF_OK); /* not for records under a key */
    CHECK(tf_record_writer_set_limit(writer, 16385) == TF_OK);    /* RFC 8449, 4: 2^14 + 1 speaks of TLS 1.3 */
    CHECK(tf_record_seal_size(writer, 16385) == 16385 + 2 * (5 + p.overhead));
    CHECK(tf_record_writer_set_limit(writer, 64) == TF_OK);
    CHECK(tf_record_reader_set_limit(reader, 64) == TF_OK);
    CHECK(tf_record_seal_size(writer, 1000) == 1000 + 16 * (5 + p.overhead));
    CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 1000, &sealed) == TF_OK && sealed.consumed == 1000);
    CHECK(open_all(reader, sealed.written) == TF_OK && is_result(sealed.written, 1000, 0, 0, 5) && memcmp(out, text, 1000) == 0);

    /* The usage limit: 20 records, of which 17 are spent; the alert has its reserve. */
    CHECK(tf_record_writer_set_usage_limit(writer, 20) == TF_OK);
    CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 1000, &sealed) == TF_OK && sealed.consumed == 3 * 64);
    CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 1000, &sealed) == TF_OK && sealed.consumed == 0 && sealed.written == 0);
    CHECK(tf_record_seal(writer, 21, wire, WIRE, text, 2, &sealed) == TF_OK && sealed.consumed == 2);
    writer->protection.sequence = 20 + 4096;
    for (int type = 20; type <= 22; type++)
        CHECK(tf_record_seal(writer, type, wire, WIRE, text, 2, &sealed) == TF_ERR_EXHAUSTED && sealed.written == 0);
    CHECK(tf_record_writer_set_usage_limit(writer, 0) == TF_OK);
    uint64_t own = aead == TF_CHACHA20_POLY1305 ? UINT64_MAX - 4096 : 23726566;
    writer->protection.sequence = own - 1;
    CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 200, &sealed) == TF_OK && sealed.consumed == 64 && writer->protection.sequence == own);
    tf_record_writer_free(writer);
    tf_record_reader_free(reader);

    /* RFC 5246, 6.1: numbers go up to the last and never wrap; the whole number is in the nonce and in the additional data. */
    const uint64_t numbers[] = {0xFF, 0x100, 0x123456789ABCDEF0u};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        writer = writer_for(&p);
        writer->own_limit = UINT64_MAX - 4096;
        writer->protection.sequence = p.sequence = p.nonce = numbers[i];
        size_t len = peer_record(&p, wire, 23, text, 4);
        CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_OK);
        CHECK(sealed.written == len && memcmp(out, wire, len) == 0);
        tf_record_writer_free(writer);
    }
    reader = reader_for(&p);
    p.sequence = reader->protection.sequence = UINT64_MAX - 1;
    size_t len = peer_record(&p, wire, 23, text, 4), good = len;
    len += peer_record(&p, wire + len, 23, text, 4);
    check_refused(reader, len, TF_ERR_EXHAUSTED, good, 4, 0);
}

/* ---- Keys, wipes and the busy flag ---- */

static void check_contexts(int aead)
{
    peer p;
    tf_secret wrong = {0};
    uint8_t block[TF_SECRET_MAX] = {1};
    peer_start(&p, aead, 1, 17);
    tf_record_reader *reader = tf_record_reader_new();
    tf_record_writer *writer = writer_for(&p);
    CHECK(tf_record_reader_allow_plaintext_alert(reader) == TF_OK && tf_record_reader_skip_early_data(reader, TF_SKIP_UNDECRYPTABLE, 100) == TF_OK);
    CHECK(tf_record_reader_set_key12(reader, p.aead, &p.key_block, p.client) == TF_OK);
    CHECK(reader->plaintext_alert == 0 && reader->skip == TF_SKIP_NONE); /* a new key ends both */

    /* A key block of any other length, or of no algorithm, is refused and changes nothing. */
    for (size_t n = 0; n <= TF_SECRET_MAX; n++) {
        CHECK(tf_secret_set(&wrong, block, n) == TF_OK);
        if (n == p.key_block.len)
            continue;
        CHECK(tf_record_reader_set_key12(reader, aead, &wrong, 1) == TF_ERR_ARGUMENT);
        CHECK(tf_record_writer_set_key12(writer, aead, &wrong, 1) == TF_ERR_ARGUMENT);
    }
    CHECK(tf_record_reader_set_key12(reader, 0, &p.key_block, 1) == TF_ERR_ARGUMENT);
    CHECK(tf_record_writer_set_key12(writer, 4, &p.key_block, 1) == TF_ERR_ARGUMENT);
    size_t len = peer_record(&p, wire, 23, text, 4);
    CHECK(open_all(reader, len) == TF_OK && is_result(len, 4, 0, 0, 5));

    reader->protection.busy = writer->protection.busy = 1; /* another thread is inside */
    CHECK(tf_record_reader_set_key12(reader, aead, &p.key_block, 1) == TF_ERR_BUSY);
    CHECK(tf_record_writer_set_key12(writer, aead, &p.key_block, 1) == TF_ERR_BUSY);
    CHECK(tf_record_open(reader, out, OUT, wire, len, 0, &opened) == TF_ERR_BUSY && opened.consumed == 0);
    CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_ERR_BUSY && sealed.written == 0);
    CHECK(reader->protection.sequence == 1 && writer->protection.sequence == 0);
    reader->protection.busy = writer->protection.busy = 0;

    /* From the clear to TLS 1.2 and, as a renegotiation would, to a new key at number 0. */
    CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 4, &sealed) == TF_OK && writer->protection.sequence == 1);
    CHECK(tf_record_writer_set_key12(writer, aead, &p.key_block, 0) == TF_OK && writer->protection.sequence == 0);

    tf_record_reader_wipe(reader);
    tf_record_writer_wipe(writer);
    CHECK(all_are(reader->protection.key.state, TF_AEAD_STATE, 0) && all_are(reader->protection.iv, 12, 0) && reader->protection.key.impl == NULL);
    CHECK(all_are(writer->protection.key.state, TF_AEAD_STATE, 0) && all_are(writer->protection.iv, 12, 0) && writer->protection.key.impl == NULL);
    CHECK(open_all(reader, len) == TF_ERR_EXHAUSTED && is_result(0, 0, 0, 0, 0));
    CHECK(tf_record_reader_set_key12(reader, aead, &p.key_block, 1) == TF_ERR_EXHAUSTED);
    CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_ERR_EXHAUSTED && sealed.written == 0);
    CHECK(tf_record_writer_set_key12(writer, aead, &p.key_block, 1) == TF_ERR_EXHAUSTED);
    tf_record_reader_free(reader);
    tf_record_writer_free(writer);
}

int main(void)
{
    check_vectors();
    for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++) {
        check_round_trip(aead);
        check_mixture(aead);
        check_types(aead);
        check_lengths(aead);
        check_tampering(aead);
        check_writer(aead);
        check_contexts(aead);
    }
    return check_done();
}
