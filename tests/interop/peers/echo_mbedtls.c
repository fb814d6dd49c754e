/* SPDX-License-Identifier: Apache-2.0 */

/* Mbed TLS 2.28 as an echo server and as the client of one, told by flags what test_mbedtls.py asks; link with -lmbedtls -lmbedx509 -lmbedcrypto.
 * It speaks TLS 1.2, and prints one line for each connection: what was agreed, or the error. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_ticket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16, CHUNK = 16384 };

static struct {
    const char *role, *port, *name, *ca, *chain, *key, *client_auth, *sessions;
    char *groups, *alpn, *suites, *sizes;
    int connections;
} flags = {.client_auth = "", .sessions = "none", .connections = 1};

static mbedtls_ssl_config config;
static mbedtls_ctr_drbg_context drbg;
static mbedtls_ssl_cache_context cache;
static mbedtls_ssl_ticket_context tickets;
static char asked_name[256];

static void check(int result, const char *what)
{
    char words[200];

    if (result == 0)
        return;
    mbedtls_strerror(result, words, sizeof words);
    fprintf(stderr, "%s: %s (-0x%04x)\n", what, words, (unsigned)-result);
    exit(1);
}

static char *value_of(char *argument, const char *name)
{
    size_t length = strlen(name);

    if (argument[0] != '-' || strncmp(argument + 1, name, length) != 0 || argument[1 + length] != '=')
        return NULL;
    return argument + 2 + length;
}

static void read_flag(char *argument)
{
    const struct {
        const char *name, **text;
        char **list;
    } known[] = {{"role", &flags.role, NULL},
                 {"port", &flags.port, NULL},
                 {"name", &flags.name, NULL},
                 {"ca", &flags.ca, NULL},
                 {"chain", &flags.chain, NULL},
                 {"key", &flags.key, NULL},
                 {"client-auth", &flags.client_auth, NULL},
                 {"sessions", &flags.sessions, NULL},
                 {"groups", NULL, &flags.groups},
                 {"alpn", NULL, &flags.alpn},
                 {"suites", NULL, &flags.suites},
                 {"sizes", NULL, &flags.sizes}};
    char *value = value_of(argument, "connections");

    if (value != NULL)
        flags.connections = atoi(value);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if ((value = value_of(argument, known[i].name)) == NULL)
            continue;
        if (known[i].text != NULL)
            *known[i].text = value;
        else
            *known[i].list = value;
    }
}

/* Split at commas, in place; the end is a NULL. */
static void split(char *list, const char *parts[MOST])
{
    int count = 0;

    for (char *each = list == NULL ? NULL : strtok(list, ","); each != NULL && count < MOST - 1; each = strtok(NULL, ","))
        parts[count++] = each;
    parts[count] = NULL;
}

/* ---- Configuration ---- */

static int note_name(void *unused, mbedtls_ssl_context *ssl, const unsigned char *name, size_t length)
{
    (void)unused;
    (void)ssl;
    snprintf(asked_name, sizeof asked_name, "%.*s", (int)length, (const char *)name);
    return 0;
}

/* Mbed TLS's names have hyphens where the registry's have underscores. */
static int suite_number(const char *name)
{
    char hyphens[100];

    snprintf(hyphens, sizeof hyphens, "%s", name);
    for (char *at = hyphens; *at != 0; at++)
        *at = *at == '_' ? '-' : *at;
    return mbedtls_ssl_get_ciphersuite_id(hyphens);
}

static void set_algorithms(void)
{
    static int suites[MOST];
    static mbedtls_ecp_group_id groups[MOST];
    static const char *protocols[MOST];
    const char *names[MOST];

    split(flags.suites, names);
    for (int i = 0; names[i] != NULL; i++)
        check((suites[i] = suite_number(names[i])) == 0, names[i]);
    mbedtls_ssl_conf_ciphersuites(&config, suites);
    split(flags.groups, names);
    for (int i = 0; names[i] != NULL; i++) {
        const mbedtls_ecp_curve_info *curve = mbedtls_ecp_curve_info_from_name(names[i]);
        check(curve == NULL, names[i]);
        groups[i] = curve->grp_id;
    }
    mbedtls_ssl_conf_curves(&config, groups);
    split(flags.alpn, protocols);
    if (protocols[0] != NULL)
        check(mbedtls_ssl_conf_alpn_protocols(&config, protocols), "alpn");
}

static void set_certificates(int server)
{
    static mbedtls_x509_crt roots, chain;
    static mbedtls_pk_context key;

    check(mbedtls_x509_crt_parse_file(&roots, flags.ca), flags.ca);
    mbedtls_ssl_conf_ca_chain(&config, &roots, NULL);
    if (flags.chain != NULL) {
        check(mbedtls_x509_crt_parse_file(&chain, flags.chain), flags.chain);
        check(mbedtls_pk_parse_keyfile(&key, flags.key, NULL), flags.key);
        check(mbedtls_ssl_conf_own_cert(&config, &chain, &key), "own certificate");
    }
    if (server)
        mbedtls_ssl_conf_authmode(&config, *flags.client_auth == 0                      ? MBEDTLS_SSL_VERIFY_NONE
                                           : strcmp(flags.client_auth, "required") == 0 ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                                                        : MBEDTLS_SSL_VERIFY_OPTIONAL);
}

static void configure(int server)
{
    static mbedtls_entropy_context entropy;
    int by_ticket = strcmp(flags.sessions, "ticket") == 0;

    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&drbg);
    check(mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0), "random numbers");
    mbedtls_ssl_config_init(&config);
    check(mbedtls_ssl_config_defaults(&config, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                      MBEDTLS_SSL_PRESET_DEFAULT),
          "defaults");
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &drbg);
    mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    set_algorithms();
    set_certificates(server);
    if (!server) {
        mbedtls_ssl_conf_session_tickets(&config, by_ticket ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
        return;
    }
    mbedtls_ssl_conf_sni(&config, note_name, NULL);
    if (by_ticket) {
        mbedtls_ssl_ticket_init(&tickets);
        check(mbedtls_ssl_ticket_setup(&tickets, mbedtls_ctr_drbg_random, &drbg, MBEDTLS_CIPHER_AES_256_GCM, 3600), "tickets");
        mbedtls_ssl_conf_session_tickets_cb(&config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &tickets);
    } else if (strcmp(flags.sessions, "session_id") == 0) {
        mbedtls_ssl_cache_init(&cache);
        mbedtls_ssl_conf_session_cache(&config, &cache, mbedtls_ssl_cache_get, mbedtls_ssl_cache_set);
    }
}

/* ---- A connection ---- */

static void report(const mbedtls_ssl_context *ssl, const char *name)
{
    const mbedtls_x509_crt *peer = mbedtls_ssl_get_peer_cert(ssl);
    const char *alpn = mbedtls_ssl_get_alpn_protocol(ssl);
    unsigned char digest[32];

    printf("version=%s suite=", mbedtls_ssl_get_version(ssl));
    for (const char *at = mbedtls_ssl_get_ciphersuite(ssl); *at != 0; at++)
        putchar(*at == '-' ? '_' : *at);
    printf(" alpn=%s name=%s peer=", alpn == NULL ? "" : alpn, name);
    if (peer != NULL) {
        check(mbedtls_sha256_ret(peer->raw.p, peer->raw.len, digest, 0), "SHA-256");
        for (size_t i = 0; i < sizeof digest; i++)
            printf("%02x", digest[i]);
    }
    printf("\n");
}

static int write_all(mbedtls_ssl_context *ssl, const unsigned char *data, size_t length)
{
    while (length > 0) {
        int written = mbedtls_ssl_write(ssl, data, length);
        if (written < 0)
            return written;
        data += written;
        length -= (size_t)written;
    }
    return 0;
}

/* Send back what comes until close_notify. */
static int echo(mbedtls_ssl_context *ssl)
{
    static unsigned char buffer[CHUNK];
    int result;

    while ((result = mbedtls_ssl_read(ssl, buffer, sizeof buffer)) > 0)
        if ((result = write_all(ssl, buffer, (size_t)result)) != 0)
            return result;
    return result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? mbedtls_ssl_close_notify(ssl) : result == 0 ? -1 : result;
}

/* Have data of these sizes echoed, piece by piece, compare, and close both ways. */
static int talk(mbedtls_ssl_context *ssl, const char *const *sizes)
{
    static unsigned char data[CHUNK + 1], back[CHUNK + 1];
    int result;

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7 + (i >> 8));
    for (; *sizes != NULL; sizes++) {
        for (size_t left = strtoul(*sizes, NULL, 10), size, have; left > 0; left -= size) {
            size = left < sizeof data ? left : sizeof data;
            if ((result = write_all(ssl, data, size)) != 0)
                return result;
            for (have = 0; have < size; have += (size_t)result)
                if ((result = mbedtls_ssl_read(ssl, back + have, size - have)) <= 0)
                    return result == 0 ? -1 : result;
            if (memcmp(back, data, size) != 0)
                return -1;
        }
    }
    if ((result = mbedtls_ssl_close_notify(ssl)) != 0)
        return result;
    result = mbedtls_ssl_read(ssl, back, 1);
    return result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? 0 : result >= 0 ? -1 : result;
}

/* One connection; in the client `session` takes the session from one to the next. */
static void run(mbedtls_net_context *socket, mbedtls_ssl_session *session, int have_session, const char *const *sizes)
{
    mbedtls_ssl_context ssl;
    char words[200];
    int result;

    asked_name[0] = 0;
    mbedtls_ssl_init(&ssl);
    check(mbedtls_ssl_setup(&ssl, &config), "setup");
    if (session != NULL)
        check(mbedtls_ssl_set_hostname(&ssl, flags.name), "name");
    if (session != NULL && have_session)
        check(mbedtls_ssl_set_session(&ssl, session), "session");
    mbedtls_ssl_set_bio(&ssl, socket, mbedtls_net_send, mbedtls_net_recv, NULL);
    if ((result = mbedtls_ssl_handshake(&ssl)) == 0) {
        if (session != NULL)
            check(mbedtls_ssl_get_session(&ssl, session), "session");
        result = session != NULL ? talk(&ssl, sizes) : echo(&ssl);
    }
    if (result == 0) {
        report(&ssl, session != NULL ? flags.name : asked_name);
    } else {
        mbedtls_strerror(result, words, sizeof words);
        printf("error: %s (-0x%04x)\n", words, (unsigned)-result);
    }
    fflush(stdout);
    mbedtls_ssl_free(&ssl);
}

int main(int argc, char *argv[])
{
    const char *sizes[MOST];
    mbedtls_net_context listener, socket;
    mbedtls_ssl_session session;
    int server;

    for (int i = 1; i < argc; i++)
        read_flag(argv[i]);
    server = strcmp(flags.role, "server") == 0;
    configure(server);
    split(flags.sizes, sizes);
    mbedtls_net_init(&listener);
    mbedtls_ssl_session_init(&session);
    if (server)
        check(mbedtls_net_bind(&listener, "127.0.0.1", flags.port, MBEDTLS_NET_PROTO_TCP), "bind");
    for (int i = 0; i < flags.connections; i++) {
        mbedtls_net_init(&socket);
        if (server)
            check(mbedtls_net_accept(&listener, &socket, NULL, 0, NULL), "accept");
        else
            check(mbedtls_net_connect(&socket, "127.0.0.1", flags.port, MBEDTLS_NET_PROTO_TCP), "connect");
        run(&socket, server ? NULL : &session, i > 0, sizes);
        mbedtls_net_free(&socket);
    }
    return 0;
}
