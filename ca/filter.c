/* SPDX-License-Identifier: Apache-2.0 */
/* An issuer's revocation filter, from its serials to the signed file: see ca/filter.h. */
#include "ca/filter.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/auto.h"
#include "base/memfile.h"
#include "ca/filter_body.h"
#include "ca/hash.h"

#define SERIALS_MAX (UINT64_C(1) << 31)
#define SEEDS 16 /* that are tried; one is enough but for one time in a million */

struct ca_filter {
    uint8_t key_id[PKI_FILTER_KEY_ID_MAX];
    struct pki_filter_header terms; /* as they were asked for; key_id borrows the above */
    struct ca_filter_list good, revoked;
    uint64_t burned; /* of those in `revoked` */
    uint8_t last[PKI_FILTER_SERIAL_SIZE];
    uint8_t *body;
    size_t body_n;
    size_t header_n; /* 0: not built */
    uint8_t header[PKI_FILTER_HEADER_MAX];
};

/* ---- serials ---- */

static bool terms_make_sense(const struct ca_filter_terms *terms) {
    return terms->key_id.n > 0 && terms->key_id.n <= PKI_FILTER_KEY_ID_MAX && terms->made_ms > 0 &&
           terms->next_ms >= terms->made_ms && terms->from_ms >= 0 &&
           terms->until_ms >= terms->from_ms && (uint64_t)terms->until_ms <= PKI_FILTER_TIME_MAX;
}

enum tm_err ca_filter_new(const struct ca_filter_terms *terms, struct ca_filter **ret_filter) {
    if (!terms_make_sense(terms))
        return TM_EINVAL;
    struct ca_filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return TM_ENOMEM;
    filter->terms = (struct pki_filter_header){
        .key_id = {filter->key_id, terms->key_id.n},
        .number = terms->number,
        .made_ms = terms->made_ms,
        .next_ms = terms->next_ms,
        .from_ms = (uint64_t)terms->from_ms,
        .until_ms = (uint64_t)terms->until_ms,
    };
    memcpy(filter->key_id, terms->key_id.p, terms->key_id.n);
    filter->good.item = filter->revoked.item = PKI_FILTER_SERIAL_SIZE;
    *ret_filter = filter;
    return TM_OK;
}

void ca_filter_free(struct ca_filter *filter) {
    if (!filter)
        return;
    ca_filter_list_free(&filter->good);
    ca_filter_list_free(&filter->revoked);
    free(filter->body);
    free(filter);
}

enum tm_err ca_filter_add(struct ca_filter *filter, const struct ca_serial *serial,
                          enum ca_filter_kind kind) {
    if (filter->header_n)
        return TM_EINVAL;
    if (!pki_filter_covers(&filter->terms, (struct bytes){serial->octets, serial->n}))
        return TM_OK;
    uint64_t count = filter->good.count + filter->revoked.count;
    if (count > 0 && memcmp(serial->octets, filter->last, sizeof filter->last) <= 0)
        return TM_EINVAL;
    if (count == SERIALS_MAX)
        return TM_ELIMIT;
    enum tm_err err = ca_filter_list_add(kind == CA_FILTER_GOOD ? &filter->good : &filter->revoked,
                                         serial->octets);
    if (err)
        return err;
    filter->burned += kind == CA_FILTER_BURNED;
    memcpy(filter->last, serial->octets, sizeof filter->last);
    return TM_OK;
}

/* ---- building ---- */

/* Of both, one after the other. */
static enum tm_err sha256(struct bytes front, struct bytes body, uint8_t ret[CA_HASH_SIZE]) {
    struct ca_hasher *hasher;
    enum tm_err err = ca_hasher_new(&hasher);
    if (err)
        return err;
    err = ca_hash(hasher, (const struct bytes[]){front, body}, 2, ret);
    ca_hasher_free(hasher);
    return err;
}

static enum tm_err write_header(struct ca_filter *filter, struct pki_filter_header *header) {
    struct buf out = BUF_ON(filter->header);
    struct bytes body = {filter->body, header->body_n};
    enum tm_err err = sha256((struct bytes){0}, body, header->body_sha256);
    if (!err)
        err = pki_filter_header_write(header, &out);
    if (err)
        return err;
    filter->body_n = body.n;
    filter->header_n = out.n;
    return TM_OK;
}

enum tm_err ca_filter_build(struct ca_filter *filter, const atomic_bool *stop) {
    struct ca_filter_sides sides = {&filter->good, &filter->revoked, stop};
    if (filter->header_n)
        return TM_EINVAL;
    enum tm_err err = TM_ENOTFOUND;
    struct pki_filter_header header = filter->terms;
    for (unsigned i = 0; i < SEEDS && err == TM_ENOTFOUND; i++) {
        if (RAND_bytes((unsigned char *)&header.seed, sizeof header.seed) != 1)
            return TM_ECRYPTO;
        err = ca_filter_body_make(&sides, &header, &filter->body);
    }
    if (err)
        return err == TM_ENOTFOUND ? TM_ECORRUPT : err;
    return write_header(filter, &header);
}

struct ca_filter_counts ca_filter_counts(const struct ca_filter *filter) {
    return (struct ca_filter_counts){.good = filter->good.count,
                                     .revoked = filter->revoked.count - filter->burned,
                                     .burned = filter->burned,
                                     .body_n = filter->body_n};
}

struct bytes ca_filter_header(const struct ca_filter *filter) {
    return (struct bytes){filter->header, filter->header_n};
}

struct bytes ca_filter_body(const struct ca_filter *filter) {
    return (struct bytes){filter->body, filter->body_n};
}

/* ---- the file ---- */

static enum tm_err make_file(struct bytes front, struct bytes body, int *ret_fd) {
    AUTO_FD int fd = -1;
    enum tm_err err = memfile_new("touchmark-filter", &fd);
    if (!err)
        err = memfile_write(fd, front);
    if (!err)
        err = memfile_write(fd, body);
    if (!err)
        err = memfile_seal(fd);
    if (!err)
        *ret_fd = TAKE_FD(fd);
    return err;
}

enum tm_err ca_filter_seal(const struct ca_filter *filter, const struct ca_issuer *issuer,
                           struct bytes signature, struct ca_filter_file *ret_file) {
    uint8_t memory[PKI_FILTER_HEADER_MAX + PKI_FILTER_SIGNATURE_MAX + 2];
    struct buf front = BUF_ON(memory);
    struct bytes header = ca_filter_header(filter), body = ca_filter_body(filter);
    struct ca_filter_file file = {.fd = -1};
    if (header.n == 0 || !bytes_equal(issuer->key_id, filter->terms.key_id))
        return TM_EINVAL;
    enum tm_err err = ca_issuer_verify(issuer, header, signature);
    if (err)
        return err;
    buf_put(&front, header);
    err = pki_filter_signature_write(signature, &front);
    if (!err)
        err = sha256(buf_bytes(&front), body, file.sha256);
    if (!err)
        err = make_file(buf_bytes(&front), body, &file.fd);
    if (err)
        return err;
    file.size = front.n + body.n;
    *ret_file = file;
    return TM_OK;
}
