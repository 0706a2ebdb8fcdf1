/* SPDX-License-Identifier: Apache-2.0 */
/* Records of certificates that peers show: see ca/issued.h. */
#include "ca/issued.h"

#include <string.h>

static enum tm_err find_by_serial(struct ca_store *store, const struct ca_serial *serial,
                                  const uint8_t fingerprint[CA_HASH_SIZE],
                                  struct ca_certificate *ret, struct buf *der) {
    enum tm_err err = store->ops->certificate(store, serial, ret, der);
    if (err)
        return err;
    return memcmp(ret->fingerprint, fingerprint, CA_HASH_SIZE) == 0 ? TM_OK : TM_ENOTFOUND;
}

enum tm_err ca_issued_find(struct ca_store *store, const struct pki_cert *leaf,
                           const uint8_t fingerprint[CA_HASH_SIZE], struct ca_certificate *ret,
                           struct buf *der) {
    struct ca_serial serial;
    struct ca_foreign_row row = {0};
    enum tm_err err = ca_serial_read(leaf->serial, &serial)
                          ? find_by_serial(store, &serial, fingerprint, ret, der)
                          : TM_ENOTFOUND;
    if (err != TM_ENOTFOUND)
        return err;
    memcpy(row.fingerprint, fingerprint, CA_HASH_SIZE);
    err = store->ops->row(store, CA_TABLE_FOREIGN, &row, NULL);
    der->n = 0;
    return err ? err : find_by_serial(store, &row.serial, fingerprint, ret, der);
}

bool ca_is_authority(const struct pki_cert *leaf) {
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count = 0;
    if (pki_cert_eku(leaf, purposes, &count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (purposes[i] == PKI_OID_KP_CMC_RA)
            return true;
    return false;
}
