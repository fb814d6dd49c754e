/* SPDX-License-Identifier: Apache-2.0 */
/* The interface of the C core: every declaration, its contract, and nothing else. cffi reads this file verbatim; C callers include tlsfast.h.
 *
 * Conventions. A function returns 0 (TF_OK) or a negative TF_ERR_*. Contexts come first, then outputs, then inputs. Outputs are whole or zeroed,
 * except where tf_record_open says otherwise. A tf_secret is memory that never becomes Python bytes unless tf_secret_reveal asks; *_free wipes.
 * Only *_new allocates; it returns NULL when memory is short. Lengths are in bytes. Pointers may be NULL only where the length beside them is 0
 * or the text says so. Buffers never overlap, unless the text says so. */

enum {
    TF_OK = 0,
    TF_ERR_ARGUMENT = -1,           /* the caller broke the contract: a length, an algorithm number, an unset key */
    TF_ERR_BUSY = -2,               /* another thread is inside this reader or writer: nothing was done */
    TF_ERR_RANDOM = -3,             /* the kernel's random source failed */
    TF_ERR_BAD_RECORD_MAC = -4,     /* a record or ticket did not authenticate */
    TF_ERR_RECORD_OVERFLOW = -5,    /* RFC 8446, 5.1, 5.2, 5.4; RFC 8449, 4: a record longer than allowed */
    TF_ERR_UNEXPECTED_MESSAGE = -6, /* RFC 8446, 5: a record type, an empty fragment or an all-zero inner plaintext out of place */
    TF_ERR_NOT_TLS = -7,            /* the first byte is no TLS content type: another protocol is spoken here */
    TF_ERR_PEER_KEY = -8, /* a peer's public key that gives the all-zero shared secret (RFC 8446, 7.4.2), or is no ML-KEM key (FIPS 203, 7.2) */
    TF_ERR_EXHAUSTED = -9 /* the sequence number or the AEAD's usage limit is spent (RFC 8446, 5.3, 5.5) */
};

/* ---- CPU features and dispatch ---- */

enum {
    TF_CPU_AESNI = 1 << 0,   /* AES-NI, PCLMULQDQ, SSSE3, SSE4.1 */
    TF_CPU_SHANI = 1 << 1,   /* SHA extensions, SSSE3, SSE4.1 */
    TF_CPU_AVX2 = 1 << 2,    /* AVX2, with the ymm state enabled by the operating system */
    TF_CPU_BMI2 = 1 << 3,    /* BMI1, BMI2, ADX */
    TF_CPU_VAES = 1 << 4,    /* VAES and VPCLMULQDQ on 256 bits */
    TF_CPU_AVX512 = 1 << 5,  /* F, BW, DQ, VL, with the zmm state enabled */
    TF_CPU_IFMA = 1 << 6,    /* AVX512IFMA */
    TF_CPU_ZMM = 1 << 7,     /* 512-bit vectors do not lower the clock of all else (AVX512 too) */
    TF_CPU_ARM_AES = 1 << 8, /* AESE, PMULL */
    TF_CPU_ARM_SHA2 = 1 << 9,
    TF_CPU_ARM_SHA512 = 1 << 10,
    TF_CPU_ARM_NEON = 1 << 11
};

enum {
    TF_PRIMITIVE_AES_GCM = 0,
    TF_PRIMITIVE_CHACHA20_POLY1305 = 1,
    TF_PRIMITIVE_SHA256 = 2,
    TF_PRIMITIVE_SHA512 = 3,
    TF_PRIMITIVE_X25519 = 4,
    TF_PRIMITIVE_ML_KEM_768 = 5,
    TF_PRIMITIVE_KECCAK_X4 = 6
};

/* The TF_CPU_* bits of this processor, less those that tf_cpu_limit hides. */
uint32_t tf_cpu_features(void);
/* Hide every bit that is not in mask (tests, benchmarks); ~0 shows all again. Contexts that already have a key keep their implementation. */
void tf_cpu_limit(uint32_t mask);
/* The name of the implementation that a new context of this primitive gets now, e.g. "aes_gcm_aesni", "sha256_portable"; NULL past the last. */
const char *tf_implementation(int primitive);

/* ---- Secrets ---- */

enum { TF_SECRET_MAX = 256 };

typedef struct tf_secret tf_secret;

tf_secret *tf_secret_new(void); /* empty: length 0 */
void tf_secret_free(tf_secret *secret);
void tf_secret_wipe(tf_secret *secret); /* back to empty */
size_t tf_secret_length(const tf_secret *secret);
int tf_secret_set(tf_secret *secret, const uint8_t *in, size_t len);        /* len <= TF_SECRET_MAX; the caller's copy is the caller's to wipe */
int tf_secret_random(tf_secret *secret, size_t len);                        /* len bytes from the kernel */
int tf_secret_reveal(const tf_secret *secret, uint8_t *out, size_t len);    /* len must be its length: key logs, exporters, traces, tests */
int tf_secret_join(tf_secret *out, const tf_secret *a, const tf_secret *b); /* a | b, at most TF_SECRET_MAX bytes; out may be a or b */
int tf_random(uint8_t *out, size_t len);                                    /* public randomness (hello.random, session ids) from the kernel */
int tf_equal(const uint8_t *a, const uint8_t *b, size_t len);               /* 1 or 0, in constant time */

/* ---- Hashes (FIPS 180-4) ---- */

enum { TF_SHA256 = 1, TF_SHA384 = 2, TF_SHA512 = 3 };
enum { TF_HASH_MAX = 64 };

typedef struct tf_hash tf_hash;

size_t tf_hash_length(int hash); /* 32, 48, 64; 0 for another number */
tf_hash *tf_hash_new(int hash);
tf_hash *tf_hash_clone(const tf_hash *state);
void tf_hash_free(tf_hash *state);
int tf_hash_update(tf_hash *state, const uint8_t *in, size_t len);
/* The digest of what was added so far, tf_hash_length bytes to out; the state goes on unchanged. */
int tf_hash_digest(const tf_hash *state, uint8_t *out);
/* tf_hash_update, then tf_hash_digest. */
int tf_hash_update_digest(tf_hash *state, uint8_t *out, const uint8_t *in, size_t len);
int tf_hash_once(int hash, uint8_t *out, const uint8_t *in, size_t len);

/* ---- HMAC (RFC 2104), HKDF (RFC 5869), the TLS 1.3 key schedule (RFC 8446, 7.1) ---- */

/* With a key the caller holds as bytes: cookies, test vectors. */
int tf_hmac(int hash, uint8_t *out, const uint8_t *key, size_t key_len, const uint8_t *in, size_t len);
/* HKDF-Extract. salt NULL: a string of zeros of the hash's length. ikm NULL: the same. prk may be ikm or salt itself. */
int tf_hkdf_extract(int hash, tf_secret *prk, const tf_secret *salt, const tf_secret *ikm);
/* HKDF-Expand to a secret of out_len bytes (<= TF_SECRET_MAX). out may be prk. */
int tf_hkdf_expand(int hash, tf_secret *out, size_t out_len, const tf_secret *prk, const uint8_t *info, size_t info_len);
/* HKDF-Expand-Label(secret, label, context, out_len); label without its "tls13 ", at most 249 bytes; context at most 255. out may be secret. */
int tf_hkdf_expand_label(int hash, tf_secret *out, size_t out_len, const tf_secret *secret, const uint8_t *label, size_t label_len,
                         const uint8_t *context, size_t context_len);

/* Early Secret = HKDF-Extract(0, psk); psk NULL: zeros. */
int tf_early_secret(int hash, tf_secret *early_secret, const tf_secret *psk);
/* verify_data = HMAC(HKDF-Expand-Label(base_key, "finished", "", Hash.length), transcript_hash): Finished and PSK binders (RFC 8446, 4.4.4). */
int tf_finished(int hash, uint8_t *out, const tf_secret *base_key, const uint8_t *transcript_hash);
/* The binder of a resumption PSK: the same with the base key Derive-Secret(HKDF-Extract(0, psk), "res binder", "") (RFC 8446, 4.2.11.2). */
int tf_binder(int hash, uint8_t *out, const tf_secret *psk, const uint8_t *transcript_hash);

/* ---- The key schedule of one connection (RFC 8446, 7.1) ---- */

enum {
    TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET = 0,
    TF_SERVER_HANDSHAKE_TRAFFIC_SECRET = 1,
    TF_CLIENT_APPLICATION_TRAFFIC_SECRET = 2, /* application_traffic_secret_0 */
    TF_SERVER_APPLICATION_TRAFFIC_SECRET = 3,
    TF_EXPORTER_MASTER_SECRET = 4,
    TF_RESUMPTION_MASTER_SECRET = 5,
    TF_STAGE_SECRET = 6 /* Handshake Secret, then Master Secret */
};

typedef struct tf_schedule tf_schedule;

tf_schedule *tf_schedule_new(int aead, int hash); /* NULL too for another AEAD or hash than TLS 1.3's */
void tf_schedule_free(tf_schedule *schedule);
void tf_schedule_wipe(tf_schedule *schedule); /* all its secrets; no step may follow */

/* The three steps, each once and in this order, else TF_ERR_ARGUMENT and nothing changes. Each derives its secrets and, of traffic secrets, key and
 * IV (and finished_key), of both directions. At ClientHello..ServerHello: shared is the (EC)DHE secret, which is wiped (NULL for psk_ke: zeros); psk
 * NULL: zeros. */
int tf_schedule_handshake(tf_schedule *schedule, tf_secret *shared, const tf_secret *psk, const uint8_t *transcript_hash);
/* At ClientHello..server Finished: application traffic secrets and exporter_master_secret. */
int tf_schedule_application(tf_schedule *schedule, const uint8_t *transcript_hash);
/* At ClientHello..client Finished: resumption_master_secret. All but that and exporter_master_secret is wiped: the handshake is over. */
int tf_schedule_resumption(tf_schedule *schedule, const uint8_t *transcript_hash);

/* verify_data of the Finished whose base key is this handshake traffic secret (RFC 8446, 4.4.4). */
int tf_schedule_finished(const tf_schedule *schedule, uint8_t *out, int base_key, const uint8_t *transcript_hash);
/* A copy of one secret, for key logs, exporters, traces and tests. TF_ERR_ARGUMENT and an empty one if it is not there (yet, or any more). */
int tf_schedule_secret(const tf_schedule *schedule, tf_secret *out, int secret);
/* The PSK of one ticket (RFC 8446, 4.6.1); nonce_len at most 255. */
int tf_schedule_resumption_psk(const tf_schedule *schedule, tf_secret *psk, const uint8_t *ticket_nonce, size_t nonce_len);
void tf_schedule_forget_resumption(tf_schedule *schedule); /* wipes resumption_master_secret: a server has made its tickets */
uint32_t tf_schedule_held(const tf_schedule *schedule);    /* bit n: the secret of number n is there */

/* ---- X25519 (RFC 7748) ---- */

/* A fresh key pair from the kernel's randomness: private_key becomes 32 bytes, public_key[32]. */
int tf_x25519_generate(tf_secret *private_key, uint8_t *public_key);
int tf_x25519_public(uint8_t *public_key, const tf_secret *private_key);

typedef struct tf_x25519_pool tf_x25519_pool;

/* Unused key pairs, made several at a time. NULL also where the system has no memory that a forked child finds empty. */
tf_x25519_pool *tf_x25519_pool_new(void);
void tf_x25519_pool_free(tf_x25519_pool *pool);
/* As tf_x25519_generate, from the pool, which forgets what it gives. Any number of threads may share one; none waits for another. pool NULL, or a
 * processor that makes pairs no faster by several: tf_x25519_generate. */
int tf_x25519_take(tf_x25519_pool *pool, tf_secret *private_key, uint8_t *public_key);

/* shared = X25519(private_key, peer_public[32]). TF_ERR_PEER_KEY and an empty secret when it is all zero. shared may be private_key. */
int tf_x25519_exchange(tf_secret *shared, const tf_secret *private_key, const uint8_t *peer_public);

/* ---- ML-KEM-768 (FIPS 203) ---- */

enum { TF_MLKEM768_EK = 1184 /* encapsulation key */, TF_MLKEM768_CT = 1088 /* ciphertext */, TF_MLKEM768_SEED = 64 /* d | z */ };

/* A decapsulation key in expanded form (matrix, secret vector): it never becomes bytes, and decapsulation expands nothing again. */
typedef struct tf_mlkem768_key tf_mlkem768_key;

tf_mlkem768_key *tf_mlkem768_key_new(void); /* empty */
void tf_mlkem768_key_free(tf_mlkem768_key *key);
void tf_mlkem768_key_wipe(tf_mlkem768_key *key); /* back to empty */
/* A fresh key pair from the kernel's randomness: ek[TF_MLKEM768_EK] goes to the peer. */
int tf_mlkem768_generate(tf_mlkem768_key *key, uint8_t *ek);
/* shared (32 bytes) and ct[TF_MLKEM768_CT] for the peer's ek[TF_MLKEM768_EK]. TF_ERR_PEER_KEY when a coefficient of ek is not below q (FIPS
 * 203, 7.2). */
int tf_mlkem768_encapsulate(tf_secret *shared, uint8_t *ct, const uint8_t *ek);
/* shared (32 bytes) from ct[TF_MLKEM768_CT]. A ciphertext that was not made for this key gives a secret that nobody else knows, and no error (FIPS
 * 203, 6.3). TF_ERR_ARGUMENT for an empty key. */
int tf_mlkem768_decapsulate(tf_secret *shared, const tf_mlkem768_key *key, const uint8_t *ct);

/* ---- Record protection (RFC 8446, 5; RFC 8449) ---- */

enum { TF_AES_128_GCM = 1, TF_AES_256_GCM = 2, TF_CHACHA20_POLY1305 = 3 };
enum { TF_RECORD_HEADER = 5, TF_RECORD_MAX = 16384, TF_RECORD_OVERHEAD = 22 /* header, inner type and tag of a TLS 1.3 record */ };
enum { TF_SKIP_NONE = 0, TF_SKIP_UNDECRYPTABLE = 1, TF_SKIP_APPLICATION_DATA = 2 };

typedef struct tf_record_reader tf_record_reader;
typedef struct tf_record_writer tf_record_writer;

typedef struct {
    size_t consumed;  /* wire bytes of all records opened (or skipped) */
    size_t data_len;  /* application data, contiguous at out[0] */
    size_t other_len; /* content of a record that is not application data, at out[data_len]; not counted in data_len */
    size_t need;      /* bytes until the next record is whole; 5 less what is there if its header is not; 0 if another call can go on now */
    int type;         /* 0: ran out of whole records, of room or of max_records of application data; else the last record's type: 20, 21, 22,
                         or 23 for an empty record of application data (other_len is 0), which the caller must bound */
    int is_protected; /* 1: that record was opened under a key; 0: it came in the clear */
} tf_opened;

typedef struct {
    size_t consumed; /* plaintext bytes sealed */
    size_t written;  /* wire bytes at out[0] */
} tf_sealed;

tf_record_reader *tf_record_reader_new(void); /* the clear epoch */
void tf_record_reader_free(tf_record_reader *reader);
/* Forget the keys: every later call answers TF_ERR_EXHAUSTED, or the error it already had. If another thread is inside, its call does this as it
 * leaves. */
void tf_record_reader_wipe(tf_record_reader *reader);

/* TLS 1.3: open from now on with key and iv derived from traffic_secret (RFC 8446, 7.3); the sequence number starts at 0. Ends early data skipping
 * and the leave for plaintext alerts, which belong to the key before: ask for them after this. On an error the reader is as it was. */
int tf_record_reader_set_key13(tf_record_reader *reader, int aead, int hash, const tf_secret *traffic_secret);
/* The same with the key and IV that the schedule made of this TF_*_TRAFFIC_SECRET; TF_ERR_ARGUMENT if it is not there. */
int tf_record_reader_use(tf_record_reader *reader, const tf_schedule *schedule, int traffic_secret);
int tf_record_reader_update_key(tf_record_reader *reader); /* the same with the next generation of the present traffic secret (RFC 8446, 7.2) */
/* A copy of the present traffic secret, for tests and traces. */
int tf_record_reader_traffic_secret(tf_record_reader *reader, tf_secret *out);
/* Accept an alert in the clear until the first record under the present key has opened (a peer that refuses our ServerHello sends it so). It is
 * handed out as type 21 with is_protected 0; that it is fatal is the caller's to check. */
int tf_record_reader_allow_plaintext_alert(tf_record_reader *reader);
/* The largest TLSInnerPlaintext taken, type and padding included: 64..16385; the default is 16385 (RFC 8449, 4: our record_size_limit). In TLS 1.2 it
 * bounds the fragment, at most 16384. It applies to protected records only; in the clear the limit is 16384. */
int tf_record_reader_set_limit(tf_record_reader *reader, size_t max_inner_plaintext);
/* RFC 8446, 4.2.10, a server that does not take early data. TF_SKIP_UNDECRYPTABLE: records of outer type application_data that fail to open are
 * discarded until the first that opens. TF_SKIP_APPLICATION_DATA (the clear epoch, after a HelloRetryRequest): records of that outer type are
 * dropped. Both while their wire bytes, headers included, fit into budget; past it the failure counts. A new key or TF_SKIP_NONE ends it. */
int tf_record_reader_skip_early_data(tf_record_reader *reader, int mode, size_t budget);

/* Open whole records of in, in order, at most max_records (0: as many as fit; skipped ones do not count); in and out are disjoint. Stops after the
 * first record that is not application data, or is empty. A record is opened only when cap leaves room for its whole ciphertext fragment (16640 +
 * data so far always does). Returns 0, or the TF_ERR_* of the record at in[consumed]: r is filled either way and data before the fault is good; the
 * failed record's output is zeroed. After an error (but TF_ERR_BUSY and TF_ERR_ARGUMENT) the reader answers that error for ever. Header faults are
 * found at the fifth byte (type: at the first). In TLS 1.3 epochs a ChangeCipherSpec record is handed out as type 20 without being opened; the caller
 * judges it. */
int tf_record_open(tf_record_reader *reader, uint8_t *out, size_t cap, const uint8_t *in, size_t len, size_t max_records, tf_opened *r);

/* tf_record_open as most calls want it: if in is whole records of application data alone and all of it fits, how many bytes of it stand at out (> 0).
 * Else 0 or the error, and r says what tf_record_open would. in and out that overlap are TF_ERR_ARGUMENT, and nothing is done. */
ptrdiff_t tf_record_open_data(tf_record_reader *reader, uint8_t *out, size_t cap, const uint8_t *in, size_t len, tf_opened *r);

tf_record_writer *tf_record_writer_new(void);
void tf_record_writer_free(tf_record_writer *writer);
void tf_record_writer_wipe(tf_record_writer *writer);
int tf_record_writer_set_key13(tf_record_writer *writer, int aead, int hash, const tf_secret *traffic_secret);
int tf_record_writer_use(tf_record_writer *writer, const tf_schedule *schedule, int traffic_secret); /* as of the reader, and so the next two */
int tf_record_writer_update_key(tf_record_writer *writer);
int tf_record_writer_traffic_secret(tf_record_writer *writer, tf_secret *out);
/* The largest TLSInnerPlaintext written, type included, 64..16385 (the peer's record_size_limit). */
int tf_record_writer_set_limit(tf_record_writer *writer, size_t max_inner_plaintext);
/* legacy_record_version of records in the clear: 0x0301 for a first ClientHello, else 0x0303 (the default). The first byte must be 3. */
int tf_record_writer_set_version(tf_record_writer *writer, int version);
/* Test hook: records under one key after which tf_record_seal takes no more application data; it stays over key changes and can only lower the AEAD's
 * own limit (RFC 8446, 5.5: 2^24.5 full records for AES-GCM), which 0 restores. */
int tf_record_writer_set_usage_limit(tf_record_writer *writer, uint64_t records);
/* Wire bytes that sealing len bytes of content takes now, at most (an empty content takes one record). */
size_t tf_record_seal_size(const tf_record_writer *writer, size_t len);
/* Cut len bytes of content into records of this type (20..23) and protect them into out, which is disjoint from in; cap at least tf_record_seal_size.
 * Only application data may be empty, and it needs a key. In TLS 1.3 a ChangeCipherSpec goes in the clear under any key (RFC 8446, 5). Stops short of
 * the usage limit with application data (type 23): r->consumed says how much it took; change the key and go on. Alerts and handshake messages pass it
 * by a reserve of 4,096 records; TF_ERR_EXHAUSTED past that. After an error nothing is written, and the writer goes on as it was. */
int tf_record_seal(tf_record_writer *writer, int type, uint8_t *out, size_t cap, const uint8_t *in, size_t len, tf_sealed *r);
/* tf_record_seal of application data as most calls want it: how many bytes stand at out (> 0), all of in sealed. Else an error, and nothing was done:
 * TF_ERR_EXHAUSTED where the usage limit leaves room for a part of it only, TF_ERR_ARGUMENT also where in and out overlap. */
ptrdiff_t tf_record_seal_data(tf_record_writer *writer, uint8_t *out, size_t cap, const uint8_t *in, size_t len);

/* ---- Tickets (RFC 8446, 4.6.1; RFC 5077, 4) ---- */

enum { TF_TICKET_NAME = 16, TF_TICKET_SALT = 32, TF_TICKET_OVERHEAD = 66 /* name, salt, psk length (2), tag */ };

/* ticket = name[16] | salt[32] | AES-256-GCM(psk length (2) | psk | state), its one-time key and nonce HKDF-SHA256(ticket_key, salt), its AAD name |
 * salt. out takes TF_TICKET_OVERHEAD + psk length + state_len bytes. The psk never leaves C. */
int tf_ticket_seal(uint8_t *out, size_t cap, const uint8_t *name, const tf_secret *ticket_key, const tf_secret *psk, const uint8_t *state,
                   size_t state_len);
/* Opens a ticket under the key that its first 16 bytes name. *state_len bytes to state; its cap >= len is also room to work in, and what is not state
 * is zeroed. TF_ERR_BAD_RECORD_MAC for any that is not ours. */
int tf_ticket_open(tf_secret *psk, uint8_t *state, size_t cap, size_t *state_len, const tf_secret *ticket_key, const uint8_t *ticket, size_t len);

/* ---- TLS 1.2 (RFC 5246, 5, 6.3, 7.4.9, 8.1; RFC 5288; RFC 7627; RFC 7905) ---- */

/* out = the first out_len bytes (<= TF_SECRET_MAX) of PRF(secret, label, seed), P_hash with TF_SHA256 or TF_SHA384. out may be secret. */
int tf_prf12(int hash, tf_secret *out, size_t out_len, const tf_secret *secret, const uint8_t *label, size_t label_len, const uint8_t *seed,
             size_t seed_len);
/* verify_data, 12 bytes: PRF(master_secret, label, transcript_hash); label is "client finished" or "server finished". */
int tf_finished12(int hash, uint8_t *out, const tf_secret *master_secret, const uint8_t *label, size_t label_len, const uint8_t *transcript_hash);
/* The server's side of RSA key transport (RFC 5246, 7.4.7.1), in constant time: premaster = decrypted if its length is 48 and its first two bytes are
 * client_version, else random_premaster (48 bytes, made before decryption). 48 bytes must be readable at decrypted whatever len is, because len is as
 * secret as they are. The choice shows neither in time nor in the result. premaster may be random_premaster. */
int tf_premaster_select(tf_secret *premaster, const uint8_t *decrypted, size_t len, int client_version, const tf_secret *random_premaster);
/* Protect from now on with the keys of one side of the key block client_write_key | server_write_key | client_write_IV | server_write_IV (RFC
 * 5246, 6.3; IV 4 bytes for AES-GCM, whose explicit nonce is the sequence number; 12 for ChaCha20-Poly1305). client: 1 for the client's keys, 0 for
 * the server's. The sequence number starts at 0. In this epoch a record's type is outside, another version than 0x0303 is
 * TF_ERR_BAD_RECORD_MAC, and ChangeCipherSpec is protected too. */
int tf_record_reader_set_key12(tf_record_reader *reader, int aead, const tf_secret *key_block, int client);
int tf_record_writer_set_key12(tf_record_writer *writer, int aead, const tf_secret *key_block, int client);

/* ---- For test vectors and micro-benchmarks alone: the only calls that take a nonce or a seed ---- */

/* out takes len + 16 bytes. In place (out == in) is allowed. key: 16 or 32 bytes as the AEAD says; nonce: 12. */
int tf_test_aead_seal(int aead, uint8_t *out, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in,
                      size_t len);
/* in: ciphertext and tag, len >= 16; out takes len - 16 bytes, zeroed on TF_ERR_BAD_RECORD_MAC. In place is allowed. */
int tf_test_aead_open(int aead, uint8_t *out, const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len, const uint8_t *in,
                      size_t len);
/* ML-KEM-768 with the randomness given: seed[TF_MLKEM768_SEED] is d | z, m[32] the message. */
int tf_test_mlkem768_generate(tf_mlkem768_key *key, uint8_t *ek, const uint8_t *seed);
int tf_test_mlkem768_encapsulate(tf_secret *shared, uint8_t *ct, const uint8_t *ek, const uint8_t *m);
