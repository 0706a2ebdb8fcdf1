/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text templates of profiles: literal text with placeholders. Pure; thread-safe.
 *
 * Names take {id} {sku} {hardware_revision} {batch} {site}, which stand for the fields of a
 * device's record. URLs take {issuer}, the issuing CA's name in the configuration, and crl_url
 * takes {shard}, the number of the part of its CRL that a certificate stands in (ca/crl.h:
 * ca_crl_shard).
 */
#ifndef TOUCHMARK_CA_TEMPLATE_H
#define TOUCHMARK_CA_TEMPLATE_H

#include "ca/crl.h"

/* Does it hold only placeholders that names take, and every brace in a pair? */
bool ca_template_valid(const char *text);
/* NUL-terminated text to ret. TM_EINVAL: not a valid template, or the device's record has
 * nothing for one of its placeholders; TM_ELIMIT: longer than cap. */
MUST_USE enum tm_err ca_template_expand(const char *text, const struct ca_device *device, char *ret,
                                        size_t cap);

/* The same for URLs. shard: decimal, "" when there is none, which {shard} then is TM_EINVAL for. */
MUST_USE enum tm_err ca_template_url(const char *text, const char *issuer, const char *shard,
                                     char *ret, size_t cap);
/* The URL for a certificate of an issuer with this serial (INTEGER content octets). */
MUST_USE enum tm_err ca_template_url_of(const char *text, const struct ca_issuer *issuer,
                                        struct bytes serial, char ret[CA_URL_MAX + 1]);

#endif
