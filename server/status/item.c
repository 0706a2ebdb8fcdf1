/* SPDX-License-Identifier: Apache-2.0 */
/* See item.h. */
#include "server/status/item.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memfile.h"

static void release(struct bytes octets, bool mapped) {
    if (mapped)
        memfile_unmap(octets);
    else
        free((void *)(uintptr_t)octets.p);
}

static enum tm_err name_content(struct status_item *item) {
    char hex[2 * STATUS_HASH_SIZE + 1];
    if (EVP_Digest(item->octets.p, item->octets.n, item->sha256, NULL, EVP_sha256(), NULL) != 1)
        return TM_ECRYPTO;
    enum tm_err err = hex_encode(BYTES_OF(item->sha256), hex, sizeof hex);
    (void)snprintf(item->etag, sizeof item->etag, "\"%s\"", hex);
    return err;
}

enum tm_err status_item_new(struct bytes octets, bool mapped, struct status_item **ret_item) {
    AUTO(status_item) item = calloc(1, sizeof *item);
    if (!item) {
        release(octets, mapped);
        return TM_ENOMEM;
    }
    *item = (struct status_item){.refs = 1, .mapped = mapped, .octets = octets};
    enum tm_err err = name_content(item);
    if (!err)
        *ret_item = TAKE(item);
    return err;
}

struct status_item *status_item_ref(struct status_item *item) {
    item->refs++;
    return item;
}

void status_item_unref(struct status_item *item) {
    if (!item || --item->refs > 0)
        return;
    release(item->octets, item->mapped);
    free(item);
}
