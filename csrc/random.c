/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's random source, asked anew for every byte: no state of our own, so a fork cannot repeat it; a failure is an error, never a fallback.
 * Linux getrandom(2), BSD and macOS getentropy(2), Windows BCryptGenRandom. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* syscall() under -std=c11 */
#endif

#include "internal.h"

#if defined(_WIN32)
#include <windows.h>

#include <bcrypt.h>
#if defined(_MSC_VER)
#pragma comment(lib, "bcrypt")
#endif
#elif defined(__linux__)
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#if defined(__APPLE__)
#include <sys/random.h>
#endif
#include <unistd.h>
#endif

/* What one request may ask: the bound of getentropy, and on Linux the size up to which a signal cannot interrupt an initialised getrandom. */
enum { REQUEST_MAX = 256 };

/* 0 or -1; 1 <= len <= REQUEST_MAX. */
static int fill(uint8_t *out, size_t len)
{
#if defined(_WIN32)
    return BCryptGenRandom(NULL, out, (ULONG)len, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0 ? 0 : -1;
#elif defined(__linux__)
    /* The system call itself, because glibc before 2.25 has no wrapper. It waits until the source is seeded; EINTR comes from that wait alone. */
    long got;
    do
        got = syscall(SYS_getrandom, out, len, 0);
    while (got < 0 && errno == EINTR);
    return got == (long)len ? 0 : -1;
#else
    return getentropy(out, len);
#endif
}

int tf_random(uint8_t *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t part = len - done < REQUEST_MAX ? len - done : REQUEST_MAX;
        if (fill(out + done, part)) {
            tf_wipe(out, len);
            return TF_ERR_RANDOM;
        }
        TF_PUBLIC(out + done, part); /* MemorySanitizer does not see the kernel's write */
        done += part;
    }
    return TF_OK;
}

int tf_secret_random(tf_secret *secret, size_t len)
{
    tf_secret_wipe(secret);
    if (len > TF_SECRET_MAX)
        return TF_ERR_ARGUMENT;
    int rc = tf_random(secret->bytes, len);
    if (rc)
        return rc;
    secret->len = len;
    TF_SECRET(secret->bytes, len);
    return TF_OK;
}
