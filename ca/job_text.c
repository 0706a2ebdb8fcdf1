/* SPDX-License-Identifier: Apache-2.0 */
/* A job's terms as facts for people, and the hash over them: see ca/job.h. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "ca/job.h"

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

struct teller {
    ca_job_fact_fn *fact;
    void *arg;
};

__attribute__((format(printf, 3, 4))) static void tell(const struct teller *t, const char *name,
                                                       const char *format, ...) {
    char value[IPC_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(value, sizeof value, format, args);
    va_end(args);
    t->fact(t->arg, name, value);
}

static void tell_time(const struct teller *t, const char *name, int64_t ms) {
    char text[CLOCK_TEXT_MAX];
    clock_format(ms, text);
    tell(t, name, "%s", text);
}

/* As many as fit into each fact: name, name-2, name-3 ... */
static void tell_list(const struct teller *t, const char *name, const struct ca_job_text *items,
                      size_t count) {
    char value[IPC_TEXT_MAX + 1] = "", numbered[IPC_NAME_MAX + 1];
    unsigned part = 1;
    TEXT_SET(numbered, name);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(value);
        if (n + 1 + strlen(items[i].text) > IPC_TEXT_MAX) {
            t->fact(t->arg, numbered, value);
            (void)snprintf(numbered, sizeof numbered, "%s-%u", name, ++part);
            value[n = 0] = '\0';
        }
        (void)snprintf(value + n, sizeof value - n, "%s%s", n ? " " : "", items[i].text);
    }
    t->fact(t->arg, numbered, value[0] ? value : "any");
}

static void tell_ids(const struct teller *t, const struct ca_job *job) {
    char hex[CA_JOB_HASH_TEXT] = "";
    if (!job->listed)
        tell(t, "ids", "%s to %s", job->first, job->last);
    else if (!hex_encode(BYTES_OF(job->list), hex, sizeof hex))
        tell(t, "ids", "%" PRIu32 " listed, sha256:%s", job->listed, hex);
}

static void tell_profiles(const struct teller *t, const struct ca_job *job) {
    char name[IPC_NAME_MAX + 1];
    for (size_t i = 0; i < job->profile_count; i++) {
        (void)snprintf(name, sizeof name, "quota-%zu", i + 1);
        tell(t, name, "%" PRIu32 " %s", job->profiles[i].quota, job->profiles[i].name);
    }
}

static void tell_limits(const struct teller *t, const struct ca_job *job) {
    char value[IPC_TEXT_MAX + 1];
    size_t n = 0;
    for (unsigned i = 0; i < CA_RULE_COUNT; i++)
        n += (size_t)snprintf(value + n, sizeof value - n, "%s%s %" PRIu32, n ? ", " : "",
                              ca_job_rule_name((enum ca_job_rule)i), job->limits[i]);
    tell(t, "stop", "%s", value);
}

void ca_job_describe(const struct ca_job *job, ca_job_fact_fn *fact, void *arg) {
    const struct teller t = {fact, arg};
    tell(&t, "terms", "%" PRIu32, job->terms);
    tell(&t, "product", "%s", job->product[0] ? job->product : "any");
    tell(&t, "batch", "%s", job->batch[0] ? job->batch : "none");
    tell(&t, "site", "%s", job->site[0] ? job->site : "none");
    tell_profiles(&t, job);
    tell_ids(&t, job);
    tell_time(&t, "from", job->from_ms);
    tell_time(&t, "until", job->until_ms);
    tell_list(&t, "networks", job->networks, job->network_count);
    tell_list(&t, "stations", job->stations, job->station_count);
    if (job->rate)
        tell(&t, "rate", "%" PRIu32 " certificates a minute", job->rate);
    else
        tell(&t, "rate", "any");
    tell(&t, "operator", "%s", job->operator_required ? "required" : "not required");
    tell_limits(&t, job);
}

/* ---- the hash ---- */

struct hashing {
    EVP_MD_CTX *ctx;
    bool failed;
};

static void hash_fact(void *arg, const char *name, const char *value) {
    struct hashing *h = arg;
    h->failed |= EVP_DigestUpdate(h->ctx, name, strlen(name)) != 1 ||
                 EVP_DigestUpdate(h->ctx, "=", 1) != 1 ||
                 EVP_DigestUpdate(h->ctx, value, strlen(value)) != 1 ||
                 EVP_DigestUpdate(h->ctx, "\n", 1) != 1;
}

enum tm_err ca_job_hash(const struct ca_job *job, uint8_t ret[CA_HASH_SIZE]) {
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    struct hashing h = {.ctx = ctx};
    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        return TM_ECRYPTO;
    hash_fact(&h, "tenant", job->tenant);
    hash_fact(&h, "job", job->status == CA_JOB_PROPOSED ? job->of : job->name);
    ca_job_describe(job, hash_fact, &h);
    return !h.failed && EVP_DigestFinal_ex(ctx, ret, NULL) == 1 ? TM_OK : TM_ECRYPTO;
}
