/* SPDX-License-Identifier: Apache-2.0 */
/* Record protection and tickets: RFC 8448's records, every split of a stream, every rule of RFC 8446, 5 at its limit and one past it, the sequence
 * number's end, the busy flag, and what each call leaves in its output. */
#include "../../csrc/internal.h"

#include "check.h"

enum { OUT = 64 * 1024, WIRE = 64 * 1024 };

static uint8_t out[OUT], wire[WIRE], text[WIRE];
static tf_opened opened;
static tf_sealed sealed;

/* ---- A peer that may do anything ---- */

typedef struct {
    int aead;
    uint64_t sequence;
    tf_secret key, iv, traffic;
} peer;

static void peer_start(peer *p, int aead, uint64_t seed)
{
    uint8_t bytes[32];
    check_noise(bytes, sizeof bytes, seed);
    p->aead = aead;
    p->sequence = 0;
    tf_secret_set(&p->traffic, bytes, 32);
    CHECK(tf_hkdf_expand_label(TF_SHA256, &p->key, tf_aead_key_length(aead), &p->traffic, (const uint8_t *)"key", 3, NULL, 0) == TF_OK);
    CHECK(tf_hkdf_expand_label(TF_SHA256, &p->iv, 12, &p->traffic, (const uint8_t *)"iv", 2, NULL, 0) == TF_OK);
}

static size_t clear_record(uint8_t *at, int type, int version, const uint8_t *content, size_t len)
{
    at[0] = (uint8_t)type;
    at[1] = (uint8_t)(version >> 8);
    at[2] = (uint8_t)version;
    at[3] = (uint8_t)(len >> 8);
    at[4] = (uint8_t)len;
    if (len > 0)
        memcpy(at + 5, content, len);
    return 5 + len;
}

/* A record whose TLSInnerPlaintext is content | type | zeros, protected under the peer's next number; type 0 leaves the type out. */
static size_t peer_record(peer *p, uint8_t *at, const uint8_t *content, size_t len, int type, size_t zeros)
{
    static uint8_t inner[20000];
    uint8_t nonce[12];
    size_t n = len;
    if (len > 0)
        memcpy(inner, content, len);
    if (type != 0)
        inner[n++] = (uint8_t)type;
    memset(inner + n, 0, zeros);
    n += zeros;
    memcpy(nonce, p->iv.bytes, 12);
    for (int i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(p->sequence >> 8 * i);
    p->sequence++;
    clear_record(at, 23, 0x0303, NULL, 0);
    at[3] = (uint8_t)((n + 16) >> 8);
    at[4] = (uint8_t)(n + 16);
    CHECK(tf_test_aead_seal(p->aead, at + 5, p->key.bytes, nonce, at, 5, inner, n) == TF_OK);
    return 5 + n + 16;
}

static tf_record_reader *reader_for(const peer *p)
{
    tf_record_reader *reader = tf_record_reader_new();
    CHECK(tf_record_reader_set_key13(reader, p->aead, TF_SHA256, &p->traffic) == TF_OK);
    return reader;
}

static tf_record_writer *writer_for(const peer *p)
{
    tf_record_writer *writer = tf_record_writer_new();
    CHECK(tf_record_writer_set_key13(writer, p->aead, TF_SHA256, &p->traffic) == TF_OK);
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

/* The reader must refuse wire[len] with this error, keep the good bytes before it, zero what the record could have written, and stay refused. */
static void check_refused(tf_record_reader *reader, size_t len, int error, size_t good, size_t data_len, size_t failed)
{
    CHECK(open_all(reader, len) == error);
    CHECK(is_result(good, data_len, 0, 0, 0));
    CHECK(all_are(out + data_len, failed, 0));
    CHECK(all_are(out + data_len + failed + 1, 64, 0xA5)); /* + 1: the type of the good record may stand behind its data */
    CHECK(tf_record_open(reader, out, OUT, wire, len, 0, &opened) == error);
    CHECK(is_result(0, 0, 0, 0, 0));
    CHECK(tf_record_reader_allow_plaintext_alert(reader) == error);
    tf_record_reader_free(reader);
}

/* ---- RFC 8448, 3 ---- */

static void check_rfc8448(void)
{
    tf_record_reader *reader = tf_record_reader_new();
    tf_record_writer *writer = tf_record_writer_new();
    tf_secret traffic;
    uint8_t bytes[32];
    check_hex(bytes, 32, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"); /* client_handshake_traffic_secret */
    tf_secret_set(&traffic, bytes, 32);
    CHECK(tf_record_reader_set_key13(reader, TF_AES_128_GCM, TF_SHA256, &traffic) == TF_OK);
    CHECK(tf_record_writer_set_key13(writer, TF_AES_128_GCM, TF_SHA256, &traffic) == TF_OK);
    size_t len = check_hex(wire, WIRE,
                           "1703030035 75ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1caeacab6867d726c40546");
    const char *finished = "14000020 a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61";
    CHECK(open_all(reader, len) == TF_OK);
    CHECK(is_result(len, 0, 22, 36, 5) && opened.is_protected == 1);
    CHECK(check_is(out, finished));
    check_hex(text, WIRE, finished);
    CHECK(tf_record_seal(writer, 22, out, OUT, text, 36, &sealed) == TF_OK);
    CHECK(sealed.consumed == 36 && sealed.written == len && memcmp(out, wire, len) == 0);

    check_hex(bytes, 32, "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"); /* client_application_traffic_secret_0 */
    tf_secret_set(&traffic, bytes, 32);
    CHECK(tf_record_writer_set_key13(writer, TF_AES_128_GCM, TF_SHA256, &traffic) == TF_OK);
    for (uint8_t i = 0; i < 50; i++)
        text[i] = i;
    CHECK(tf_record_seal(writer, 23, out, OUT, text, 50, &sealed) == TF_OK);
    CHECK(check_is(
        out,
        "1703030043 a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb216"
        "94915e4"));
    check_hex(text, WIRE, "0100");
    CHECK(tf_record_seal(writer, 21, out, OUT, text, 2, &sealed) == TF_OK);
    CHECK(sealed.written == 24 && check_is(out, "1703030013 c9872760655666b74d7ff1153efd6db6d0b0e3"));
    tf_record_reader_free(reader);
    tf_record_writer_free(writer);
}

/* ---- Both ways ---- */

/* Seal every length around the record boundaries with one call, open it in one call, by records, and split at every byte of the headers. */
static void check_round_trip(int aead)
{
    static const size_t lengths[] = {0, 1, 2, 15, 16, 17, 1350, 16383, 16384, 16385, 32768, 40000};
    peer p;
    peer_start(&p, aead, 11);
    tf_record_writer *writer = writer_for(&p);
    tf_record_reader *reader = reader_for(&p);
    check_noise(text, WIRE, 4);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t len = lengths[i], records = len == 0 ? 1 : (len + 16383) / 16384, size = len + 22 * records;
        CHECK(tf_record_seal_size(writer, len) == size);
        CHECK(tf_record_seal(writer, 23, wire, size - 1, text, len, &sealed) == TF_ERR_ARGUMENT);
        CHECK(sealed.consumed == 0 && sealed.written == 0);
        memset(wire, 0xA5, WIRE);
        CHECK(tf_record_seal(writer, 23, wire, size, text, len, &sealed) == TF_OK);
        CHECK(sealed.consumed == len && sealed.written == size && wire[size] == 0xA5);
        CHECK(open_all(reader, size) == TF_OK);
        CHECK(is_result(size, len, len == 0 ? 23 : 0, 0, 5));
        CHECK(memcmp(out, text, len) == 0);
    }
    tf_record_writer_free(writer);
    tf_record_reader_free(reader);
}

/* Data, a handshake message, data, an alert: what one call and what one-record calls answer. */
static void check_mixture(void)
{
    peer p;
    peer_start(&p, TF_CHACHA20_POLY1305, 12);
    check_noise(text, WIRE, 5);
    size_t a = peer_record(&p, wire, text, 100, 23, 0);
    size_t b = a + peer_record(&p, wire + a, text + 100, 50, 23, 7);
    size_t c = b + peer_record(&p, wire + b, text, 30, 22, 3);
    size_t d = c + peer_record(&p, wire + c, text, 40, 23, 0);
    size_t e = d + peer_record(&p, wire + d, text, 2, 21, 0);

    tf_record_reader *reader = reader_for(&p);
    CHECK(open_all(reader, e) == TF_OK);
    CHECK(is_result(c, 150, 22, 30, 0) && opened.is_protected);
    CHECK(memcmp(out, text, 150) == 0 && memcmp(out + 150, text, 30) == 0);
    memmove(wire, wire + c, e - c);
    CHECK(open_all(reader, e - c - 1) == TF_OK);
    CHECK(is_result(d - c, 40, 0, 0, 1));
    memmove(wire, wire + d - c, e - d);
    CHECK(open_all(reader, 0) == TF_OK);
    CHECK(is_result(0, 0, 0, 0, 5));
    CHECK(tf_record_open(reader, NULL, 0, NULL, 0, 0, &opened) == TF_OK);
    CHECK(is_result(0, 0, 0, 0, 5));
    for (size_t n = 1; n < e - d; n++) {
        CHECK(open_all(reader, n) == TF_OK);
        CHECK(is_result(0, 0, 0, 0, n < 5 ? 5 - n : e - d - n));
        CHECK(all_are(out, 64, 0xA5));
    }
    CHECK(open_all(reader, e - d) == TF_OK);
    CHECK(is_result(e - d, 0, 21, 2, 5));
    tf_record_reader_free(reader);
}

static void check_max_records_and_room(void)
{
    peer p;
    peer_start(&p, TF_AES_256_GCM, 13);
    size_t one = peer_record(&p, wire, text, 100, 23, 0), len = one;
    for (int i = 1; i < 5; i++)
        len += peer_record(&p, wire + len, text, 100, 23, 0);
    for (size_t max = 1; max <= 6; max++) {
        tf_record_reader *reader = reader_for(&p);
        size_t want = max < 5 ? max : 5;
        CHECK(tf_record_open(reader, out, OUT, wire, len, max, &opened) == TF_OK);
        CHECK(is_result(want * one, want * 100, 0, 0, want == 5 ? 5 : 0));
        tf_record_reader_free(reader);
    }
    /* The third record fits when there is room for its ciphertext: 117 bytes behind the first 200. */
    for (size_t cap = 0; cap < 5 * 117 + 20; cap++) {
        tf_record_reader *reader = reader_for(&p);
        size_t want = cap < 117 ? 0 : (cap - 117) / 100 + 1;
        if (want > 5)
            want = 5;
        memset(out, 0xA5, sizeof out);
        CHECK(tf_record_open(reader, out, cap, wire, len, 0, &opened) == TF_OK);
        CHECK(is_result(want * one, want * 100, 0, 0, want == 5 ? 5 : 0));
        CHECK(all_are(out + cap, 200, 0xA5));
        tf_record_reader_free(reader);
    }
    /* max_records stops before the fault behind it; the next call finds it. */
    tf_record_reader *reader = reader_for(&p);
    wire[one] = 99;
    CHECK(tf_record_open(reader, out, OUT, wire, len, 1, &opened) == TF_OK);
    CHECK(is_result(one, 100, 0, 0, 0));
    memmove(wire, wire + one, len - one);
    check_refused(reader, 1, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
}

/* ---- What a protected record may be ---- */

static void check_inner(void)
{
    static const int bad_types[] = {1, 20, 24, 25, 255};
    peer p;
    /* The first record is good in all of these: its data survives the second's fault. */
    for (size_t i = 0; i < sizeof bad_types / sizeof *bad_types; i++) {
        peer_start(&p, TF_AES_128_GCM, 20);
        size_t good = peer_record(&p, wire, text, 9, 23, 0);
        size_t len = good + peer_record(&p, wire + good, text, 33, bad_types[i], 5);
        check_refused(reader_for(&p), len, TF_ERR_UNEXPECTED_MESSAGE, good, 9, 39);
    }
    text[8] = 22;                                  /* what stands before the second record's output looks like a type */
    for (size_t zeros = 0; zeros <= 40; zeros++) { /* no type at all */
        peer_start(&p, TF_AES_128_GCM, 20);
        size_t good = peer_record(&p, wire, text, 9, 23, 0);
        size_t len = good + peer_record(&p, wire + good, NULL, 0, 0, zeros);
        check_refused(reader_for(&p), len, TF_ERR_UNEXPECTED_MESSAGE, good, 9, zeros);
    }
    for (int type = 21; type <= 22; type++) { /* an empty alert, an empty handshake record, padded or not */
        for (size_t zeros = 0; zeros <= 40; zeros += 20) {
            peer_start(&p, TF_AES_128_GCM, 20);
            size_t len = peer_record(&p, wire, NULL, 0, type, zeros);
            check_refused(reader_for(&p), len, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 1 + zeros);
        }
    }
    /* Empty application data stops the call, so that the caller can count it. */
    peer_start(&p, TF_AES_128_GCM, 20);
    size_t a = peer_record(&p, wire, text, 9, 23, 0);
    size_t b = a + peer_record(&p, wire + a, NULL, 0, 23, 300);
    size_t c = b + peer_record(&p, wire + b, text, 5, 23, 0);
    tf_record_reader *reader = reader_for(&p);
    CHECK(open_all(reader, c) == TF_OK);
    CHECK(is_result(b, 9, 23, 0, 0) && opened.is_protected);
    memmove(wire, wire + b, c - b);
    CHECK(open_all(reader, c - b) == TF_OK);
    CHECK(is_result(c - b, 5, 0, 0, 5));
    tf_record_reader_free(reader);
}

static void check_lengths(void)
{
    peer p;
    tf_record_reader *reader;
    /* The largest there is: 2^14 of content, or padding up to there. */
    for (size_t content = 0; content <= 16384; content += 8192) {
        peer_start(&p, TF_AES_128_GCM, 21);
        size_t len = peer_record(&p, wire, text, content, 23, 16384 - content);
        reader = reader_for(&p);
        CHECK(open_all(reader, len) == TF_OK);
        CHECK(is_result(len, content, content == 0 ? 23 : 0, 0, 5));
        tf_record_reader_free(reader);
        peer_start(&p, TF_AES_128_GCM, 21); /* one byte more */
        len = peer_record(&p, wire, text, content, 23, 16385 - content);
        check_refused(reader_for(&p), len, TF_ERR_RECORD_OVERFLOW, 0, 0, 16386);
    }
    peer_start(&p, TF_AES_128_GCM, 21);
    size_t len = peer_record(&p, wire, text, 16384, 23, 239); /* 2^14 + 256 on the wire: no header fault, but too long inside */
    check_refused(reader_for(&p), len, TF_ERR_RECORD_OVERFLOW, 0, 0, 16624);
    wire[len - 1] ^= 1; /* not genuine: that is the fault then */
    check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, 0, 0, 16624);

    /* 2^14 + 257 is refused at the fifth byte, not before, and not for a record that may still come. */
    clear_record(wire, 23, 0x0303, NULL, 0);
    wire[3] = 0x41;
    wire[4] = 0x01;
    for (size_t n = 1; n < 5; n++) {
        reader = reader_for(&p);
        CHECK(open_all(reader, n) == TF_OK);
        CHECK(is_result(0, 0, 0, 0, 5 - n));
        tf_record_reader_free(reader);
    }
    check_refused(reader_for(&p), 5, TF_ERR_RECORD_OVERFLOW, 0, 0, 0);
    wire[4] = 0x00;
    reader = reader_for(&p);
    CHECK(open_all(reader, 5) == TF_OK);
    CHECK(is_result(0, 0, 0, 0, 16640));
    tf_record_reader_free(reader);

    /* A fault behind a record that stops the call is left to the next one, which need not wait for bytes. */
    peer_start(&p, TF_AES_128_GCM, 21);
    len = peer_record(&p, wire, text, 4, 22, 0);
    clear_record(wire + len, 23, 0x0303, NULL, 0);
    wire[len + 3] = 0xFF;
    reader = reader_for(&p);
    CHECK(open_all(reader, len + 5) == TF_OK);
    CHECK(is_result(len, 0, 22, 4, 0));
    memmove(wire, wire + len, 5);
    check_refused(reader, 5, TF_ERR_RECORD_OVERFLOW, 0, 0, 0);

    /* Too short to hold a tag, and with a tag of nothing that is forged. */
    for (size_t n = 0; n <= 16; n++) {
        len = clear_record(wire, 23, 0x0303, text, n);
        check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, 0, 0, 0);
    }

    /* RFC 8449: our limit counts content, type and padding. */
    for (size_t limit = 64; limit <= 16385; limit += 16321 / 3) {
        for (size_t zeros = 0; zeros <= 20; zeros += 20) {
            for (size_t over = 0; over <= 1; over++) {
                peer_start(&p, TF_CHACHA20_POLY1305, 22);
                len = peer_record(&p, wire, text, limit - 1 - zeros + over, 23, zeros);
                reader = reader_for(&p);
                CHECK(tf_record_reader_set_limit(reader, limit) == TF_OK);
                if (over != 0) {
                    check_refused(reader, len, TF_ERR_RECORD_OVERFLOW, 0, 0, limit + 1);
                    continue;
                }
                CHECK(open_all(reader, len) == TF_OK);
                CHECK(is_result(len, limit - 1 - zeros, 0, 0, 5));
                tf_record_reader_free(reader);
            }
        }
    }
    reader = tf_record_reader_new();
    CHECK(tf_record_reader_set_limit(reader, 63) == TF_ERR_ARGUMENT);
    CHECK(tf_record_reader_set_limit(reader, 16386) == TF_ERR_ARGUMENT);
    CHECK(tf_record_reader_set_limit(reader, 64) == TF_OK);
    len = clear_record(wire, 22, 0x0301, text, 16384); /* not for records in the clear */
    CHECK(open_all(reader, len) == TF_OK);
    CHECK(is_result(len, 0, 22, 16384, 5));
    tf_record_reader_free(reader);
}

/* Every bit of a record matters: the header is additional data as received, whatever version it names. */
static void check_tampering(void)
{
    peer p;
    for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++) {
        peer_start(&p, aead, 23);
        size_t good = peer_record(&p, wire, text, 9, 23, 0);
        size_t len = good + peer_record(&p, wire + good, text, 50, 23, 3);
        for (size_t bit = 8; bit < (len - good) * 8; bit++) {
            if (bit / 8 == 3 || bit / 8 == 4)
                continue; /* another length is another record: check_lengths */
            wire[good + bit / 8] ^= (uint8_t)(1 << bit % 8);
            check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, good, 9, 54);
            wire[good + bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        tf_record_reader *reader = reader_for(&p);
        CHECK(open_all(reader, len) == TF_OK);
        CHECK(is_result(len, 59, 0, 0, 5));
        tf_record_reader_free(reader);
        /* A replay, and a record out of order. */
        memmove(wire + good, wire, good);
        check_refused(reader_for(&p), 2 * good, TF_ERR_BAD_RECORD_MAC, good, 9, 10);
        peer_start(&p, aead, 23);
        p.sequence = 1;
        len = peer_record(&p, wire, text, 9, 23, 0);
        check_refused(reader_for(&p), len, TF_ERR_BAD_RECORD_MAC, 0, 0, 10);
    }
}

/* Outer types under a key. */
static void check_outer(void)
{
    peer p;
    peer_start(&p, TF_AES_128_GCM, 24);
    for (int type = 0; type < 256; type++) {
        if (type == 20 || type == 23)
            continue;
        clear_record(wire, type, 0x0303, text, 2);
        check_refused(reader_for(&p), 1, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
        check_refused(reader_for(&p), 7, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
    }
    /* ChangeCipherSpec is handed out, whatever is in it, and spends no number. */
    tf_record_reader *reader = reader_for(&p);
    for (size_t n = 0; n <= 3; n++) {
        size_t len = clear_record(wire, 20, 0x0303, text, n);
        CHECK(open_all(reader, len + 5) == TF_OK);
        CHECK(is_result(len, 0, 20, n, opened.need) && !opened.is_protected && memcmp(out, text, n) == 0);
    }
    size_t len = clear_record(wire, 20, 0x0303, text, 1);
    size_t more = peer_record(&p, wire + len, text, 4, 23, 0);
    CHECK(open_all(reader, len + more) == TF_OK);
    CHECK(is_result(len, 0, 20, 1, 0));
    memmove(wire, wire + len, more);
    CHECK(open_all(reader, more) == TF_OK);
    CHECK(is_result(more, 4, 0, 0, 5));
    tf_record_reader_free(reader);

    /* An alert in the clear: only when asked for, and only until a record under this key opened. */
    reader = reader_for(&p);
    CHECK(tf_record_reader_allow_plaintext_alert(reader) == TF_OK);
    len = clear_record(wire, 21, 0x0301, text, 2);
    CHECK(open_all(reader, len) == TF_OK);
    CHECK(is_result(len, 0, 21, 2, 5) && !opened.is_protected);
    CHECK(open_all(reader, len) == TF_OK); /* it was no protected record: the leave stands */
    clear_record(wire, 21, 0x0301, text, 0);
    check_refused(reader, 5, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
    peer_start(&p, TF_AES_128_GCM, 24);
    reader = reader_for(&p);
    CHECK(tf_record_reader_allow_plaintext_alert(reader) == TF_OK);
    len = peer_record(&p, wire, text, 4, 22, 0);
    CHECK(open_all(reader, len) == TF_OK);
    len = clear_record(wire, 21, 0x0301, text, 2);
    check_refused(reader, len, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
    reader = reader_for(&p); /* a new key ends it */
    CHECK(tf_record_reader_allow_plaintext_alert(reader) == TF_OK);
    CHECK(tf_record_reader_set_key13(reader, p.aead, TF_SHA256, &p.traffic) == TF_OK);
    check_refused(reader, len, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
}

/* ---- The clear epoch ---- */

static void check_clear(void)
{
    tf_record_reader *reader;
    for (int type = 0; type < 256; type++) {
        int want = type < 20 || type > 24 ? TF_ERR_NOT_TLS : type > 22 ? TF_ERR_UNEXPECTED_MESSAGE : TF_OK;
        size_t len = clear_record(wire, type, 0x0301, text, 7);
        if (want != TF_OK) {
            check_refused(tf_record_reader_new(), 1, want, 0, 0, 0);
            check_refused(tf_record_reader_new(), len, want, 0, 0, 0);
            continue;
        }
        reader = tf_record_reader_new();
        CHECK(open_all(reader, len) == TF_OK);
        CHECK(is_result(len, 0, type, 7, 5) && !opened.is_protected && memcmp(out, text, 7) == 0);
        tf_record_reader_free(reader);
    }
    memcpy(wire, "GET / HTTP/1.1\r\n", 16);
    check_refused(tf_record_reader_new(), 16, TF_ERR_NOT_TLS, 0, 0, 0);
    for (int major = 0; major < 256; major++) { /* legacy_record_version is ignored, as far as it looks like TLS */
        size_t len = clear_record(wire, 22, major << 8 | 0x77, text, 7);
        reader = tf_record_reader_new();
        if (major != 3) {
            CHECK(open_all(reader, 4) == TF_OK);
            check_refused(reader, 5, TF_ERR_NOT_TLS, 0, 0, 0);
            continue;
        }
        CHECK(open_all(reader, len) == TF_OK);
        CHECK(is_result(len, 0, 22, 7, 5));
        tf_record_reader_free(reader);
    }
    for (int type = 20; type <= 22; type++) {
        size_t len = clear_record(wire, type, 0x0303, text, 0);
        reader = tf_record_reader_new();
        if (type != 20) {
            check_refused(reader, len, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
        } else {
            CHECK(open_all(reader, len) == TF_OK);
            CHECK(is_result(5, 0, 20, 0, 5));
            tf_record_reader_free(reader);
        }
        len = clear_record(wire, type, 0x0303, text, 16384);
        reader = tf_record_reader_new();
        CHECK(open_all(reader, len) == TF_OK);
        CHECK(is_result(len, 0, type, 16384, 5) && memcmp(out, text, 16384) == 0);
        tf_record_reader_free(reader);
        len = clear_record(wire, type, 0x0303, text, 16385);
        check_refused(tf_record_reader_new(), 5, TF_ERR_RECORD_OVERFLOW, 0, 0, 0);
    }
    /* The writer in the clear. */
    tf_record_writer *writer = tf_record_writer_new();
    CHECK(tf_record_writer_set_version(writer, 0x0200) == TF_ERR_ARGUMENT);
    CHECK(tf_record_writer_set_version(writer, 0x0301) == TF_OK);
    CHECK(tf_record_writer_set_limit(writer, 64) == TF_OK); /* not for records in the clear */
    CHECK(tf_record_seal_size(writer, 20000) == 20010);
    CHECK(tf_record_seal(writer, 22, wire, 20010, text, 20000, &sealed) == TF_OK);
    CHECK(sealed.consumed == 20000 && sealed.written == 20010);
    CHECK(check_is(wire, "1603014000") && memcmp(wire + 5, text, 16384) == 0);
    CHECK(check_is(wire + 16389, "1603010e20") && memcmp(wire + 16394, text + 16384, 3616) == 0);
    CHECK(tf_record_writer_set_version(writer, 0x0303) == TF_OK);
    CHECK(tf_record_seal(writer, 20, wire, WIRE, (const uint8_t *)"\1", 1, &sealed) == TF_OK);
    CHECK(sealed.written == 6 && check_is(wire, "140303000101"));
    CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 1, &sealed) == TF_ERR_ARGUMENT);
    for (int type = 20; type <= 23; type++)
        CHECK(tf_record_seal(writer, type, wire, WIRE, NULL, 0, &sealed) == TF_ERR_ARGUMENT);
    CHECK(tf_record_seal(writer, 19, wire, WIRE, text, 1, &sealed) == TF_ERR_ARGUMENT);
    CHECK(tf_record_seal(writer, 24, wire, WIRE, text, 1, &sealed) == TF_ERR_ARGUMENT);
    tf_record_writer_free(writer);
}

/* ---- Early data that a server refuses ---- */

static void check_skip_undecryptable(void)
{
    peer early, p;
    for (size_t spare = 0; spare <= 1; spare++) {
        peer_start(&early, TF_AES_128_GCM, 30);
        peer_start(&p, TF_AES_128_GCM, 31);
        size_t a = peer_record(&early, wire, text, 500, 23, 0);
        size_t b = a + peer_record(&early, wire + a, text, 700, 23, 0);
        size_t c = b + clear_record(wire + b, 23, 0x0303, text, 3); /* not even a tag */
        size_t d = c + clear_record(wire + c, 20, 0x0303, (const uint8_t *)"\1", 1);
        size_t e = d + peer_record(&early, wire + d, text, 10, 23, 0);
        size_t f = e + peer_record(&p, wire + e, text, 36, 22, 0);
        tf_record_reader *reader = reader_for(&p);
        size_t skipped = c + e - d;
        CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_UNDECRYPTABLE, skipped - 1 + spare) == TF_OK);
        CHECK(open_all(reader, f) == TF_OK);
        CHECK(is_result(d, 0, 20, 1, 0));
        memmove(wire, wire + d, f - d);
        if (spare == 0) {
            check_refused(reader, f - d, TF_ERR_BAD_RECORD_MAC, 0, 0, 11);
            continue;
        }
        CHECK(open_all(reader, f - d) == TF_OK);
        CHECK(is_result(f - d, 0, 22, 36, 5) && memcmp(out, text, 36) == 0);
        a = peer_record(&early, wire, text, 5, 23, 0); /* one has opened: from now on a failure is a failure */
        check_refused(reader, a, TF_ERR_BAD_RECORD_MAC, 0, 0, 6);
    }
    /* Skipped records do not count for max_records, and only the tag's failure is ever skipped. */
    peer_start(&p, TF_AES_128_GCM, 31);
    size_t a = peer_record(&early, wire, text, 500, 23, 0);
    size_t b = a + peer_record(&p, wire + a, text, 36, 22, 0);
    tf_record_reader *reader = reader_for(&p);
    CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_UNDECRYPTABLE, 10000) == TF_OK);
    CHECK(tf_record_open(reader, out, OUT, wire, b, 1, &opened) == TF_OK);
    CHECK(is_result(b, 0, 22, 36, 5));
    tf_record_reader_free(reader);
    peer_start(&p, TF_AES_128_GCM, 31);
    a = peer_record(&p, wire, NULL, 0, 22, 4);
    reader = reader_for(&p);
    CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_UNDECRYPTABLE, 10000) == TF_OK);
    check_refused(reader, a, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 5);
    a = peer_record(&early, wire, text, 5, 23, 0);
    reader = reader_for(&p);
    CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_UNDECRYPTABLE, 10000) == TF_OK);
    CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_NONE, 0) == TF_OK);
    check_refused(reader, a, TF_ERR_BAD_RECORD_MAC, 0, 0, 6);
    reader = reader_for(&p);
    CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_UNDECRYPTABLE, 10000) == TF_OK);
    CHECK(tf_record_reader_set_key13(reader, p.aead, TF_SHA256, &p.traffic) == TF_OK);
    check_refused(reader, a, TF_ERR_BAD_RECORD_MAC, 0, 0, 6);
    reader = tf_record_reader_new();
    CHECK(tf_record_reader_skip_early_data(reader, 3, 0) == TF_ERR_ARGUMENT);
    CHECK(tf_record_reader_skip_early_data(reader, -1, 0) == TF_ERR_ARGUMENT);
    tf_record_reader_free(reader);
}

static void check_skip_application_data(void)
{
    for (size_t spare = 0; spare <= 1; spare++) {
        size_t a = clear_record(wire, 23, 0x0303, text, 16640);
        size_t b = a + clear_record(wire + a, 23, 0x0303, text, 0);
        size_t c = b + clear_record(wire + b, 23, 0x0303, text, 9);
        size_t d = c + clear_record(wire + c, 22, 0x0303, text, 50);
        tf_record_reader *reader = tf_record_reader_new();
        CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_APPLICATION_DATA, c - 1 + spare) == TF_OK);
        if (spare == 0) {
            check_refused(reader, d, TF_ERR_UNEXPECTED_MESSAGE, b, 0, 0);
            continue;
        }
        CHECK(open_all(reader, d) == TF_OK);
        CHECK(is_result(d, 0, 22, 50, 5) && !opened.is_protected && memcmp(out, text, 50) == 0);
        CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_NONE, 0) == TF_OK);
        check_refused(reader, 5, TF_ERR_UNEXPECTED_MESSAGE, 0, 0, 0);
    }
    tf_record_reader *reader = tf_record_reader_new();
    CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_APPLICATION_DATA, 100000) == TF_OK);
    clear_record(wire, 23, 0x0303, text, 16641);
    check_refused(reader, 5, TF_ERR_RECORD_OVERFLOW, 0, 0, 0);
}

/* ---- The writer's limits ---- */

static void check_writer_limits(void)
{
    peer p;
    for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++) {
        peer_start(&p, aead, 40);
        tf_record_writer *writer = writer_for(&p);
        tf_record_reader *reader = reader_for(&p);
        CHECK(tf_record_writer_set_limit(writer, 63) == TF_ERR_ARGUMENT);
        CHECK(tf_record_writer_set_limit(writer, 16386) == TF_ERR_ARGUMENT);
        CHECK(tf_record_writer_set_version(writer, 0x0301) == TF_OK); /* not for records under a key, nor beside them */
        CHECK(tf_record_writer_set_limit(writer, 64) == TF_OK);       /* the peer's record_size_limit: 63 bytes of content */
        CHECK(tf_record_reader_set_limit(reader, 64) == TF_OK);
        CHECK(tf_record_seal_size(writer, 1000) == 1000 + 16 * 22);
        CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 1000, &sealed) == TF_OK);
        CHECK(sealed.consumed == 1000 && sealed.written == 1352);
        CHECK(open_all(reader, 1352) == TF_OK);
        CHECK(is_result(1352, 1000, 0, 0, 5) && memcmp(out, text, 1000) == 0);

        /* 20 records, of which 16 are spent: four more of data, then none. */
        CHECK(tf_record_writer_set_usage_limit(writer, 20) == TF_OK);
        CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 1000, &sealed) == TF_OK);
        CHECK(sealed.consumed == 4 * 63 && sealed.written == 4 * 85);
        CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 1000, &sealed) == TF_OK);
        CHECK(sealed.consumed == 0 && sealed.written == 0);
        CHECK(tf_record_seal(writer, 23, wire, WIRE, NULL, 0, &sealed) == TF_OK);
        CHECK(sealed.written == 0);
        CHECK(tf_record_seal(writer, 22, wire, WIRE, text, 1000, &sealed) == TF_OK); /* a KeyUpdate would pass, even this long */
        CHECK(sealed.consumed == 1000);
        CHECK(tf_record_seal(writer, 21, wire, WIRE, text, 2, &sealed) == TF_OK);
        CHECK(sealed.consumed == 2);
        writer->protection.sequence = 20 + 4096 - 1;
        CHECK(tf_record_seal(writer, 22, wire, WIRE, text, 64, &sealed) == TF_ERR_EXHAUSTED); /* it would take two */
        CHECK(sealed.written == 0 && writer->protection.sequence == 20 + 4096 - 1);
        CHECK(tf_record_seal(writer, 21, wire, WIRE, text, 2, &sealed) == TF_OK);
        CHECK(tf_record_seal(writer, 21, wire, WIRE, text, 2, &sealed) == TF_ERR_EXHAUSTED);
        CHECK(tf_record_seal(writer, 20, wire, WIRE, text, 1, &sealed) == TF_OK); /* in the clear, under no number */
        CHECK(sealed.written == 6 && check_is(wire, "1403030001") && writer->protection.sequence == 20 + 4096);
        CHECK(tf_record_writer_set_key13(writer, aead, TF_SHA256, &p.traffic) == TF_OK); /* the limit is per key, and stays */
        CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 2000, &sealed) == TF_OK);
        CHECK(sealed.consumed == 20 * 63);

        /* The AEAD's own limit, which the hook cannot raise. */
        CHECK(tf_record_writer_set_limit(writer, 16385) == TF_OK);
        for (uint64_t lowered = 0; lowered <= 1; lowered++) {
            uint64_t own = aead == TF_CHACHA20_POLY1305 ? UINT64_MAX - 4096 : 23726566;
            CHECK(tf_record_writer_set_usage_limit(writer, lowered ? UINT64_MAX : 0) == TF_OK);
            writer->protection.sequence = own - 1;
            CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 20000, &sealed) == TF_OK);
            CHECK(sealed.consumed == 16384 && writer->protection.sequence == own);
            writer->protection.sequence = own + 4095;
            CHECK(tf_record_seal(writer, 22, wire, WIRE, text, 4, &sealed) == TF_OK);
            CHECK(tf_record_seal(writer, 22, wire, WIRE, text, 4, &sealed) == TF_ERR_EXHAUSTED);
        }
        CHECK(writer->protection.sequence != 0);
        for (int type = 20; type <= 22; type++)
            CHECK(tf_record_seal(writer, type, wire, WIRE, NULL, 0, &sealed) == TF_ERR_ARGUMENT);
        CHECK(tf_record_seal_size(writer, SIZE_MAX) == SIZE_MAX);
        CHECK(tf_record_seal(writer, 23, wire, WIRE, text, SIZE_MAX, &sealed) == TF_ERR_ARGUMENT);
        tf_record_writer_free(writer);
        tf_record_reader_free(reader);
    }
}

/* The calls for application data alone: the same records, or nothing done. */
static void check_data_calls(void)
{
    peer p;
    peer_start(&p, TF_AES_128_GCM, 47);
    tf_record_writer *writer = writer_for(&p), *same = writer_for(&p);
    tf_record_reader *reader = reader_for(&p);
    uint8_t expected[WIRE];
    for (size_t len = 1; len < 40000; len = len * 3 + 1) {
        CHECK(tf_record_seal(same, 23, expected, WIRE, text, len, &sealed) == TF_OK);
        CHECK(tf_record_seal_data(writer, wire, WIRE, text, len) == (ptrdiff_t)sealed.written);
        CHECK(memcmp(wire, expected, sealed.written) == 0);
        CHECK(tf_record_open_data(reader, out, sizeof out, wire, sealed.written, &opened) == (ptrdiff_t)len);
        CHECK(memcmp(out, text, len) == 0);
    }
    uint64_t before = writer->protection.sequence;
    CHECK(tf_record_writer_set_usage_limit(writer, before + 2) == TF_OK);
    CHECK(tf_record_seal_data(writer, wire, WIRE, text, 3 * 16384) == TF_ERR_EXHAUSTED);
    CHECK(tf_record_seal_data(writer, wire, 100, text, 100) == TF_ERR_ARGUMENT);
    for (size_t at = 0; at <= 200; at += 50) /* in == out, and out that begins or ends in it */
        CHECK(tf_record_seal_data(writer, wire + at, 150, wire + 100, 100) == (at == 200 ? 122 : TF_ERR_ARGUMENT));
    CHECK(writer->protection.sequence == before + 1);
    writer->protection.sequence = before;
    ptrdiff_t first = tf_record_seal_data(writer, wire, WIRE, text, 10);
    CHECK(first == 10 + 22 && tf_record_seal(writer, 22, wire + first, WIRE - 32, text, 4, &sealed) == TF_OK);
    CHECK(tf_record_open_data(reader, wire, 40, wire + 5, 27, &opened) == TF_ERR_ARGUMENT && is_result(0, 0, 0, 0, 0));
    /* Something else behind the data, half a record, a fault: 0 or the error, and r tells. */
    CHECK(tf_record_open_data(reader, out, sizeof out, wire, 20, &opened) == 0 && is_result(0, 0, 0, 0, 12));
    CHECK(tf_record_open_data(reader, out, sizeof out, wire, 32 + 26, &opened) == 0 && is_result(58, 10, 22, 4, 5));
    CHECK(tf_record_seal(writer, 23, wire, WIRE, text, 10, &sealed) == TF_OK);
    wire[10] ^= 1;
    CHECK(tf_record_open_data(reader, out, sizeof out, wire, 32, &opened) == TF_ERR_BAD_RECORD_MAC);
    CHECK(tf_record_open_data(reader, out, sizeof out, wire, 32, &opened) == TF_ERR_BAD_RECORD_MAC);
    tf_record_writer_free(writer);
    tf_record_writer_free(same);
    tf_record_reader_free(reader);
}

/* RFC 8446, 5.3: numbers go up to the last and never wrap. */
static void check_sequence_end(void)
{
    peer p;
    peer_start(&p, TF_AES_128_GCM, 41);
    tf_record_reader *reader = reader_for(&p);
    p.sequence = reader->protection.sequence = UINT64_MAX - 1;
    size_t len = peer_record(&p, wire, text, 4, 23, 0);
    len += peer_record(&p, wire + len, text, 4, 23, 0);
    check_refused(reader, len, TF_ERR_EXHAUSTED, 26, 4, 0);
    uint64_t numbers[] = {0xFF, 0x100, 0x123456789ABCDEF0u};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) { /* the whole number goes into the nonce */
        tf_record_writer *writer = writer_for(&p);
        CHECK(tf_record_writer_set_usage_limit(writer, 0) == TF_OK);
        writer->own_limit = UINT64_MAX - 4096;
        writer->protection.sequence = p.sequence = numbers[i];
        len = peer_record(&p, wire, text, 4, 23, 0);
        CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_OK);
        CHECK(sealed.written == len && memcmp(out, wire, len) == 0);
        tf_record_writer_free(writer);
    }
}

/* ---- Keys, wipes and the busy flag ---- */

static void check_contexts(void)
{
    peer p;
    tf_secret shorter = {0};
    peer_start(&p, TF_AES_128_GCM, 50);
    tf_record_reader *reader = reader_for(&p);
    tf_record_writer *writer = writer_for(&p);
    CHECK((uintptr_t)reader->protection.key.state % 64 == 0 && (uintptr_t)writer->protection.key.state % 64 == 0);

    /* A refused key leaves the old one in place. */
    tf_secret_set(&shorter, p.traffic.bytes, 31);
    CHECK(tf_record_reader_set_key13(reader, TF_AES_128_GCM, TF_SHA256, &shorter) == TF_ERR_ARGUMENT);
    CHECK(tf_record_reader_set_key13(reader, TF_AES_128_GCM, TF_SHA384, &p.traffic) == TF_ERR_ARGUMENT);
    CHECK(tf_record_reader_set_key13(reader, 0, TF_SHA256, &p.traffic) == TF_ERR_ARGUMENT);
    CHECK(tf_record_reader_set_key13(reader, TF_AES_128_GCM, 9, &p.traffic) == TF_ERR_ARGUMENT);
    CHECK(tf_record_writer_set_key13(writer, 4, TF_SHA256, &p.traffic) == TF_ERR_ARGUMENT);
    size_t len = peer_record(&p, wire, text, 4, 23, 0);
    CHECK(open_all(reader, len) == TF_OK);
    CHECK(is_result(len, 4, 0, 0, 5));

    /* While another thread is inside, nothing is done. */
    reader->protection.busy = writer->protection.busy = 1;
    CHECK(tf_record_open(reader, out, OUT, wire, len, 0, &opened) == TF_ERR_BUSY && opened.consumed == 0);
    CHECK(tf_record_reader_set_key13(reader, TF_AES_128_GCM, TF_SHA256, &p.traffic) == TF_ERR_BUSY);
    CHECK(tf_record_reader_set_limit(reader, 64) == TF_ERR_BUSY);
    CHECK(tf_record_reader_skip_early_data(reader, TF_SKIP_NONE, 0) == TF_ERR_BUSY);
    CHECK(tf_record_reader_allow_plaintext_alert(reader) == TF_ERR_BUSY);
    CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_ERR_BUSY && sealed.written == 0);
    CHECK(tf_record_writer_set_key13(writer, TF_AES_128_GCM, TF_SHA256, &p.traffic) == TF_ERR_BUSY);
    CHECK(tf_record_writer_set_limit(writer, 64) == TF_ERR_BUSY);
    CHECK(tf_record_writer_set_version(writer, 0x0301) == TF_ERR_BUSY);
    CHECK(tf_record_writer_set_usage_limit(writer, 1) == TF_ERR_BUSY);
    CHECK(reader->protection.sequence == 1 && writer->protection.sequence == 0);
    tf_record_reader_wipe(reader); /* left to the thread inside */
    tf_record_writer_wipe(writer);
    tf_record_writer_wipe(writer);
    CHECK(reader->protection.key.impl != NULL && writer->protection.key.impl != NULL);
    CHECK(reader->protection.busy == 3 && writer->protection.busy == 3);
    CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_ERR_BUSY);
    reader->protection.busy = writer->protection.busy = 0; /* "that thread left without" */

    /* Busy is not remembered, and each call leaves. */
    CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_OK && sealed.written == 26);
    CHECK(tf_record_seal(writer, 99, out, OUT, text, 4, &sealed) == TF_ERR_ARGUMENT);
    CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_OK && sealed.written == 26);

    /* After a wipe no key is left and every call says so. */
    tf_record_reader_wipe(reader);
    tf_record_writer_wipe(writer);
    CHECK(all_are(reader->protection.key.state, TF_AEAD_STATE, 0) && all_are(reader->protection.iv, 12, 0) && reader->protection.key.impl == NULL);
    CHECK(all_are(writer->protection.key.state, TF_AEAD_STATE, 0) && all_are(writer->protection.iv, 12, 0) && writer->protection.key.impl == NULL);
    CHECK(reader->protection.busy == 0 && writer->protection.busy == 0);
    CHECK(open_all(reader, len) == TF_ERR_EXHAUSTED && is_result(0, 0, 0, 0, 0));
    CHECK(tf_record_reader_set_key13(reader, TF_AES_128_GCM, TF_SHA256, &p.traffic) == TF_ERR_EXHAUSTED);
    CHECK(tf_record_reader_set_limit(reader, 64) == TF_ERR_EXHAUSTED);
    CHECK(tf_record_seal(writer, 23, out, OUT, text, 4, &sealed) == TF_ERR_EXHAUSTED && sealed.written == 0);
    CHECK(tf_record_writer_set_key13(writer, TF_AES_128_GCM, TF_SHA256, &p.traffic) == TF_ERR_EXHAUSTED);
    tf_record_reader_free(reader);
    tf_record_writer_free(writer);
    tf_record_reader_free(NULL);
    tf_record_writer_free(NULL);

    /* An error that was there before stays the answer after a wipe. */
    reader = reader_for(&p);
    wire[len - 1] ^= 1;
    CHECK(open_all(reader, len) == TF_ERR_BAD_RECORD_MAC);
    tf_record_reader_wipe(reader);
    CHECK(open_all(reader, len) == TF_ERR_BAD_RECORD_MAC);
    CHECK(reader->protection.key.impl == NULL);
    tf_record_reader_free(reader);
}

/* Implementations that have the context wiped while a call is inside, as another thread would. */
static tf_record_reader *wiped_reader;
static tf_record_writer *wiped_writer;

static int open_and_wipe(tf_aead_key *key, uint8_t *to, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                         const uint8_t *tag)
{
    tf_record_reader_wipe(wiped_reader);
    return tf_dispatch_aes_gcm()->open(key, to, nonce, aad, aad_len, in, len, tag);
}

static void seal_and_wipe(tf_aead_key *key, uint8_t *to, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                          int trailer)
{
    tf_record_writer_wipe(wiped_writer);
    CHECK(tf_record_seal(wiped_writer, 23, to, OUT, in, len, &sealed) == TF_ERR_BUSY);
    tf_dispatch_aes_gcm()->seal(key, to, nonce, aad, aad_len, in, len, trailer);
}

static void check_wipe_inside(void)
{
    const tf_aead_impl wiping = {"wiping", 0, NULL, seal_and_wipe, open_and_wipe};
    peer p;
    tf_sealed result;
    peer_start(&p, TF_AES_128_GCM, 51);
    wiped_reader = reader_for(&p);
    wiped_writer = writer_for(&p);
    wiped_reader->protection.key.impl = wiped_writer->protection.key.impl = &wiping;
    CHECK(tf_record_seal(wiped_writer, 23, wire, WIRE, text, 40000, &result) == TF_OK); /* the call ends as if the wipe had come after it */
    CHECK(result.consumed == 40000);
    CHECK(wiped_writer->protection.key.impl == NULL && all_are(wiped_writer->protection.key.state, TF_AEAD_STATE, 0));
    CHECK(tf_record_seal(wiped_writer, 23, out, OUT, text, 4, &sealed) == TF_ERR_EXHAUSTED);
    CHECK(open_all(wiped_reader, result.written) == TF_OK);
    CHECK(is_result(result.written, 40000, 0, 0, 5) && memcmp(out, text, 40000) == 0);
    CHECK(wiped_reader->protection.key.impl == NULL && all_are(wiped_reader->protection.key.state, TF_AEAD_STATE, 0));
    CHECK(open_all(wiped_reader, result.written) == TF_ERR_EXHAUSTED);
    CHECK(wiped_reader->protection.busy == 0 && wiped_writer->protection.busy == 0);
    tf_record_reader_free(wiped_reader);
    tf_record_writer_free(wiped_writer);
}

/* ---- Tickets ---- */

static void check_tickets(void)
{
    enum { STATE = 300 };
    uint8_t name[16], ticket[TF_TICKET_OVERHEAD + TF_SECRET_MAX + STATE], again[sizeof ticket], state[sizeof ticket];
    tf_secret key = {0}, psk = {0}, back = {0}, none = {0};
    size_t state_len = 99;
    check_noise(name, 16, 60);
    check_noise(text, STATE, 61);
    CHECK(tf_secret_random(&key, 32) == TF_OK);
    for (size_t psk_len = 0; psk_len <= TF_SECRET_MAX; psk_len += 32) {
        for (size_t n = 0; n <= STATE; n += 100) {
            size_t len = TF_TICKET_OVERHEAD + psk_len + n;
            CHECK(tf_secret_random(&psk, psk_len) == TF_OK);
            memset(ticket, 0xA5, sizeof ticket);
            CHECK(tf_ticket_seal(ticket, len - 1, name, &key, &psk, text, n) == TF_ERR_ARGUMENT);
            CHECK(tf_ticket_seal(ticket, len, name, &key, &psk, n > 0 ? text : NULL, n) == TF_OK);
            CHECK(memcmp(ticket, name, 16) == 0 && (len == sizeof ticket || ticket[len] == 0xA5));
            CHECK(tf_ticket_seal(again, len, name, &key, &psk, text, n) == TF_OK);
            CHECK(memcmp(ticket + 16, again + 16, 32) != 0); /* every ticket has its own salt, so its own key */
            CHECK(tf_ticket_open(&back, state, len - 1, &state_len, &key, ticket, len) == TF_ERR_ARGUMENT && state_len == 0);
            memset(state, 0xA5, sizeof state);
            CHECK(tf_ticket_open(&back, state, len, &state_len, &key, ticket, len) == TF_OK);
            CHECK(state_len == n && memcmp(state, text, n) == 0);
            CHECK(back.len == psk_len && memcmp(back.bytes, psk.bytes, TF_SECRET_MAX) == 0);
            CHECK(all_are(state + n, len - n, 0)); /* the PSK passed through here */
        }
    }
    /* Every bit, every truncation, another key. */
    size_t len = TF_TICKET_OVERHEAD + 48 + 100;
    CHECK(tf_secret_random(&psk, 48) == TF_OK);
    CHECK(tf_ticket_seal(ticket, len, name, &key, &psk, text, 100) == TF_OK);
    for (size_t bit = 0; bit < len * 8; bit++) {
        ticket[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(state, 0xA5, sizeof state);
        CHECK(tf_ticket_open(&back, state, len, &state_len, &key, ticket, len) == TF_ERR_BAD_RECORD_MAC);
        CHECK(state_len == 0 && back.len == 0 && all_are(state, len, 0));
        ticket[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < len; n++)
        CHECK(tf_ticket_open(&back, state, sizeof state, &state_len, &key, ticket, n) == TF_ERR_BAD_RECORD_MAC && state_len == 0);
    CHECK(tf_ticket_open(&back, NULL, 0, &state_len, &key, NULL, 0) == TF_ERR_BAD_RECORD_MAC);
    CHECK(tf_ticket_open(&back, state, len, &state_len, &none, ticket, len) == TF_ERR_ARGUMENT);
    CHECK(tf_ticket_seal(ticket, len, name, &none, &psk, text, 100) == TF_ERR_ARGUMENT);
    CHECK(tf_secret_random(&key, 32) == TF_OK);
    CHECK(tf_ticket_open(&back, state, len, &state_len, &key, ticket, len) == TF_ERR_BAD_RECORD_MAC);
}

int main(void)
{
    check_rfc8448();
    for (int aead = TF_AES_128_GCM; aead <= TF_CHACHA20_POLY1305; aead++)
        check_round_trip(aead);
    check_mixture();
    check_max_records_and_room();
    check_inner();
    check_lengths();
    check_tampering();
    check_outer();
    check_clear();
    check_skip_undecryptable();
    check_skip_application_data();
    check_writer_limits();
    check_data_calls();
    check_sequence_end();
    check_contexts();
    check_wipe_inside();
    check_tickets();
    return check_done();
}
