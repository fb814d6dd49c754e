/* SPDX-License-Identifier: Apache-2.0 */
/* Constant time of tickets: the ticket key, the PSK and the state are secret; the ticket, its lengths and whether it is genuine are public. */
#include "ct_check.h"

static void run(size_t psk_len, size_t state_len)
{
    tf_secret key, psk, opened_psk;
    uint8_t name[TF_TICKET_NAME], bytes[TF_SECRET_MAX], state[500], opened[500 + TF_SECRET_MAX + TF_TICKET_OVERHEAD];
    uint8_t ticket[sizeof opened];
    size_t len = TF_TICKET_OVERHEAD + psk_len + state_len, opened_len = 0;
    check_noise(name, sizeof name, 1);
    ct_noise(bytes, sizeof bytes, 2);
    ct_noise(state, sizeof state, 3);
    CHECK(tf_secret_random(&key, 32) == TF_OK && tf_secret_set(&psk, bytes, psk_len) == TF_OK);
    CHECK(tf_ticket_seal(ticket, sizeof ticket, name, &key, &psk, state, state_len) == TF_OK);
    CHECK(tf_ticket_open(&opened_psk, opened, sizeof opened, &opened_len, &key, ticket, len) == TF_OK);
    CHECK(opened_psk.len == psk_len && opened_len == state_len);
    CHECK(tf_equal(opened_psk.bytes, bytes, psk_len) == 1);
    ticket[len - 1] ^= 1;
    CHECK(tf_ticket_open(&opened_psk, opened, sizeof opened, &opened_len, &key, ticket, len) == TF_ERR_BAD_RECORD_MAC);
    CHECK(tf_ticket_open(&opened_psk, opened, sizeof opened, &opened_len, &key, ticket, TF_TICKET_OVERHEAD) == TF_ERR_BAD_RECORD_MAC);
}

int main(int argc, char **argv)
{
    ct_start(argc, argv);
    run(32, 0);
    run(32, 200);
    run(48, 500);
    return check_done();
}
