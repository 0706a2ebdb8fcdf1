/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "admin/import_command.h"
#include "base/auto.h"

#define ROOM_FIRST 4096 /* a power of two */
#define KEY_SIZE 16

struct entry {
    uint64_t hash; /* 0: none */
    uint32_t line;
};
struct import_seen {
    uint8_t key[KEY_SIZE];
    EVP_MD_CTX *md;
    struct entry *entries;
    size_t room, count;
};

typedef struct import_seen import_seen;
AUTO_DEFINE(import_seen, import_seen_free)

enum tm_err import_seen_new(struct import_seen **ret_seen) {
    AUTO(import_seen) seen = calloc(1, sizeof *seen);
    if (!seen)
        return TM_ENOMEM;
    seen->room = ROOM_FIRST;
    seen->entries = calloc(seen->room, sizeof *seen->entries);
    seen->md = EVP_MD_CTX_new();
    if (!seen->entries || !seen->md)
        return TM_ENOMEM;
    if (RAND_bytes(seen->key, sizeof seen->key) != 1)
        return TM_ECRYPTO;
    *ret_seen = TAKE(seen);
    return TM_OK;
}

void import_seen_free(struct import_seen *seen) {
    if (!seen)
        return;
    EVP_MD_CTX_free(seen->md);
    free(seen->entries);
    free(seen);
}

static enum tm_err hash_of(struct import_seen *seen, const char *device, uint64_t *ret) {
    uint8_t octets[EVP_MAX_MD_SIZE];
    if (EVP_DigestInit_ex2(seen->md, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(seen->md, seen->key, sizeof seen->key) != 1 ||
        EVP_DigestUpdate(seen->md, device, strlen(device)) != 1 ||
        EVP_DigestFinal_ex(seen->md, octets, NULL) != 1)
        return TM_ECRYPTO;
    memcpy(ret, octets, sizeof *ret);
    *ret += *ret == 0;
    return TM_OK;
}

static struct entry *find(struct entry *entries, size_t room, uint64_t hash) {
    size_t at = hash & (room - 1);
    while (entries[at].hash && entries[at].hash != hash)
        at = (at + 1) & (room - 1);
    return &entries[at];
}

static enum tm_err grow(struct import_seen *seen) {
    size_t room = 2 * seen->room;
    struct entry *entries = calloc(room, sizeof *entries);
    if (!entries)
        return TM_ENOMEM;
    for (size_t i = 0; i < seen->room; i++)
        if (seen->entries[i].hash)
            *find(entries, room, seen->entries[i].hash) = seen->entries[i];
    free(seen->entries);
    seen->entries = entries;
    seen->room = room;
    return TM_OK;
}

enum tm_err import_seen_add(struct import_seen *seen, const char *device, uint32_t line,
                            uint32_t *ret_line) {
    uint64_t hash = 0;
    enum tm_err err = hash_of(seen, device, &hash);
    if (!err && 2 * (seen->count + 1) > seen->room)
        err = grow(seen);
    if (err)
        return err;
    struct entry *entry = find(seen->entries, seen->room, hash);
    if (entry->hash) {
        *ret_line = entry->line;
        return TM_EEXISTS;
    }
    *entry = (struct entry){hash, line};
    seen->count++;
    return TM_OK;
}
