/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of X25519 key pairs, made eight at a time where that is faster, beneath nothing but kex.c: each pair leaves it once, wiped as it goes. A
 * forked child finds the pool empty, because the kernel gives it zeros for that page (Linux 4.14 madvise(2), MADV_WIPEONFORK): whoever forks, in
 * whatever way, also while a thread is inside. Where no such memory is to be had there is no pool. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* MAP_ANONYMOUS and madvise() under -std=c11 */
#endif

#include "internal.h"

#if defined(__linux__)
#include <sys/mman.h>
#if !defined(MADV_WIPEONFORK)
#define MADV_WIPEONFORK 18 /* the kernel's asm-generic/mman-common.h; C libraries before 2017 do not name it */
#endif
#elif defined(_WIN32)
#include <stdlib.h>
#endif

enum { KEY = 32 };

/* All zeros is an empty pool with nobody inside. */
struct tf_x25519_pool {
    tf_atomic busy; /* one thread at a time; others make their pair themselves and do not wait */
    int count;      /* pairs 0 to count - 1 are unused */
    uint8_t private_keys[TF_X25519_BATCH][KEY];
    uint8_t public_keys[TF_X25519_BATCH][KEY];
};

#if defined(__linux__)

tf_x25519_pool *tf_x25519_pool_new(void)
{
    const size_t size = sizeof(tf_x25519_pool);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    /* An emulator that says yes to everything, -1 too, has done nothing. */
    if (madvise(page, size, MADV_WIPEONFORK) != 0 || madvise(page, size, -1) == 0) {
        (void)munmap(page, size);
        return NULL;
    }
    (void)madvise(page, size, MADV_DONTDUMP); /* nor shall a core dump show it; no promise is made of that */
    return page;
}

void tf_x25519_pool_free(tf_x25519_pool *pool)
{
    if (pool == NULL)
        return;
    tf_wipe(pool, sizeof *pool);
    (void)munmap(pool, sizeof *pool);
}

#elif defined(_WIN32)

/* No fork here. */
tf_x25519_pool *tf_x25519_pool_new(void)
{
    return calloc(1, sizeof(tf_x25519_pool));
}

void tf_x25519_pool_free(tf_x25519_pool *pool)
{
    if (pool == NULL)
        return;
    tf_wipe(pool, sizeof *pool);
    free(pool);
}

#else

tf_x25519_pool *tf_x25519_pool_new(void)
{
    return NULL;
}

void tf_x25519_pool_free(tf_x25519_pool *pool)
{
    (void)pool;
}

#endif

static int fill(tf_x25519_pool *pool, const tf_x25519_impl *impl)
{
    int rc = tf_random(pool->private_keys[0], sizeof pool->private_keys);
    if (rc)
        return rc;
    TF_SECRET(pool->private_keys, sizeof pool->private_keys);
    impl->base8(pool->public_keys, (const uint8_t(*)[KEY])pool->private_keys);
    TF_PUBLIC(pool->public_keys, sizeof pool->public_keys); /* go out in key_share */
    pool->count = TF_X25519_BATCH;
    return TF_OK;
}

int tf_x25519_take(tf_x25519_pool *pool, tf_secret *private_key, uint8_t *public_key)
{
    const tf_x25519_impl *impl = tf_dispatch_x25519();
    if (pool == NULL || impl->base8 == NULL || !tf_atomic_change(&pool->busy, 0, 1))
        return tf_x25519_generate(private_key, public_key);
    int rc = pool->count == 0 ? fill(pool, impl) : TF_OK;
    if (rc) {
        tf_secret_wipe(private_key);
        memset(public_key, 0, KEY);
    } else {
        int at = --pool->count;
        tf_secret_set(private_key, pool->private_keys[at], KEY);
        memcpy(public_key, pool->public_keys[at], KEY);
        tf_wipe(pool->private_keys[at], KEY);
    }
    tf_atomic_store(&pool->busy, 0);
    return rc;
}
