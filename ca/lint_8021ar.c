/* SPDX-License-Identifier: Apache-2.0 */
/* Device identifiers: IEEE 802.1AR-2018, 8. */
#include "ca/lint_rules.h"
#include "ca/san.h"
#include "pki/name.h"

static const char *check_end(const struct lint_case *c) {
    return c->profile->kind == CA_KIND_IDEVID && c->cert.not_after_ms != CA_FOREVER_MS
               ? "an IDevID does not end at 99991231235959Z"
               : NULL;
}

static const char *check_serial_number(const struct lint_case *c) {
    struct pki_attribute a;
    size_t state = 0;
    if (c->profile->kind != CA_KIND_IDEVID)
        return NULL;
    while (!pki_name_next(c->cert.subject, &state, &a))
        if (a.type == PKI_OID_SERIAL_NUMBER)
            return NULL;
    return "an IDevID's subject has no serialNumber";
}

/* One device is one piece of hardware. */
static const char *check_hardware_name(const struct lint_case *c) {
    struct bytes whole, names;
    struct der name;
    unsigned count = 0;
    if (pki_cert_san(&c->cert, &whole) || ca_san_open(whole, &names))
        return NULL;
    while (names.n && !der_next(&names, &name))
        count += name.tag == CA_SAN_OTHER;
    return count > 1 ? "there is more than one hardwareModuleName" : NULL;
}

const struct lint_rule lint_devid_rules[] = {
    {"IEEE 802.1AR 8.5", check_end},
    {"IEEE 802.1AR 8.6", check_serial_number},
    {"IEEE 802.1AR 8.10.4", check_hardware_name},
    {0},
};
