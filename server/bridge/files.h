/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the section `mqtt` names, in memory between their reading and the sandbox. */
#ifndef TOUCHMARK_SERVER_BRIDGE_FILES_H
#define TOUCHMARK_SERVER_BRIDGE_FILES_H

#include "conf/conf.h"
#include "pkcs11/token.h"

struct bridge_files {
    struct bytes anchors, certificate, key; /* PEM text, owned; empty: not named */
    char password[HSM_PIN_MAX];             /* "" = none */
};

/* Logs what cannot be read; bridge_files_wipe has to be called in any case. password: read it too:
 * a systemd credential is there for the service alone. TM_EIO, TM_EDENIED, TM_EPARSE, TM_ENOMEM. */
MUST_USE enum tm_err bridge_files_read(const struct conf_mqtt *mqtt, bool password,
                                       struct bridge_files *ret);
void bridge_files_wipe(struct bridge_files *files);

#endif
