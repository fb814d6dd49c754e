/* SPDX-License-Identifier: Apache-2.0 */
/* Which implementation serves which primitive: one table each, best first, and the first whose needs the processor meets is taken. A context asks
 * once, when it gets its key. A new implementation is one declaration in internal.h and one row here. */
#include "internal.h"

/* The last row of every table is portable and needs nothing: it ends the search. */

static const tf_aead_impl *const aes_gcm[] = {
#if defined(TF_X86_64)
    &tf_aes_gcm_vaes512, /* four blocks in a register */
    &tf_aes_gcm_vaes256, /* two */
    &tf_aes_gcm_aesni,   /* one */
#endif
#if defined(TF_ARMV8)
    &tf_aes_gcm_armv8,
#endif
    &tf_aes_gcm_portable,
};

static const tf_aead_impl *const chacha20_poly1305[] = {
#if defined(TF_X86_64) && defined(TF_INT128)
    &tf_chacha20_poly1305_avx512,
    &tf_chacha20_poly1305_avx2,
#endif
#if defined(TF_ARMV8) && defined(TF_INT128)
    &tf_chacha20_poly1305_neon,
#endif
    &tf_chacha20_poly1305_portable,
};

static const tf_sha256_impl *const sha256[] = {
#if defined(TF_X86_64)
    &tf_sha256_shani,
#endif
#if defined(TF_ARMV8)
    &tf_sha256_armv8,
#endif
    &tf_sha256_portable,
};

static const tf_sha512_impl *const sha512[] = {
#if defined(TF_X86_64)
    &tf_sha512_avx512vl,
    &tf_sha512_avx2,
#endif
#if defined(TF_ARMV8)
    &tf_sha512_armv8,
#endif
    &tf_sha512_portable,
};

static const tf_x25519_impl *const x25519[] = {
#if defined(TF_X86_64) && defined(TF_INT128)
    &tf_x25519_ifma512,
    &tf_x25519_ifma,
#endif
    &tf_x25519_portable,
};

static const tf_mlkem768_impl *const mlkem768[] = {
#if defined(TF_X86_64)
    &tf_mlkem768_avx2,
#endif
    &tf_mlkem768_portable,
};

static const tf_keccak_x4_impl *const keccak_x4[] = {
#if defined(TF_X86_64)
    &tf_keccak_x4_avx512vl,
    &tf_keccak_x4_avx2,
#endif
    &tf_keccak_x4_portable,
};

static int lacks(uint32_t needs)
{
    return (needs & ~tf_cpu_features()) != 0;
}

const tf_aead_impl *tf_dispatch_aes_gcm(void)
{
    const tf_aead_impl *const *row = aes_gcm;
    while (lacks((*row)->cpu_needs))
        row++;
    return *row;
}

const tf_aead_impl *tf_dispatch_chacha20_poly1305(void)
{
    const tf_aead_impl *const *row = chacha20_poly1305;
    while (lacks((*row)->cpu_needs))
        row++;
    return *row;
}

const tf_sha256_impl *tf_dispatch_sha256(void)
{
    const tf_sha256_impl *const *row = sha256;
    while (lacks((*row)->cpu_needs))
        row++;
    return *row;
}

const tf_sha512_impl *tf_dispatch_sha512(void)
{
    const tf_sha512_impl *const *row = sha512;
    while (lacks((*row)->cpu_needs))
        row++;
    return *row;
}

const tf_x25519_impl *tf_dispatch_x25519(void)
{
    const tf_x25519_impl *const *row = x25519;
    while (lacks((*row)->cpu_needs))
        row++;
    return *row;
}

const tf_mlkem768_impl *tf_dispatch_mlkem768(void)
{
    const tf_mlkem768_impl *const *row = mlkem768;
    while (lacks((*row)->cpu_needs))
        row++;
    return *row;
}

const tf_keccak_x4_impl *tf_dispatch_keccak_x4(void)
{
    const tf_keccak_x4_impl *const *row = keccak_x4;
    while (lacks((*row)->cpu_needs))
        row++;
    return *row;
}

const char *tf_implementation(int primitive)
{
    switch (primitive) {
    case TF_PRIMITIVE_AES_GCM:
        return tf_dispatch_aes_gcm()->name;
    case TF_PRIMITIVE_CHACHA20_POLY1305:
        return tf_dispatch_chacha20_poly1305()->name;
    case TF_PRIMITIVE_SHA256:
        return tf_dispatch_sha256()->name;
    case TF_PRIMITIVE_SHA512:
        return tf_dispatch_sha512()->name;
    case TF_PRIMITIVE_X25519:
        return tf_dispatch_x25519()->name;
    case TF_PRIMITIVE_ML_KEM_768:
        return tf_dispatch_mlkem768()->name;
    case TF_PRIMITIVE_KECCAK_X4:
        return tf_dispatch_keccak_x4()->name;
    default:
        return NULL;
    }
}
