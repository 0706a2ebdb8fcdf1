/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path building for client certificates of other makers (a secure element's IDevID,
 * say) under a tenant's configured anchors: RFC 5280, section 6, by OpenSSL. Certificates that
 * were issued here never come this way: the registry knows them. One thread.
 */
#ifndef TOUCHMARK_CA_ANCHORS_H
#define TOUCHMARK_CA_ANCHORS_H

#include "base/bytes.h"

struct ca_anchors;

/* certificates: DER, one after the other. TM_EPARSE, TM_ENOMEM. */
MUST_USE enum tm_err ca_anchors_new(struct bytes certificates, struct ca_anchors **ret_anchors);
void ca_anchors_free(struct ca_anchors *anchors); /* NULL-safe */

/* leaf: DER; chain: what else the client sent, DER one after the other. TM_OK: good for TLS
 * client authentication at now_ms; TM_ETIMEOUT: a path exists but is expired or not yet
 * valid; TM_EDENIED: no path, or one that RFC 5280 forbids. */
MUST_USE enum tm_err ca_anchors_verify(struct ca_anchors *anchors, struct bytes leaf,
                                       struct bytes chain, int64_t now_ms);

#endif
