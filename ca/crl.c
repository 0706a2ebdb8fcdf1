/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building CRLs: see ca/crl.h. Entries go straight into the mapped memory file, behind room for
 * what stands before them, whose lengths are known only at the end: then the room is filled, and
 * the entries move up by the few octets that it was too large.
 */
#include "ca/crl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/memfile.h"
#include "ca/build_internal.h"
#include "ca/san.h"
#include "pki/crl.h"
#include "pki/extensions.h"

typedef struct ca_crl ca_crl;
AUTO_DEFINE(ca_crl, ca_crl_free)

#define VERSION_2 1
#define HEAD_MAX 9000               /* octets: the issuer's name, and little else */
#define TAIL_MAX (CA_URL_MAX + 256) /* octets of the extensions */
#define ENTRY_MAX 128               /* octets */
#define ROOM_MIN ((size_t)16 << 10) /* octets: there may be many shards */
#define STEP_MAX ((size_t)4 << 20)  /* octets that the file grows by at once, at most */

struct ca_crl {
    const struct ca_issuer *issuer;
    uint64_t number;
    int64_t this_update_ms, next_update_ms;
    char url[CA_URL_MAX + 1]; /* "": none */
    int fd;
    uint8_t *map;  /* of the whole file, MAP_FAILED: none */
    size_t room;   /* octets of the file */
    size_t head_n; /* room before the entries */
    size_t n;      /* octets used, the head's room included */
    uint64_t count;
    struct ca_serial last;
};

/* ---- what stands round the entries ---- */

/* SEQUENCE { [0] { [0] fullName { URI } } }: RFC 5280, 5.2.5. */
static void put_distribution_point(struct der_writer *w, const char *url) {
    size_t end = der_mark(w);
    if (!url[0])
        return;
    der_put(w, CA_SAN_URI, bytes_str(url));
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_ISSUING_DISTRIBUTION_POINT, true, end);
}

static void put_tail(struct der_writer *w, const ca_crl *crl) {
    uint8_t memory[8];
    struct buf number = BUF_ON(memory);
    size_t end = der_mark(w);
    put_distribution_point(w, crl->url);
    size_t mark = der_mark(w);
    buf_put_be(&number, crl->number, sizeof memory);
    der_put_unsigned(w, buf_bytes(&number));
    pki_extension_wrap(w, PKI_OID_CRL_NUMBER, false, mark);
    mark = der_mark(w);
    der_put(w, DER_CONTEXT(0), crl->issuer->key_id);
    der_wrap(w, DER_SEQUENCE, mark);
    pki_extension_wrap(w, PKI_OID_AUTHORITY_KEY_ID, false, mark);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
}

/* From the header of the TBSCertList to that of revokedCertificates, which is absent when nothing
 * is revoked (RFC 5280, 5.1.2.6). */
static void put_head(struct der_writer *w, const ca_crl *crl, size_t entries_n, size_t tail_n) {
    size_t end = der_mark(w);
    if (entries_n)
        der_header(w, DER_SEQUENCE, entries_n);
    der_put_time(w, crl->next_update_ms);
    der_put_time(w, crl->this_update_ms);
    der_raw(w, crl->issuer->view.subject);
    ca_put_signature_algorithm(w, crl->issuer->signature);
    der_put_small(w, VERSION_2);
    der_header(w, DER_SEQUENCE, end - der_mark(w) + entries_n + tail_n);
}

/* ---- the file ---- */

static enum tm_err map(ca_crl *crl, size_t room) {
    void *p = crl->map == MAP_FAILED
                  ? mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, crl->fd, 0)
                  : mremap(crl->map, crl->room, room, MREMAP_MAYMOVE);
    if (p == MAP_FAILED) {
        log_error("cannot map a CRL of %zu octets: %s", room, strerror(errno));
        return TM_ENOMEM;
    }
    crl->map = p;
    crl->room = room;
    return TM_OK;
}

/* By fallocate, so that a lack of memory is an error here and not a signal when it is written. */
static enum tm_err grow(ca_crl *crl, size_t room) {
    int failed;
    if (room > IPC_TBS_FILE_MAX)
        return TM_ELIMIT;
    do
        failed = fallocate(crl->fd, 0, (off_t)crl->room, (off_t)(room - crl->room));
    while (failed && errno == EINTR);
    if (!failed)
        return map(crl, room);
    log_error("a CRL cannot grow to %zu octets: %s", room, strerror(errno));
    return errno == ENOSPC || errno == ENOMEM ? TM_EFULL : TM_EIO;
}

static enum tm_err reserve(ca_crl *crl, size_t n) {
    size_t room = crl->room ? crl->room : ROOM_MIN;
    while (room - crl->n < n)
        room += room < STEP_MAX ? room : STEP_MAX;
    return room == crl->room ? TM_OK : grow(crl, room);
}

static enum tm_err append(ca_crl *crl, const struct der_writer *w) {
    struct bytes written = der_written(w);
    if (w->full)
        return TM_ELIMIT;
    enum tm_err err = reserve(crl, written.n);
    if (err)
        return err;
    memcpy(crl->map + crl->n, written.p, written.n);
    crl->n += written.n;
    return TM_OK;
}

static enum tm_err open_file(ca_crl *crl) {
    enum tm_err err = memfile_new("crl", &crl->fd);
    if (err)
        return err;
    uint8_t memory[HEAD_MAX];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    put_head(&w, crl, IPC_TBS_FILE_MAX, TAIL_MAX); /* so that no length takes more octets later */
    crl->head_n = der_written(&w).n;
    err = w.full ? TM_ELIMIT : reserve(crl, crl->head_n);
    crl->n = crl->head_n;
    return err;
}

/* ---- the interface ---- */

static bool is_period(int64_t from_ms, int64_t to_ms) {
    return from_ms >= 0 && from_ms / 1000 < to_ms / 1000;
}

enum tm_err ca_crl_begin(const struct ca_issuer *issuer, uint64_t number, int64_t this_update_ms,
                         int64_t next_update_ms, const char *url, ca_crl **ret_crl) {
    size_t url_n = url ? strlen(url) : 0;
    if ((url && url_n == 0) || url_n > CA_URL_MAX || !is_period(this_update_ms, next_update_ms))
        return TM_EINVAL;
    AUTO(ca_crl) crl = calloc(1, sizeof *crl);
    if (!crl)
        return TM_ENOMEM;
    *crl = (struct ca_crl){.issuer = issuer,
                           .number = number,
                           .this_update_ms = this_update_ms,
                           .next_update_ms = next_update_ms,
                           .fd = -1,
                           .map = MAP_FAILED};
    if (url)
        TEXT_SET(crl->url, url);
    enum tm_err err = open_file(crl);
    if (!err)
        *ret_crl = TAKE(crl);
    return err;
}

/* CRL entry extension reasonCode (RFC 5280, 5.3.1). */
static void put_reason(struct der_writer *w, uint8_t reason) {
    size_t end = der_mark(w);
    if (!reason)
        return;
    der_put(w, DER_ENUMERATED, (struct bytes){&reason, 1});
    pki_extension_wrap(w, PKI_OID_REASON_CODE, false, end);
    der_wrap(w, DER_SEQUENCE, end);
}

static struct bytes octets_of(const struct ca_serial *serial) {
    return (struct bytes){serial->octets, serial->n};
}

static bool comes_next(const ca_crl *crl, const struct ca_serial *serial) {
    struct bytes octets = octets_of(serial);
    return der_minimal_integer(octets) && octets.p[0] < 0x80 &&
           !(octets.n == 1 && octets.p[0] == 0) &&
           (!crl->count || pki_serial_less(octets_of(&crl->last), octets));
}

enum tm_err ca_crl_add(ca_crl *crl, const struct ca_revoked *revoked) {
    if (!comes_next(crl, &revoked->serial) || !pki_crl_reason_valid(revoked->reason))
        return TM_EINVAL;
    uint8_t memory[ENTRY_MAX];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    put_reason(&w, revoked->reason);
    der_put_time(&w, revoked->revoked_ms);
    der_put(&w, DER_INTEGER, octets_of(&revoked->serial));
    der_wrap(&w, DER_SEQUENCE, sizeof memory);
    enum tm_err err = append(crl, &w);
    if (err)
        return err;
    crl->last = revoked->serial;
    crl->count++;
    return TM_OK;
}

/* Puts the head before the entries, and all of it at the start of the file. */
static enum tm_err close_up(ca_crl *crl, size_t entries_n, size_t tail_n) {
    uint8_t memory[HEAD_MAX];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    put_head(&w, crl, entries_n, tail_n);
    struct bytes head = der_written(&w);
    if (w.full || head.n > crl->head_n)
        return TM_ELIMIT;
    memmove(crl->map + head.n, crl->map + crl->head_n, entries_n + tail_n);
    memcpy(crl->map, head.p, head.n);
    crl->n = head.n + entries_n + tail_n;
    return TM_OK;
}

/* A memory file with a writable mapping cannot be sealed. */
static enum tm_err seal(ca_crl *crl) {
    (void)munmap(crl->map, crl->room);
    crl->map = MAP_FAILED;
    if (ftruncate(crl->fd, (off_t)crl->n)) {
        log_error("a CRL's memory file cannot be cut: %s", strerror(errno));
        return TM_EIO;
    }
    return memfile_seal(crl->fd);
}

enum tm_err ca_crl_finish(ca_crl *crl, int *ret_fd, uint64_t *ret_size, uint64_t *ret_entries) {
    uint8_t memory[TAIL_MAX];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    size_t entries_n = crl->n - crl->head_n;
    put_tail(&w, crl);
    enum tm_err err = append(crl, &w);
    if (!err)
        err = close_up(crl, entries_n, der_written(&w).n);
    if (!err)
        err = seal(crl);
    if (err)
        return err;
    *ret_fd = TAKE_FD(crl->fd);
    *ret_size = crl->n;
    *ret_entries = crl->count;
    return TM_OK;
}

void ca_crl_free(ca_crl *crl) {
    if (!crl)
        return;
    if (crl->map != MAP_FAILED)
        (void)munmap(crl->map, crl->room);
    if (crl->fd >= 0)
        (void)close(crl->fd);
    free(crl);
}

unsigned ca_crl_shard(const struct ca_issuer *issuer, struct bytes serial) {
    unsigned last = serial.n > 0 ? serial.p[serial.n - 1] : 0;
    if (serial.n > 1)
        last |= (unsigned)serial.p[serial.n - 2] << 8;
    return issuer->crl_shards ? last % issuer->crl_shards : 0;
}
