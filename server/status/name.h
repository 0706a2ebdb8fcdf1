/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names under which things are published: "ISSUER.crl", "ISSUER-7.crl" (shard 7), "ISSUER.cer",
 * "ISSUER.filter". The same in paths and in the folder.
 */
#ifndef TOUCHMARK_SERVER_STATUS_NAME_H
#define TOUCHMARK_SERVER_STATUS_NAME_H

#include "conf/conf.h"
#include "ipc/messages.h"

#define STATUS_NAME_MAX (IPC_NAME_MAX + 16)

/* TM_EINVAL: the issuer is no name, or the object is none of this kind ("crl", "crl-7",
 * "certificate", "filter"). */
MUST_USE enum tm_err status_name_make(const struct ipc_publish *publish,
                                      char ret[STATUS_NAME_MAX + 1]);

/* Could it be a name that status_name_make makes, and of which kind? TM_EPARSE. */
MUST_USE enum tm_err status_name_kind(const char *name, enum ipc_publish_kind *ret_kind);

/* Every name that will be published, as the configuration says, until `fn` fails. */
MUST_USE enum tm_err status_names_due(const struct conf *conf,
                                      enum tm_err (*fn)(void *arg, const char *name), void *arg);

#endif
