/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/admin_json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "ca/approval.h"
#include "ca/lifecycle.h"
#include "ca/san.h"

json_t *admin_json_hex(struct bytes octets) {
    char text[2 * CA_HASH_SIZE + 1];
    if (hex_encode(octets, text, sizeof text))
        return json_string("");
    return json_string(text);
}

static json_t *serial_json(const struct ca_serial *serial) {
    return admin_json_hex((struct bytes){serial->octets, serial->n});
}

json_t *admin_json_time(int64_t ms) {
    char text[CLOCK_TEXT_MAX];
    if (!ms)
        return json_null();
    clock_format(ms, text);
    return json_string(text);
}

/* Empty strings are left out: an operator reads what is there. */
static void set_text(json_t *object, const char *key, const char *text) {
    if (text[0])
        (void)json_object_set_new(object, key, json_string(text));
}

static void set_count(json_t *object, const char *key, uint32_t count) {
    if (count)
        (void)json_object_set_new(object, key, json_integer(count));
}

static const struct {
    const char *name;
    uint8_t value;
} reasons[] = {{"unspecified", 0}, {"keyCompromise", 1},        {"affiliationChanged", 3},
               {"superseded", 4},  {"cessationOfOperation", 5}, {"privilegeWithdrawn", 9}};

enum tm_err admin_reason_find(const char *name, uint8_t *ret) {
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strcmp(reasons[i].name, name) == 0) {
            *ret = reasons[i].value;
            return TM_OK;
        }
    return TM_ENOTFOUND;
}

static json_t *ref_json(const struct ca_cert_ref *ref) {
    json_t *object = json_object();
    (void)json_object_set_new(object, "serial", serial_json(&ref->serial));
    (void)json_object_set_new(object, "profile", json_string(ref->profile));
    (void)json_object_set_new(object, "status",
                              json_string(ca_cert_status_name((enum ca_cert_status)ref->status)));
    (void)json_object_set_new(object, "issued", admin_json_time(ref->issued_ms));
    (void)json_object_set_new(object, "not_after", admin_json_time(ref->not_after_ms));
    (void)json_object_set_new(object, "request", admin_json_hex(BYTES_OF(ref->request)));
    return object;
}

static const char *secret_state(const struct ca_secret *secret) {
    return !secret->set ? "none" : secret->used ? "used" : "unused";
}

json_t *admin_json_device(const struct ca_device *device) {
    json_t *object = json_object();
    json_t *certs = json_array();
    set_text(object, "tenant", device->tenant);
    set_text(object, "id", device->id);
    set_text(object, "state", ca_state_name((enum ca_state)device->state));
    (void)json_object_set_new(object, "version", json_integer((json_int_t)device->version));
    (void)json_object_set_new(object, "created", admin_json_time(device->created_ms));
    (void)json_object_set_new(object, "changed", admin_json_time(device->changed_ms));
    set_text(object, "sku", device->sku);
    set_text(object, "hardware_revision", device->hardware_revision);
    set_text(object, "batch", device->batch);
    set_text(object, "site", device->site);
    set_text(object, "station", device->station);
    set_text(object, "job", device->job);
    set_text(object, "operator", device->operator_name);
    set_text(object, "firmware", device->firmware);
    set_text(object, "job", device->job);
    set_count(object, "provisioning_version", device->provisioning_version);
    set_count(object, "rma_count", device->rma_count);
    set_count(object, "rework_count", device->rework_count);
    if (device->pinned)
        (void)json_object_set_new(object, "pinned", json_true());
    set_text(object, "secret", secret_state(&device->secret));
    if (device->secret.set)
        (void)json_object_set_new(object, "secret_expires",
                                  admin_json_time(device->secret.expires_ms));
    for (size_t i = 0; i < device->cert_count; i++)
        (void)json_array_append_new(certs, ref_json(&device->certs[i]));
    (void)json_object_set_new(object, "certificates", certs);
    return object;
}

/* The serial in it, where another CA gave it that. */
static void set_signed_as(json_t *object, const struct ca_certificate *certificate) {
    struct pki_cert view;
    struct bytes own = {certificate->serial.octets, certificate->serial.n};
    if (!pki_cert_parse(certificate->der, &view) && !bytes_equal(view.serial, own))
        (void)json_object_set_new(object, "signed_as", admin_json_hex(view.serial));
}

json_t *admin_json_certificate(const struct ca_certificate *certificate) {
    json_t *object = json_object();
    (void)json_object_set_new(object, "serial", serial_json(&certificate->serial));
    set_text(object, "status", ca_cert_status_name((enum ca_cert_status)certificate->status));
    set_text(object, "tenant", certificate->tenant);
    set_text(object, "device", certificate->device);
    set_text(object, "profile", certificate->profile);
    set_text(object, "issuer", certificate->issuer);
    (void)json_object_set_new(object, "issued", admin_json_time(certificate->issued_ms));
    (void)json_object_set_new(object, "not_after", admin_json_time(certificate->not_after_ms));
    if (certificate->status == CA_CERT_BURNED)
        return object;
    (void)json_object_set_new(object, "fingerprint",
                              admin_json_hex(BYTES_OF(certificate->fingerprint)));
    set_signed_as(object, certificate);
    if (certificate->revoked_ms) {
        (void)json_object_set_new(object, "revoked", admin_json_time(certificate->revoked_ms));
        (void)json_object_set_new(object, "reason", json_integer(certificate->revoked_reason));
    }
    return object;
}

json_t *admin_json_intent(const struct ca_intent *intent) {
    json_t *object = json_object();
    (void)json_object_set_new(object, "serial", serial_json(&intent->serial));
    set_text(object, "tenant", intent->tenant);
    set_text(object, "device", intent->device);
    set_text(object, "profile", intent->profile);
    set_text(object, "job", intent->job);
    (void)json_object_set_new(object, "created", admin_json_time(intent->created_ms));
    return object;
}

const char *admin_operation_name(uint8_t operation) {
    static const char *const names[] = {"",        "simpleenroll", "simplereenroll", "serverkeygen",
                                        "fullcmc", "cacerts",      "csrattrs",       "other"};
    return operation < sizeof names / sizeof names[0] ? names[operation] : "";
}

static const char *origin_name(uint8_t origin) {
    static const char *const names[] = {"admin", "https", "mqtt", "local"};
    return origin < sizeof names / sizeof names[0] ? names[origin] : "";
}

json_t *admin_json_leaf(uint64_t sequence, const struct ca_leaf *leaf) {
    json_t *object = json_object();
    char request[17] = "";
    uint8_t id[8];
    struct buf b = BUF_ON(id);
    (void)json_object_set_new(object, "sequence", json_integer((json_int_t)sequence));
    (void)json_object_set_new(object, "time", admin_json_time(leaf->time_ms));
    set_text(object, "event", ca_event_name((enum ca_event)leaf->event));
    set_text(object, "outcome",
             leaf->outcome ? ipc_outcome_name((enum ipc_outcome)leaf->outcome) : "");
    set_text(object, "tenant", leaf->tenant);
    set_text(object, "device", leaf->device);
    set_text(object, "profile", leaf->profile);
    if (leaf->serial.n)
        (void)json_object_set_new(object, "serial", serial_json(&leaf->serial));
    set_text(object, "from",
             leaf->from_state ? ca_state_name((enum ca_state)leaf->from_state) : "");
    set_text(object, "to", leaf->to_state ? ca_state_name((enum ca_state)leaf->to_state) : "");
    set_text(object, "actor", leaf->actor);
    set_text(object, "origin", origin_name(leaf->origin));
    set_text(object, "operation", admin_operation_name(leaf->operation));
    set_text(object, "remote", leaf->remote);
    set_text(object, "site", leaf->site);
    set_text(object, "station", leaf->station);
    set_text(object, "job", leaf->job);
    set_text(object, "operator", leaf->operator_name);
    set_text(object, "issuer", leaf->issuer);
    set_text(object, "provider", leaf->provider);
    if (leaf->since_ms) {
        (void)json_object_set_new(object, "first", admin_json_time(leaf->since_ms));
        (void)json_object_set_new(object, "last", admin_json_time(leaf->until_ms));
    }
    set_text(object, "reason", leaf->reason);
    if (leaf->count)
        (void)json_object_set_new(object, "count", json_integer(leaf->count));
    buf_put_be(&b, leaf->request, 8);
    if (leaf->request && !hex_encode(buf_bytes(&b), request, sizeof request))
        set_text(object, "request", request);
    return object;
}

/* ---- requests that wait ---- */

/* An address, as iPAddress has it (RFC 5280, 4.2.1.6). */
static void print_address(struct bytes address, FILE *out) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (address.n == 4 || address.n == 16)
        (void)inet_ntop(address.n == 4 ? AF_INET : AF_INET6, address.p, text, sizeof text);
    fprintf(out, "IP:%s", text);
}

static void print_name(const struct der *name, FILE *out) {
    if (name->tag == CA_SAN_IP)
        print_address(name->value, out);
    else if (name->tag == CA_SAN_DNS || name->tag == CA_SAN_URI)
        fprintf(out, "%s:%.*s", name->tag == CA_SAN_DNS ? "DNS" : "URI", (int)name->value.n,
                (const char *)name->value.p);
    else
        fputs("hardwareModuleName", out); /* the device ID, by the profile */
}

/* "DNS:unit.example, IP:192.0.2.1". The caller frees; NULL when there is no memory. */
static char *san_text(struct bytes general_names) {
    char *text = NULL;
    size_t n;
    struct bytes names;
    struct der name;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    if (!ca_san_open(general_names, &names))
        for (bool first = true; names.n && !der_next(&names, &name); first = false) {
            fputs(first ? "" : ", ", out);
            print_name(&name, out);
        }
    if (!fclose(out))
        return text;
    free(text);
    return NULL;
}

static const char *pending_status_name(uint8_t status) {
    static const char *const names[] = {"", "open", "approved", "denied"};
    return status < sizeof names / sizeof names[0] ? names[status] : "";
}

json_t *admin_json_pending(const struct ca_pending *row) {
    json_t *object = json_object();
    char request[CA_APPROVAL_REQUEST_TEXT];
    AUTO_MEM char *san = san_text(row->san);
    ca_approval_request_text(row, request);
    set_text(object, "tenant", row->tenant);
    set_text(object, "device", row->device);
    set_text(object, "profile", row->profile);
    set_text(object, "status", pending_status_name(row->status));
    set_text(object, "subject", row->subject);
    set_text(object, "san", san ? san : "");
    set_text(object, "key", row->key_word);
    set_text(object, "actor", row->actor);
    set_text(object, "remote", row->remote);
    (void)json_object_set_new(object, "since", admin_json_time(row->created_ms));
    (void)json_object_set_new(object, "asked", admin_json_time(row->asked_ms));
    (void)json_object_set_new(object, "expires", admin_json_time(row->expires_ms));
    set_text(object, "request", request);
    static const uint8_t not_made[CA_HASH_SIZE];
    if (memcmp(row->spki_sha256, not_made, CA_HASH_SIZE) != 0)
        (void)json_object_set_new(object, "spki_sha256",
                                  admin_json_hex(BYTES_OF(row->spki_sha256)));
    set_text(object, "officer", row->officer);
    set_text(object, "reason", row->reason);
    if (row->decided_ms)
        (void)json_object_set_new(object, "decided", admin_json_time(row->decided_ms));
    return object;
}

json_t *admin_json_head(const struct ca_audit_head *head) {
    json_t *object = json_object();
    (void)json_object_set_new(object, "size", json_integer((json_int_t)head->size));
    (void)json_object_set_new(object, "root", admin_json_hex(BYTES_OF(head->root)));
    return object;
}
