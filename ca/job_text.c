/* SPDX-License-Identifier: Apache-2.0 */
/* A job's terms as facts for people, as text, and its hash: see ca/job.h. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ca/job.h"

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

/* ---- as text, and its hash ---- */

static void put_fact(void *arg, const char *name, const char *value) {
    buf_put(arg, bytes_str(name));
    buf_put_u8(arg, '=');
    buf_put(arg, bytes_str(value));
    buf_put_u8(arg, '\n');
}

enum tm_err ca_job_terms_put(const struct ca_job *job, struct buf *out) {
    put_fact(out, "tenant", job->tenant);
    put_fact(out, "job", job->status == CA_JOB_PROPOSED ? job->of : job->name);
    ca_job_describe(job, put_fact, out);
    return out->full ? TM_ELIMIT : TM_OK;
}

enum tm_err ca_job_hash(const struct ca_job *job, uint8_t ret[CA_HASH_SIZE]) {
    uint8_t octets[CA_TERMS_MAX];
    struct buf text = BUF_ON(octets);
    enum tm_err err = ca_job_terms_put(job, &text);
    if (err)
        return err;
    return EVP_Digest(text.p, text.n, ret, NULL, EVP_sha256(), NULL) == 1 ? TM_OK : TM_ECRYPTO;
}
