/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/environment.h. */
#include "ca/environment.h"

#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "pki/name.h"

static const char prefix[] = "Environment ";

const char *const ca_environment_words[] = {"dev", "test", "prod", NULL};

const char *ca_environment_unit(unsigned environment) {
    switch ((enum conf_environment)environment) {
    case CONF_ENV_DEV:
        return "Environment dev";
    case CONF_ENV_TEST:
        return "Environment test";
    case CONF_ENV_PROD:
        break;
    }
    return "Environment prod";
}

bool ca_environment_is_unit(const char *unit) {
    return strncasecmp(unit, prefix, sizeof prefix - 1) == 0;
}

bool ca_environment_matches(struct bytes name, unsigned environment) {
    struct bytes wanted = bytes_str(ca_environment_unit(environment));
    struct pki_attribute a;
    size_t state = 0;
    bool found = false;
    enum tm_err err;
    while (!(err = pki_name_next(name, &state, &a))) {
        if (a.type != PKI_OID_ORGANIZATIONAL_UNIT || a.value.n < sizeof prefix - 1 ||
            strncasecmp((const char *)a.value.p, prefix, sizeof prefix - 1) != 0)
            continue;
        if (!bytes_equal(a.value, wanted))
            return false;
        found = true;
    }
    return err == TM_ENOTFOUND && found;
}
