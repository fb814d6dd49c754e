/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer on ML-KEM-768: what a peer sends, an encapsulation key and a ciphertext, to every implementation of this processor. Each must answer as
 * the portable one: the same refusal, the same ciphertext and secrets. The input changes a good key and a good ciphertext: three bytes a change, the
 * place and what is XORed there. run_libfuzzer.sh builds and runs it. */
#include "../csrc/internal.h"

#include <stdlib.h>

static const uint32_t masks[] = {0, TF_CPU_AVX2, TF_CPU_AVX512, TF_CPU_AVX2 | TF_CPU_AVX512, ~(uint32_t)0};

typedef struct {
    int encapsulated;
    tf_secret sent, received;
    uint8_t ct[TF_MLKEM768_CT];
} results;

static void run(results *r, tf_mlkem768_key *key, const uint8_t seed[TF_MLKEM768_SEED], const uint8_t *data, size_t size)
{
    uint8_t sent[TF_MLKEM768_EK + TF_MLKEM768_CT];
    memset(r, 0, sizeof *r);
    if (tf_test_mlkem768_generate(key, sent, seed) || tf_test_mlkem768_encapsulate(&r->sent, sent + TF_MLKEM768_EK, sent, seed))
        abort();
    for (; size >= 3; data += 3, size -= 3)
        sent[(size_t)(data[0] << 8 | data[1]) % sizeof sent] ^= data[2];
    r->encapsulated = tf_test_mlkem768_encapsulate(&r->sent, r->ct, sent, seed + 32);
    if (tf_mlkem768_decapsulate(&r->received, key, sent + TF_MLKEM768_EK) || r->received.len != 32)
        abort();
    if (r->encapsulated != TF_OK && (r->encapsulated != TF_ERR_PEER_KEY || r->sent.len != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tf_mlkem768_key *key;
    static results expected, r;
    uint8_t seed[TF_MLKEM768_SEED] = {0};
    if (key == NULL && (key = tf_mlkem768_key_new()) == NULL)
        abort();
    if (size > 0)
        seed[0] = data[0]; /* 256 keys, some of which draw a fourth block */
    for (size_t at = 0; at < sizeof masks / sizeof *masks; at++) {
        tf_cpu_limit(masks[at]);
        if (at > 0 && tf_cpu_features() == 0)
            continue;
        run(at == 0 ? &expected : &r, key, seed, data, size);
        if (at > 0 && memcmp(&expected, &r, sizeof r) != 0)
            abort();
    }
    tf_cpu_limit(~(uint32_t)0);
    return 0;
}
