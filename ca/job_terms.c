/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's terms read from their text: see ca/job.h. What is read is put into text again and must
 * come to the same octets: so nothing is overlooked, and nothing is read in two ways.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ca/job.h"
#include "pki/time.h"

/* ---- values ---- */

/* "2026-01-02T03:04:05.678Z" */
static bool read_time(const char *text, int64_t *ret_ms) {
    struct pki_time time;
    char digits[16];
    unsigned ms;
    int end = 0;
    if (strlen(text) != 24 || sscanf(text + 19, ".%3uZ%n", &ms, &end) != 1 || end != 5)
        return false;
    (void)snprintf(digits, sizeof digits, "%.4s%.2s%.2s%.2s%.2s%.2sZ", text, text + 5, text + 8,
                   text + 11, text + 14, text + 17);
    if (pki_time_read(bytes_str(digits), false, &time))
        return false;
    *ret_ms = pki_time_to_ms(&time) + ms;
    return true;
}

static bool take_text(char ret[IPC_NAME_MAX + 1], const char *value, const char *empty) {
    if (strlen(value) > IPC_NAME_MAX)
        return false;
    text_copy(ret, IPC_NAME_MAX + 1, strcmp(value, empty) == 0 ? "" : value);
    return true;
}

static bool take_list(const char *value, struct ca_job_text *items, size_t max, size_t *count) {
    if (strcmp(value, "any") == 0)
        return true;
    for (size_t n = 0; *value; value += n + (value[n] == ' ')) {
        n = strcspn(value, " ");
        if (*count == max || !n || n > IPC_NAME_MAX)
            return false;
        memcpy(items[*count].text, value, n);
        items[(*count)++].text[n] = '\0';
    }
    return true;
}

static bool take_quota(const char *value, struct ca_job *job) {
    int at = 0;
    if (job->profile_count == CA_JOB_PROFILES_MAX)
        return false;
    struct ca_job_profile *profile = &job->profiles[job->profile_count++];
    return sscanf(value, "%" SCNu32 " %n", &profile->quota, &at) == 1 && at > 0 &&
           take_text(profile->name, value + at, "");
}

static bool take_ids(const char *value, struct ca_job *job) {
    const char *to = strstr(value, " to ");
    size_t n = 0;
    int at = 0;
    if (!to)
        return sscanf(value, "%" SCNu32 " listed, sha256:%n", &job->listed, &at) == 1 && at > 0 &&
               !hex_decode(value + at, job->list, sizeof job->list, &n) && n == sizeof job->list;
    n = (size_t)(to - value);
    if (n > IPC_NAME_MAX)
        return false;
    memcpy(job->first, value, n);
    return take_text(job->last, to + 4, "");
}

static bool take_limits(const char *value, struct ca_job *job) {
    for (unsigned i = 0; i < CA_RULE_COUNT; i++) {
        const char *name = ca_job_rule_name((enum ca_job_rule)i);
        size_t n = strlen(name);
        char *end;
        if (strncmp(value, name, n) != 0 || value[n] != ' ')
            return false;
        job->limits[i] = (uint32_t)strtoul(value + n + 1, &end, 10);
        value = end + (i + 1 < CA_RULE_COUNT && strncmp(end, ", ", 2) == 0 ? 2 : 0);
    }
    return true;
}

/* ---- lines ---- */

static bool is_one_of(const char *name, const char *list) {
    size_t n = strlen(list);
    return strncmp(name, list, n) == 0 && (!name[n] || name[n] == '-');
}

static bool take_name(const char *name, const char *value, struct ca_job *job) {
    const struct {
        const char *name, *empty;
        char *to;
    } texts[] = {{"tenant", "", job->tenant},
                 {"job", "", job->name},
                 {"product", "any", job->product},
                 {"batch", "none", job->batch},
                 {"site", "none", job->site}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(name, texts[i].name) == 0)
            return take_text(texts[i].to, value, texts[i].empty);
    return false;
}

static bool take(const char *name, const char *value, struct ca_job *job) {
    if (strcmp(name, "terms") == 0)
        return sscanf(value, "%" SCNu32, &job->terms) == 1;
    if (is_one_of(name, "quota"))
        return take_quota(value, job);
    if (strcmp(name, "ids") == 0)
        return take_ids(value, job);
    if (strcmp(name, "from") == 0)
        return read_time(value, &job->from_ms);
    if (strcmp(name, "until") == 0)
        return read_time(value, &job->until_ms);
    if (is_one_of(name, "networks"))
        return take_list(value, job->networks, CA_JOB_NETWORKS_MAX, &job->network_count);
    if (is_one_of(name, "stations"))
        return take_list(value, job->stations, CA_JOB_STATIONS_MAX, &job->station_count);
    if (strcmp(name, "rate") == 0) /* "any": 0 */
        return sscanf(value, "%" SCNu32, &job->rate) == 1 || !job->rate;
    if (strcmp(name, "operator") == 0) {
        job->operator_required = strcmp(value, "required") == 0;
        return true;
    }
    return strcmp(name, "stop") == 0 ? take_limits(value, job) : take_name(name, value, job);
}

/* "name=value", and LF: the next of the text. */
static bool take_line(struct bytes *text, struct ca_job *job) {
    char line[IPC_NAME_MAX + IPC_TEXT_MAX + 3];
    const uint8_t *end = memchr(text->p, '\n', text->n);
    size_t n = end ? (size_t)(end - text->p) : sizeof line;
    if (n >= sizeof line || memchr(text->p, '\0', n))
        return false;
    memcpy(line, text->p, n);
    line[n] = '\0';
    text->p += n + 1;
    text->n -= n + 1;
    char *value = strchr(line, '=');
    if (!value)
        return false;
    *value = '\0';
    return take(line, value + 1, job);
}

enum tm_err ca_job_terms_read(struct bytes text, struct ca_job *ret) {
    struct ca_job job;
    uint8_t octets[CA_TERMS_MAX];
    struct buf again = BUF_ON(octets);
    struct bytes rest = text;
    memset(&job, 0, sizeof job);
    job.status = CA_JOB_OPEN;
    while (rest.n)
        if (!take_line(&rest, &job))
            return TM_EPARSE;
    if (ca_job_terms_put(&job, &again) || !bytes_equal(buf_bytes(&again), text))
        return TM_EPARSE;
    *ret = job;
    return TM_OK;
}
