/* SPDX-License-Identifier: Apache-2.0 */
/* A job's terms from YAML: see ca/job.h. */
#include <stdio.h>
#include <string.h>

#include "ca/job.h"
#include "ca/registry.h"

struct file_profile {
    char *profile;
    uint64_t quota;
};
struct file {
    char *job, *product, *batch, *site;
    struct conf_list profiles;
    struct {
        char *first, *last;
    } ids;
    int64_t from_ms, until_ms;
    struct conf_strings networks, stations;
    uint64_t rate;
    bool operator_required;
    struct {
        uint64_t limits[CA_RULE_COUNT];
    } stop;
};

#define AT(member) offsetof(struct file, member)

static const struct conf_row profile_rows[] = {
    {.key = "profile",
     .type = CONF_NAME,
     .offset = offsetof(struct file_profile, profile),
     .example = "idevid",
     .help = "Certificate profile; its credentials have to include ra."},
    {.key = "quota",
     .type = CONF_UINT,
     .offset = offsetof(struct file_profile, quota),
     .min = 1,
     .max = 10000000,
     .example = "1000",
     .help = "How many certificates of it are issued at most."},
    {0},
};

static const struct conf_row ids_rows[] = {
    {.key = "first",
     .type = CONF_NAME,
     .offset = AT(ids.first) - AT(ids),
     .preset = "",
     .example = "GW000001",
     .help = "First device ID of a range. Left out with a list (job open --ids)."},
    {.key = "last",
     .type = CONF_NAME,
     .offset = AT(ids.last) - AT(ids),
     .preset = "",
     .example = "GW001000",
     .help = "Last one: as long as the first, and the same but for digits at its end."},
    {0},
};

#define LIMIT(name, rule, standard, words)                                                         \
    {                                                                                              \
        .key = (name), .type = CONF_UINT, .offset = (rule) * sizeof(uint64_t),                     \
        .preset = (standard), .max = 1000000, .help = (words)                                      \
    }
static const struct conf_row stop_rows[] = {
    LIMIT("duplicate_ids", CA_RULE_DUPLICATE_ID, "5",
          "Requests within ten minutes for an ID that has its certificate, for another key; 0: "
          "this never stops the job."),
    LIMIT("duplicate_keys", CA_RULE_DUPLICATE_KEY, "3",
          "Requests within ten minutes with a key of another device; 0: never."),
    LIMIT("unknown_ids", CA_RULE_UNKNOWN_ID, "10",
          "Requests within ten minutes of one of its stations for an ID that no job of the station "
          "has; 0: never."),
    LIMIT("rate", CA_RULE_RATE, "10",
          "How many times the rate of a minute may be refused for being too fast, within ten "
          "minutes; 0: never."),
    LIMIT("errors", CA_RULE_ERRORS, "30", "Refusals in a row; 0: never."),
    {0},
};

const struct conf_row ca_job_rows[] = {
    {.key = "job",
     .type = CONF_NAME,
     .offset = AT(job),
     .example = "line-4-2026-03",
     .help = "Its name, at most 48 octets."},
    {.key = "product",
     .type = CONF_NAME,
     .offset = AT(product),
     .preset = "",
     .example = "gw-100",
     .help = "Stock keeping unit of its devices."},
    {.key = "batch",
     .type = CONF_NAME,
     .offset = AT(batch),
     .preset = "",
     .example = "2026-03",
     .help = "Batch that its devices get."},
    {.key = "site",
     .type = CONF_NAME,
     .offset = AT(site),
     .preset = "",
     .example = "plant-2",
     .help = "Factory."},
    {.key = "profiles",
     .type = CONF_LIST,
     .offset = AT(profiles),
     .min = 1,
     .max = CA_JOB_PROFILES_MAX,
     .rows = profile_rows,
     .elem_size = sizeof(struct file_profile),
     .help = "What is issued, and how much of it."},
    {.key = "ids",
     .type = CONF_GROUP,
     .offset = AT(ids),
     .rows = ids_rows,
     .help = "Which devices: a range of IDs, or nothing where a list is given beside the file."},
    {.key = "from",
     .type = CONF_TIME,
     .offset = AT(from_ms),
     .preset = "",
     .help = "Nothing is issued before; from the beginning where it is left out."},
    {.key = "until",
     .type = CONF_TIME,
     .offset = AT(until_ms),
     .example = "2027-01-01T00:00:00Z",
     .help = "Nothing is issued from then on."},
    {.key = "networks",
     .type = CONF_STRINGS,
     .offset = AT(networks),
     .preset = "",
     .max = CA_JOB_NETWORKS_MAX,
     .example = "[192.0.2.0/24]",
     .help = "Networks that its stations ask from; without any, all."},
    {.key = "stations",
     .type = CONF_STRINGS,
     .offset = AT(stations),
     .min = 1,
     .max = CA_JOB_STATIONS_MAX,
     .example = "[ST-1]",
     .help = "Device IDs of the stations that may work on it."},
    {.key = "rate",
     .type = CONF_UINT,
     .offset = AT(rate),
     .preset = "0",
     .max = 1000000,
     .help = "Certificates per minute at most; 0: any."},
    {.key = "operator",
     .type = CONF_BOOL,
     .offset = AT(operator_required),
     .preset = "true",
     .help = "Somebody has to be logged in at the station: for its requests, its reports and for "
             "closing the job. With false, whoever has a station's key can do all of that."},
    {.key = "stop",
     .type = CONF_GROUP,
     .offset = AT(stop),
     .rows = stop_rows,
     .help = "What stops the job by itself; resuming it takes what opening it does."},
    {0},
};

struct source {
    const char *text, *name;
    size_t n;
    char *error; /* CONF_ERROR_MAX octets */
};

static void take(char ret[IPC_NAME_MAX + 1], const char *text) {
    text_copy(ret, IPC_NAME_MAX + 1, text ? text : "");
}

static enum tm_err take_names(const struct source *s, const struct conf_strings *from,
                              const char *key, bool (*good)(const char *), const char *must,
                              struct ca_job_text *items, size_t *ret_count) {
    for (size_t i = 0; i < from->count; i++) {
        if (!good(from->items[i]))
            return conf_refuse(s->text, s->n, s->name, key, s->error, "%s must be %s", key, must);
        take(items[i].text, from->items[i]);
    }
    *ret_count = from->count;
    return TM_OK;
}

static enum tm_err take_profiles(const struct source *s, const struct file *file,
                                 struct ca_job *job) {
    const struct file_profile *items = file->profiles.items;
    for (size_t i = 0; i < file->profiles.count; i++) {
        if (ca_job_profile(job, items[i].profile))
            return conf_refuse(s->text, s->n, s->name, "profiles", s->error,
                               "profile %s stands there twice", items[i].profile);
        take(job->profiles[i].name, items[i].profile);
        job->profiles[i].quota = (uint32_t)items[i].quota;
        job->profile_count = i + 1;
    }
    return TM_OK;
}

static enum tm_err take_ids(const struct source *s, const struct file *file, struct ca_job *job) {
    if (!file->ids.first && !file->ids.last)
        return TM_OK;
    take(job->first, file->ids.first);
    take(job->last, file->ids.last);
    if (!ca_device_id_valid(job->first) || !ca_job_range_valid(job->first, job->last))
        return conf_refuse(s->text, s->n, s->name, "ids", s->error,
                           "first and last must be device IDs of the same length that differ in "
                           "digits at their end, the first the smaller one");
    return TM_OK;
}

static enum tm_err take_window(const struct source *s, const struct file *file, int64_t now_ms,
                               struct ca_job *job) {
    job->from_ms = file->from_ms ? file->from_ms : now_ms;
    job->until_ms = file->until_ms;
    if (job->until_ms > job->from_ms)
        return TM_OK;
    return conf_refuse(s->text, s->n, s->name, "until", s->error, "until must be after from");
}

static enum tm_err fill(const struct source *s, const struct file *file, int64_t now_ms,
                        struct ca_job *job) {
    if (strlen(file->job) > CA_JOB_NAME_MAX)
        return conf_refuse(s->text, s->n, s->name, "job", s->error,
                           "a job's name has at most %d octets", CA_JOB_NAME_MAX);
    job->status = CA_JOB_PROPOSED;
    job->terms = 1;
    take(job->of, file->job);
    take(job->product, file->product);
    take(job->batch, file->batch);
    take(job->site, file->site);
    job->rate = (uint32_t)file->rate;
    job->operator_required = file->operator_required;
    for (size_t i = 0; i < CA_RULE_COUNT; i++)
        job->limits[i] = (uint32_t)file->stop.limits[i];
    enum tm_err err = take_profiles(s, file, job);
    if (!err)
        err = take_ids(s, file, job);
    if (!err)
        err = take_window(s, file, now_ms, job);
    if (!err)
        err = take_names(s, &file->networks, "networks", ca_job_network_valid,
                         "a network such as 192.0.2.0/24 or 2001:db8::/32", job->networks,
                         &job->network_count);
    if (!err)
        err = take_names(s, &file->stations, "stations", ca_device_id_valid, "a device ID",
                         job->stations, &job->station_count);
    return err;
}

enum tm_err ca_job_read(const char *text, size_t n, const char *name, int64_t now_ms,
                        struct ca_job *ret, char error[CONF_ERROR_MAX]) {
    const struct source s = {text, name, n, error};
    struct file file = {0};
    struct ca_job job;
    memset(&job, 0, sizeof job);
    enum tm_err err = conf_load_text(text, n, name, ca_job_rows, &file, sizeof file, error);
    if (err)
        return err;
    err = fill(&s, &file, now_ms, &job);
    conf_free(ca_job_rows, &file, sizeof file);
    if (!err)
        *ret = job;
    return err;
}
