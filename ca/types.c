/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what ca/types.h counts, and what its values alone say of each other. */
#include "ca/types.h"

#include <string.h>

const char *ca_event_name(enum ca_event event) {
    switch (event) {
    case CA_EVENT_STARTED:
        return "started";
    case CA_EVENT_DEVICE_ADDED:
        return "device-added";
    case CA_EVENT_TRANSITION:
        return "transition";
    case CA_EVENT_SECRET_MADE:
        return "secret-made";
    case CA_EVENT_ISSUED:
        return "issued";
    case CA_EVENT_BURNED:
        return "burned";
    case CA_EVENT_REFUSED:
        return "refused";
    case CA_EVENT_REFUSED_MANY:
        return "refused-many";
    case CA_EVENT_REVOKED:
        return "revoked";
    case CA_EVENT_CONFIRMED:
        return "confirmed";
    case CA_EVENT_PENDING:
        return "pending";
    case CA_EVENT_APPROVED:
        return "approved";
    case CA_EVENT_DENIED:
        return "denied";
    case CA_EVENT_ACT_PROPOSED:
        return "act-proposed";
    case CA_EVENT_ACT_SIGNED:
        return "act-signed";
    case CA_EVENT_ACT_ENDED:
        return "act-ended";
    case CA_EVENT_PUBLISHED:
        return "published";
    case CA_EVENT_PROFILE:
        return "profile";
    case CA_EVENT_ISSUER:
        return "issuer";
    case CA_EVENT_ALARM:
        return "alarm";
    case CA_EVENT_AGREED:
        return "agreed";
    case CA_EVENT_DEVICE_CHANGED:
        return "device-changed";
    case CA_EVENT_PRODUCT:
        return "product";
    case CA_EVENT_JOB_OPENED:
        return "job-opened";
    case CA_EVENT_JOB_STOPPED:
        return "job-stopped";
    case CA_EVENT_JOB_RESUMED:
        return "job-resumed";
    case CA_EVENT_JOB_CLOSED:
        return "job-closed";
    case CA_EVENT_OPERATOR:
        return "operator";
    case CA_EVENT_SHIFT:
        return "shift";
    case CA_EVENT_UNIT:
        return "unit";
    case CA_EVENT_JOB_CLOSING:
        return "job-closing";
    case CA_EVENT_KEY_USED:
        return "key-used";
    }
    return "unknown";
}

bool ca_serial_equal(const struct ca_serial *a, const struct ca_serial *b) {
    return a->n == b->n && memcmp(a->octets, b->octets, a->n) == 0;
}

#define SERIAL_TIME 6 /* octets */

int64_t ca_serial_ms(const struct ca_serial *serial) {
    struct reader r = {.in = {serial->octets, serial->n}};
    uint64_t ms = reader_be(&r, SERIAL_TIME);
    return r.bad ? 0 : (int64_t)ms;
}

bool ca_serial_read(struct bytes octets, struct ca_serial *ret) {
    if (octets.n > CA_SERIAL_MAX)
        return false;
    *ret = (struct ca_serial){.n = (uint8_t)octets.n};
    if (octets.n)
        memcpy(ret->octets, octets.p, octets.n);
    return true;
}

bool ca_cert_in_use(const struct ca_cert_ref *ref) {
    return ref->status == CA_CERT_ACTIVE || ref->status == CA_CERT_UNCONFIRMED;
}

struct ca_cert_ref *ca_device_cert(struct ca_device *device, const struct ca_serial *serial) {
    for (size_t i = 0; i < device->cert_count; i++)
        if (ca_serial_equal(&device->certs[i].serial, serial))
            return &device->certs[i];
    return NULL;
}

void ca_device_activate(struct ca_device *device, struct ca_cert_ref *ref) {
    for (size_t i = 0; i < device->cert_count; i++)
        if (device->certs[i].status == CA_CERT_ACTIVE &&
            strcmp(device->certs[i].profile, ref->profile) == 0)
            device->certs[i].status = CA_CERT_SUPERSEDED;
    ref->status = CA_CERT_ACTIVE;
}

const char *ca_cert_status_name(enum ca_cert_status status) {
    switch (status) {
    case CA_CERT_ACTIVE:
        return "active";
    case CA_CERT_SUPERSEDED:
        return "superseded";
    case CA_CERT_REVOKED:
        return "revoked";
    case CA_CERT_BURNED:
        return "burned";
    case CA_CERT_UNCONFIRMED:
        return "unconfirmed";
    }
    return "unknown";
}
