/* SPDX-License-Identifier: Apache-2.0 */
/* What C callers include: the interface with its include guard and the integer types it needs. */
#ifndef TLSFAST_H
#define TLSFAST_H

#include <stddef.h>
#include <stdint.h>

#include "tlsfast_api.h"

#endif
