/* SPDX-License-Identifier: Apache-2.0 */
/* The pool file: big-endian u32 length and one record per device, written as a new file. */
#include "bench/pool.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/codec.h"

AUTO_DEFINE(FILE, fclose)

#define RECORD_MAX 16384
#define DEVICES_MAX 1000000
#define KEY_DER_MAX 4096

struct record {
    char id[IPC_NAME_MAX + 1];
    char secret[IPC_SECRET_MAX + 1];
    struct bytes key;
    struct bytes certificate;
};

static const struct codec_field record_fields[] = {
    CODEC_STRING(struct record, id),
    CODEC_STRING(struct record, secret),
    CODEC_BLOB(struct record, key, KEY_DER_MAX),
    CODEC_BLOB(struct record, certificate, IPC_CERT_MAX),
};
static const struct codec_schema record_schema = {
    .name = "bench-device",
    .type = 0x6201,
    .version = 1,
    .size = sizeof(struct record),
    .fields = record_fields,
    .field_count = sizeof record_fields / sizeof record_fields[0],
};

enum tm_err bench_pool_new(const char *prefix, size_t count, struct bench_pool *ret_pool) {
    if (count > DEVICES_MAX)
        return TM_ELIMIT;
    struct bench_pool pool = {.devices = calloc(count, sizeof *pool.devices), .count = count};
    if (!pool.devices)
        return TM_ENOMEM;
    for (size_t i = 0; i < count; i++)
        (void)snprintf(pool.devices[i].id, sizeof pool.devices[i].id, "%.40s%07zu", prefix, i);
    *ret_pool = pool;
    return TM_OK;
}

void bench_pool_free(struct bench_pool *pool) {
    for (size_t i = 0; i < pool->count; i++) {
        bytes_wipe(pool->devices[i].secret, sizeof pool->devices[i].secret);
        EVP_PKEY_free(pool->devices[i].key);
        X509_free(pool->devices[i].certificate);
    }
    free(pool->devices);
    *pool = (struct bench_pool){0};
}

static enum tm_err read_device(FILE *f, struct bench_device *ret) {
    uint8_t octets[RECORD_MAX], size[4];
    struct record record;
    if (fread(size, 1, sizeof size, f) != sizeof size)
        return TM_ENOTFOUND;
    struct reader reader = {.in = BYTES_OF(size)};
    size_t n = reader_be(&reader, sizeof size);
    if (n > sizeof octets || fread(octets, 1, n, f) != n ||
        codec_decode(&record_schema, (struct bytes){octets, n}, &record) != TM_OK)
        return TM_EPARSE;
    struct bench_device device = {0};
    memcpy(device.id, record.id, sizeof device.id);
    memcpy(device.secret, record.secret, sizeof device.secret);
    const uint8_t *p = record.key.p, *q = record.certificate.p;
    device.key = record.key.n ? d2i_AutoPrivateKey(NULL, &p, (long)record.key.n) : NULL;
    device.certificate =
        record.certificate.n ? d2i_X509(NULL, &q, (long)record.certificate.n) : NULL;
    *ret = device;
    return TM_OK;
}

enum tm_err bench_pool_load(const char *dir, struct bench_pool *ret_pool) {
    char path[PATH_MAX];
    size_t cap = 0;
    struct bench_pool pool = {0};
    (void)snprintf(path, sizeof path, "%s/pool", dir);
    AUTO(FILE) f = fopen(path, "rb");
    if (!f)
        return TM_EIO;
    enum tm_err err = TM_OK;
    while (err == TM_OK && pool.count < DEVICES_MAX) {
        if (pool.count == cap) {
            cap = cap ? 2 * cap : 1024;
            struct bench_device *more = reallocarray(pool.devices, cap, sizeof *more);
            if (!more) {
                err = TM_ENOMEM;
                break;
            }
            pool.devices = more;
        }
        err = read_device(f, &pool.devices[pool.count]);
        if (err == TM_OK)
            pool.count++;
    }
    if (err != TM_ENOTFOUND || pool.count == 0) {
        bench_pool_free(&pool);
        return err == TM_ENOTFOUND ? TM_EPARSE : err;
    }
    *ret_pool = pool;
    return TM_OK;
}

static enum tm_err write_device(FILE *f, const struct bench_device *device) {
    uint8_t octets[RECORD_MAX], size[4];
    struct buf out = BUF_ON(octets), head = BUF_ON(size);
    struct record record = {0};
    AUTO_MEM uint8_t *key = NULL;
    AUTO_MEM uint8_t *certificate = NULL;
    memcpy(record.id, device->id, sizeof record.id);
    memcpy(record.secret, device->secret, sizeof record.secret);
    int key_n = device->key ? i2d_PrivateKey(device->key, &key) : 0;
    int certificate_n = device->certificate ? i2d_X509(device->certificate, &certificate) : 0;
    if (key_n < 0 || certificate_n < 0)
        return TM_ECRYPTO;
    record.key = (struct bytes){key, (size_t)key_n};
    record.certificate = (struct bytes){certificate, (size_t)certificate_n};
    enum tm_err err = codec_encode(&record_schema, &record, &out);
    if (err == TM_OK) {
        buf_put_be(&head, out.n, sizeof size);
        if (fwrite(size, 1, sizeof size, f) != sizeof size || fwrite(out.p, 1, out.n, f) != out.n)
            err = TM_EIO;
    }
    bytes_wipe(octets, sizeof octets);
    if (key)
        bytes_wipe(key, (size_t)key_n);
    return err;
}

/* Opens a new private file; NULL = cannot. */
static FILE *create(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f && fd >= 0)
        (void)close(fd);
    return f;
}

enum tm_err bench_pool_save(const char *dir, const struct bench_pool *pool) {
    char path[PATH_MAX], fresh[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/pool", dir) >= (int)sizeof path ||
        snprintf(fresh, sizeof fresh, "%s/pool.new", dir) >= (int)sizeof fresh)
        return TM_ELIMIT;
    (void)mkdir(dir, 0700);
    AUTO(FILE) f = create(fresh);
    enum tm_err err = f ? TM_OK : TM_EIO;
    for (size_t i = 0; err == TM_OK && i < pool->count; i++)
        err = write_device(f, &pool->devices[i]);
    if (err == TM_OK && (fflush(f) != 0 || rename(fresh, path) != 0))
        err = TM_EIO;
    return err;
}
