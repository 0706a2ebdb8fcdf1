/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are kept: found by CertID and by serial, bounded by memory, the least recently used
 * goes first. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/status/ocsp_internal.h"

/* An answer is old when less than this part of its life is left. */
#define MARGIN_PART 10

/* FNV-1a, seeded. A flood can only fill the buckets with questions, and those are few. */
static size_t bucket_of(const struct status_ocsp *ocsp, struct bytes text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ ocsp->seed;
    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ text.p[i]) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32) & (STATUS_OCSP_BUCKETS - 1);
}

static struct bytes without_zeros(struct bytes serial) {
    while (serial.n > 1 && serial.p[0] == 0)
        serial = (struct bytes){serial.p + 1, serial.n - 1};
    return serial;
}

struct status_answer *status_answer_find(const struct status_ocsp *ocsp, struct bytes key) {
    struct status_answer *answer;
    LIST_FOREACH(answer, &ocsp->by_key[bucket_of(ocsp, key)], key_entry) {
        if (bytes_equal((struct bytes){answer->key, answer->key_n}, key))
            return answer;
    }
    return NULL;
}

enum tm_err status_answer_new(struct status_ocsp *ocsp, const struct pki_ocsp_cert_id *id,
                              struct status_answer **ret_answer) {
    struct bytes serial = without_zeros(id->serial);
    struct status_answer *answer = calloc(1, sizeof *answer + id->whole.n);
    if (!answer)
        return TM_ENOMEM;
    memcpy(answer->key, id->whole.p, id->whole.n);
    answer->key_n = id->whole.n;
    answer->serial = (struct bytes){answer->key + (serial.p - id->whole.p), serial.n};
    LIST_INIT(&answer->asks);
    LIST_INSERT_HEAD(&ocsp->by_key[bucket_of(ocsp, id->whole)], answer, key_entry);
    LIST_INSERT_HEAD(&ocsp->by_serial[bucket_of(ocsp, answer->serial)], answer, serial_entry);
    *ret_answer = answer;
    return TM_OK;
}

void status_answer_settle(struct status_ocsp *ocsp, struct status_answer *answer) {
    (void)ocsp;
    if (answer->kept || answer->id)
        return;
    LIST_REMOVE(answer, key_entry);
    LIST_REMOVE(answer, serial_entry);
    free(answer);
}

static size_t memory_of(const struct status_answer *answer) {
    return sizeof *answer + answer->key_n + sizeof *answer->kept + answer->kept->octets.n;
}

void status_answer_let_go(struct status_ocsp *ocsp, struct status_answer *answer) {
    if (!answer->kept)
        return;
    ocsp->octets -= memory_of(answer);
    TAILQ_REMOVE(&ocsp->recent, answer, recent_entry);
    status_item_unref(TAKE(answer->kept));
}

void status_answer_keep(struct status_ocsp *ocsp, struct status_answer *answer,
                        struct status_item *item, const char *issuer) {
    status_answer_let_go(ocsp, answer);
    answer->kept = item;
    answer->link = ocsp->link_number;
    TEXT_SET(answer->issuer, issuer);
    TAILQ_INSERT_HEAD(&ocsp->recent, answer, recent_entry);
    ocsp->octets += memory_of(answer);
    struct status_answer *last;
    while (ocsp->octets > ocsp->config.octets_max &&
           (last = TAILQ_LAST(&ocsp->recent, status_answer_queue)) != answer) {
        status_answer_let_go(ocsp, last);
        status_answer_settle(ocsp, last);
    }
}

bool status_answer_is_valid(const struct status_answer *answer) {
    return answer->kept && clock_wall_ms() < answer->kept->next_update_ms;
}

bool status_answer_is_current(struct status_ocsp *ocsp, struct status_answer *answer) {
    if (answer->link != ocsp->link_number || !status_answer_is_valid(answer))
        return false;
    TAILQ_REMOVE(&ocsp->recent, answer, recent_entry);
    TAILQ_INSERT_HEAD(&ocsp->recent, answer, recent_entry);
    return true;
}

bool status_answer_is_old(const struct status_answer *answer) {
    const struct status_item *item = answer->kept;
    int64_t margin = (item->next_update_ms - item->this_update_ms) / MARGIN_PART;
    return clock_wall_ms() >= item->next_update_ms - margin;
}

void status_answer_each(struct status_ocsp *ocsp, struct bytes serial,
                        void (*fn)(struct status_ocsp *ocsp, struct status_answer *answer)) {
    serial = without_zeros(serial);
    struct status_answer *answer = LIST_FIRST(&ocsp->by_serial[bucket_of(ocsp, serial)]);
    while (answer) {
        struct status_answer *next = LIST_NEXT(answer, serial_entry);
        if (bytes_equal(answer->serial, serial))
            fn(ocsp, answer);
        answer = next;
    }
}
