/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet's cryptography: OpenSSL's table with random numbers that a seed repeats. Signatures
 * that were found good are remembered by a hash, because all devices verify the same few CA
 * certificates. A table belongs to one thread.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_CRYPTO_H
#define TOUCHMARK_CLIENT_FLEET_CRYPTO_H

#include "client/fleet/random.h"
#include "client/tables.h"

#define FLEET_REMEMBERED 64

struct fleet_crypto {
    struct fleet_random random;
    uint8_t good[FLEET_REMEMBERED][TM_SHA256_SIZE]; /* key, algorithm, message, signature */
    uint64_t verified, remembered;
};

/* The table lives as long as *crypto. */
struct tm_crypto fleet_crypto_table(struct fleet_crypto *crypto, uint64_t seed);
/* The same with OpenSSL's own random numbers, for a server that takes them for such. */
struct tm_crypto fleet_crypto_unseeded(struct fleet_crypto *crypto);

#endif
