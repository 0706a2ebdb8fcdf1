/* SPDX-License-Identifier: Apache-2.0 */
/* CsrAttrs read from any octets, and written from wishes that the octets choose. */
#include <stdlib.h>

#include "est/wire/csrattrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

/* Reads a whole message; the number of its elements. */
static enum tm_err read_all(struct bytes in, size_t *ret_count) {
    struct bytes rest;
    struct est_attr_or_oid element;
    enum tm_err err = est_csrattrs_open(in, &rest);
    size_t count = 0;
    while (!err && !(err = est_csrattrs_next(&rest, &element))) {
        require(pki_oid_valid(element.oid));
        require(element.has_values == (element.values.n > 0));
        count++;
    }
    *ret_count = count;
    return err;
}

static enum pki_oid take_oid(struct reader *r) {
    return (enum pki_oid)(reader_be(r, 1) % PKI_OID_COUNT);
}

static void take_oids(struct reader *r, enum pki_oid *oids, size_t *count) {
    *count = (size_t)reader_be(r, 1) % (EST_CSRATTRS_OIDS_MAX + 2);
    for (size_t i = 0; i < *count && i < EST_CSRATTRS_OIDS_MAX; i++)
        oids[i] = take_oid(r);
}

static void write_wishes(struct bytes in) {
    static const enum pki_oid keys[] = {PKI_OID_UNKNOWN, PKI_OID_EC_PUBLIC_KEY,
                                        PKI_OID_RSA_ENCRYPTION, PKI_OID_ED25519};
    struct reader r = {.in = in};
    struct est_csrattrs wishes = {.key_algorithm = keys[reader_be(&r, 1) % 4]};
    uint8_t memory[EST_CSRATTRS_MAX];
    uint8_t flags = (uint8_t)reader_be(&r, 1);
    if (flags & 1)
        wishes.curve = take_oid(&r);
    if (flags & 2)
        wishes.rsa_bits = (unsigned)reader_be(&r, 2);
    if (flags & 4)
        wishes.signature = take_oid(&r);
    wishes.challenge_password = flags & 8;
    wishes.template_form = flags & 16;
    wishes.key_usage = (uint16_t)reader_be(&r, 2);
    take_oids(&r, wishes.subject, &wishes.subject_count);
    take_oids(&r, wishes.eku, &wishes.eku_count);
    struct buf out = {memory, (size_t)(flags & 32 ? 64 : sizeof memory), 0, false};
    size_t count;
    enum tm_err err = est_csrattrs_write(&wishes, &out);
    require(err == TM_OK || out.n == 0);
    if (out.n > 0)
        require(read_all(buf_bytes(&out), &count) == TM_ENOTFOUND && count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    size_t count;
    (void)!read_all(in, &count);
    write_wishes(in);
    return 0;
}
