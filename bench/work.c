/* SPDX-License-Identifier: Apache-2.0 */
/* Deals devices to clients, so that no two ever ask for the same device at once. */
#include "bench/work.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "bench/csr.h"
#include "est/wire/base64.h"
#include "est/wire/certs_only.h"
#include "pki/der.h"

#define REQUEST_MAX 8192

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(X509_NAME, X509_NAME_free)
AUTO_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)

static bool usable(const struct bench_load_config *config, const struct bench_device *device) {
    bool secret = device->secret[0] != '\0', certificate = device->certificate != NULL;
    if (config->operation == BENCH_CACERTS)
        return true;
    switch (config->credential) {
    case BENCH_CERTIFICATE:
        return certificate;
    case BENCH_SECRET:
        return secret;
    case BENCH_BOTH:
        return secret && certificate;
    }
    return false;
}

/* How many requests in a row a client makes for one device. */
static size_t row_length(const struct bench_load_config *config) {
    if (config->mode != BENCH_KEEPALIVE || config->credential != BENCH_CERTIFICATE)
        return 1;
    return config->per_connection ? config->per_connection : SIZE_MAX;
}

static enum tm_err write_get(const struct bench_load_config *config, struct buf *out) {
    char text[1024];
    int n = snprintf(text, sizeof text, "GET %s/cacerts HTTP/1.1\r\nHost: %s:%s\r\n\r\n",
                     config->url->path, config->url->host, config->url->port);
    buf_put(out, (struct bytes){(uint8_t *)text, (size_t)n});
    return n < (int)sizeof text && !out->full ? TM_OK : TM_ELIMIT;
}

static X509_NAME *subject_of(const struct bench_device *device) {
    char text[2 * IPC_NAME_MAX];
    if (device->certificate)
        return X509_NAME_dup(X509_get_subject_name(device->certificate));
    (void)snprintf(text, sizeof text, "/serialNumber=%s", device->id);
    return bench_name_parse(text);
}

static enum tm_err write_enroll(const struct bench_load_config *config,
                                const struct bench_device *device, EVP_PKEY *key, struct buf *out) {
    uint8_t der[REQUEST_MAX];
    struct buf csr = BUF_ON(der);
    const char *user = config->credential == BENCH_CERTIFICATE ? NULL : device->id;
    AUTO(X509_NAME) subject = subject_of(device);
    AUTO(GENERAL_NAMES)
    san = device->certificate
              ? X509_get_ext_d2i(device->certificate, NID_subject_alt_name, NULL, NULL)
              : NULL;
    struct bench_csr wish = {.key = key, .subject = subject, .san = san};
    enum tm_err err = bench_csr_write(&wish, &csr);
    if (err != TM_OK)
        return err;
    return bench_request_write(
        config->url, config->operation == BENCH_ENROLL ? "simpleenroll" : "simplereenroll", user,
        bytes_str(device->secret), buf_bytes(&csr), out);
}

static enum tm_err fill(const struct bench_load_config *config, struct bench_item *item) {
    uint8_t octets[2 * REQUEST_MAX];
    struct buf request = BUF_ON(octets);
    AUTO(EVP_PKEY) key = NULL;
    enum tm_err err;
    if (config->operation == BENCH_CACERTS) {
        err = write_get(config, &request);
    } else {
        size_t n = 0;
        key = config->same_key ? item->device->key : bench_key_new();
        if (config->same_key && key)
            (void)EVP_PKEY_up_ref(key);
        if (!key ||
            EVP_PKEY_get_octet_string_param(key, "pub", item->point, sizeof item->point, &n) != 1 ||
            n != sizeof item->point)
            return TM_ECRYPTO;
        err = write_enroll(config, item->device, key, &request);
    }
    item->request = err == TM_OK ? malloc(request.n) : NULL;
    if (!item->request)
        return err == TM_OK ? TM_ENOMEM : err;
    memcpy(item->request, request.p, request.n);
    item->request_size = request.n;
    item->key = config->keep ? TAKE(key) : NULL;
    bytes_wipe(octets, sizeof octets);
    return TM_OK;
}

/* Devices that may be used, in order; the caller frees. */
static struct bench_device **usable_devices(const struct bench_load_config *config,
                                            size_t *ret_count) {
    struct bench_device **list = calloc(config->pool->count, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; list && i < config->pool->count; i++)
        if (usable(config, &config->pool->devices[i]))
            list[n++] = &config->pool->devices[i];
    *ret_count = n;
    return list;
}

enum tm_err bench_work_new(const struct bench_load_config *config, struct bench_work *ret_work) {
    size_t devices = 0, row = row_length(config);
    AUTO_MEM struct bench_device **list = usable_devices(config, &devices);
    struct bench_work work = {.clients = config->clients};
    if (!list)
        return TM_ENOMEM;
    size_t own = devices / config->clients; /* devices of each client */
    if (own == 0)
        return TM_ELIMIT;
    work.per_client = config->count / config->clients;
    if (config->credential != BENCH_CERTIFICATE && config->operation != BENCH_CACERTS &&
        work.per_client > own)
        work.per_client = own; /* a secret serves once */
    if (work.per_client == 0)
        work.per_client = 1;
    work.items = calloc(work.per_client * config->clients, sizeof *work.items);
    enum tm_err err = work.items ? TM_OK : TM_ENOMEM;
    for (size_t i = 0; err == TM_OK && i < work.per_client * config->clients; i++) {
        size_t client = i / work.per_client, turn = i % work.per_client / row;
        work.items[i].device = list[client * own + turn % own];
        err = fill(config, &work.items[i]);
    }
    if (err != TM_OK) {
        bench_work_free(&work);
        return err;
    }
    *ret_work = work;
    return TM_OK;
}

void bench_work_free(struct bench_work *work) {
    for (size_t i = 0; work->items && i < work->per_client * work->clients; i++) {
        EVP_PKEY_free(work->items[i].key);
        free(work->items[i].request);
    }
    free(work->items);
    *work = (struct bench_work){0};
}

enum tm_err bench_work_judge(const struct bench_item *item, struct bytes body, struct buf *der,
                             struct bytes *ret_certificate) {
    struct bytes certificates;
    struct der leaf;
    if (est_base64_decode(body, der) != TM_OK ||
        est_certs_only_read(buf_bytes(der), &certificates) != TM_OK ||
        der_next(&certificates, &leaf) != TM_OK)
        return TM_EPARSE;
    if (!memmem(leaf.whole.p, leaf.whole.n, item->point, sizeof item->point))
        return TM_EDENIED;
    *ret_certificate = leaf.whole;
    return TM_OK;
}
