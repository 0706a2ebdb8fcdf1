/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The issuers file (option issuers_file): the part of the configuration that `touchmark keys`
 * writes, so that keys are rotated without editing anything by hand. It adds issuers, says in the
 * place of touchmark.yaml which of them a tenant has, and which are retired.
 *
 * Where an issuer is, by what names it:
 *   active   some tenant's issuer: it signs certificates
 *   overlap  among others of a tenant (`also`): devices learn of it by cacerts, before it signs for
 *            them and as long as its certificates are in use
 *   standby  named by nobody: only its key is looked for on the token
 *   retired  CRL, OCSP and filter go on, as long as its certificates last; in no cacerts
 */
#ifndef TOUCHMARK_CONF_MANAGED_H
#define TOUCHMARK_CONF_MANAGED_H

#include "conf/conf.h"

struct conf_assignment {
    char *name; /* of a tenant */
    char *issuer;
    struct conf_strings also;
};

struct conf_managed {
    struct conf_list issuers;    /* struct conf_issuer */
    struct conf_list tenants;    /* struct conf_assignment */
    struct conf_strings retired; /* names of issuers */
};

extern const struct conf_row conf_managed_rows[];

/* The text of the file; empty when there is none yet, or path is NULL. The caller frees it. TM_EIO,
 * TM_ENOMEM. */
MUST_USE enum tm_err conf_managed_read(const char *path, char **ret_text, size_t *ret_n,
                                       char error[CONF_ERROR_MAX]);
/* Puts what the text of conf->issuers_file says into the configuration; `error` as in
 * conf_load_text. After a failure the configuration is good for conf_close only. */
MUST_USE enum tm_err conf_merge(struct conf *conf, const char *text, size_t n,
                                char error[CONF_ERROR_MAX]);

/* Says of a tenant who signs for it, the first, and whom it has besides; each is an issuer of the
 * configuration. TM_ENOTFOUND: there is no such tenant; TM_ENOMEM: nothing has changed. */
MUST_USE enum tm_err conf_assign(struct conf *conf, const char *tenant, const char *const *issuers,
                                 size_t count);
/* Takes a tenant and its labels out. */
void conf_drop_tenant(struct conf *conf, const char *tenant);

/* The file by itself, for who changes it. Free it with conf_free over conf_managed_rows. */
MUST_USE enum tm_err conf_managed_load(const char *path, struct conf_managed *ret_managed,
                                       char error[CONF_ERROR_MAX]);
/* The text of a file that says this; the caller frees it. TM_ENOMEM. */
MUST_USE enum tm_err conf_managed_print(const struct conf_managed *managed, char **ret_text,
                                        size_t *ret_n);
/* Replaces the file as a whole: whoever reads it, also after a power cut, sees the old or the new
 * one. An empty text removes it. TM_EIO with the reason in `error`. */
MUST_USE enum tm_err conf_managed_replace(const char *path, const char *text, size_t n,
                                          char error[CONF_ERROR_MAX]);

#endif
