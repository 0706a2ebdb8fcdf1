/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the clients of a run send, made before the clock starts, and how an answer is judged.
 * Constant while a run lasts.
 */
#ifndef TOUCHMARK_BENCH_WORK_H
#define TOUCHMARK_BENCH_WORK_H

#include "bench/load.h"

#define BENCH_POINT_SIZE 65 /* uncompressed P-256 point */

struct bench_item {
    struct bench_device *device;
    uint8_t *request; /* whole HTTP request */
    size_t request_size;
    uint8_t point[BENCH_POINT_SIZE]; /* the request's public key */
    EVP_PKEY *key;                   /* kept only when the pool is to get it */
};
struct bench_work {
    struct bench_item *items; /* client c has items[c * per_client ...], per_client of them */
    size_t per_client;
    unsigned clients;
};

/* TM_ELIMIT: fewer usable devices than clients; TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err bench_work_new(const struct bench_load_config *config,
                                    struct bench_work *ret_work);
void bench_work_free(struct bench_work *work);

/* The certificate inside an answer to `item` (borrowed from `der`, the caller's memory for
 * the decoded body). TM_EPARSE: there is none; TM_EDENIED: it is for another key. */
MUST_USE enum tm_err bench_work_judge(const struct bench_item *item, struct bytes body,
                                      struct buf *der, struct bytes *ret_certificate);

#endif
