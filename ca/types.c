/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what ca/types.h counts. */
#include "ca/types.h"

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
    }
    return "unknown";
}
