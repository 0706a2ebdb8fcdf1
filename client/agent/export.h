/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder that other services take the certificate from. Its files are links below `current`,
 * itself a link to one of two folders in `.sets`: one rename changes all of them, so that no power
 * cut leaves a certificate beside another one's key.
 */
#ifndef TOUCHMARK_AGENT_EXPORT_H
#define TOUCHMARK_AGENT_EXPORT_H

#include <sys/types.h>

#include "client/agent/options.h"
#include "client/tables.h"

#define AGENT_EXPORT_CERTIFICATE "certificate.pem" /* the device's certificate */
#define AGENT_EXPORT_CHAIN "chain.pem"             /* it and the CA certificates below the root */
#define AGENT_EXPORT_CA "ca.pem"                   /* trust anchors and CA certificates */
#define AGENT_EXPORT_KEY "key.pem"

/* What the files are to say, PEM. */
struct agent_export_set {
    struct bytes certificate, chain, ca;
    struct bytes key; /* empty: it is not in a file */
};

/* The group of export.group; TM_FOLDER_OWN_GROUP where none is named. TM_EINVAL: there is no such
 * group (logged). */
MUST_USE enum tm_err agent_export_group(const struct agent_conf *conf, gid_t *ret_group);

/* Can the folder and the group be used, if any are named? The folder is made. TM_EINVAL;
 * TM_EDENIED: others may write to it; TM_EIO. */
MUST_USE enum tm_err agent_export_prepare(const struct agent_conf *conf);

/* Makes the folder say *content, durably, and removes the set of before. Failures are logged; one
 * of the two sets is there then, whole. */
MUST_USE enum tm_err agent_export_write(const struct agent_conf *conf,
                                        const struct agent_export_set *content);
/* Is there a set? */
bool agent_export_exists(const struct agent_conf *conf);

#endif
