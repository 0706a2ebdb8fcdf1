/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs and units as stations see them: see docs/stations.md. */
#include <string.h>

#include "ca/lifecycle.h"
#include "server/core/admin_json.h"
#include "server/core/station_internal.h"

json_t *station_seconds(int64_t ms) {
    return json_integer((json_int_t)(ms / 1000));
}

static json_t *labels_json(const struct core_setup *setup, const struct ca_job *job) {
    json_t *list = json_array();
    for (size_t i = 0; i < job->profile_count; i++) {
        const struct ca_job_profile *profile = &job->profiles[i];
        const char *name = "";
        for (size_t j = 0; j < setup->label_count && !name[0]; j++)
            if (strcmp(setup->labels[j].profile->name, profile->name) == 0 &&
                strcmp(setup->labels[j].tenant->name, job->tenant) == 0)
                name = setup->labels[j].label;
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:I, s:I}", "label", name, "profile",
                                              profile->name, "quota", (json_int_t)profile->quota,
                                              "used", (json_int_t)profile->spent));
    }
    return list;
}

json_t *station_job_json(const struct core_station *core, const struct ca_job *job) {
    enum ca_job_status status = (enum ca_job_status)job->status;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "job", job->name, "status",
        ca_job_status_name(status == CA_JOB_CLOSING ? CA_JOB_CLOSED : status), "product",
        job->product, "batch", job->batch, "site", job->site, "labels",
        labels_json(core->config.setup, job), "from", station_seconds(job->from_ms), "until",
        station_seconds(job->until_ms), "operator_required", (int)job->operator_required);
    if (status == CA_JOB_STOPPED)
        (void)json_object_set_new(object, "reason", json_string(job->reason));
    if (job->listed) {
        (void)json_object_set_new(object, "listed", json_integer((json_int_t)job->listed));
    } else {
        (void)json_object_set_new(object, "first", json_string(job->first));
        (void)json_object_set_new(object, "last", json_string(job->last));
    }
    (void)json_object_set_new(object, "units",
                              json_pack("{s:I, s:I, s:I, s:I}", "begun", (json_int_t)job->begun,
                                        "passed", (json_int_t)job->passed, "failed",
                                        (json_int_t)job->failed, "scrapped",
                                        (json_int_t)job->scrapped));
    return object;
}

static json_t *certificate_json(const struct core_station *core, const struct ca_cert_ref *ref) {
    struct ca_store *store = core->config.store;
    struct ca_certificate certificate = {.status = 0};
    uint8_t octets[IPC_CERT_MAX];
    struct buf der = BUF_ON(octets);
    if (store->ops->certificate(store, &ref->serial, &certificate, &der))
        return NULL;
    return json_pack("{s:s, s:o, s:o, s:s}", "profile", ref->profile, "serial",
                     admin_json_hex((struct bytes){ref->serial.octets, ref->serial.n}),
                     "fingerprint", admin_json_hex(BYTES_OF(certificate.fingerprint)), "status",
                     ca_cert_status_name((enum ca_cert_status)ref->status));
}

json_t *station_verified_json(const struct ca_unit *unit, const struct ca_device *device) {
    json_t *list = json_array();
    for (size_t i = 0; i < device->cert_count; i++)
        if (ca_cert_in_use(&device->certs[i]) && ca_unit_proved(unit, &device->certs[i]))
            (void)json_array_append_new(list, json_string(device->certs[i].profile));
    return list;
}

json_t *station_unit_json(const struct core_station *core, const struct ca_unit *unit,
                          const struct ca_device *device) {
    json_t *certificates = json_array();
    for (size_t i = 0; i < device->cert_count; i++)
        (void)json_array_append_new(certificates, certificate_json(core, &device->certs[i]));
    json_t *object = json_pack("{s:s, s:s, s:o, s:o}", "device", device->id, "state",
                               ca_state_name((enum ca_state)device->state), "certificates",
                               certificates, "verified", station_verified_json(unit, device));
    if (unit->result)
        (void)json_object_set_new(object, "result", json_string(ca_unit_result_name(unit->result)));
    return object;
}
