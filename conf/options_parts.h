/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of touchmark.yaml that stand in files of their own. Private to conf/. */
#ifndef TOUCHMARK_CONF_OPTIONS_PARTS_H
#define TOUCHMARK_CONF_OPTIONS_PARTS_H

#include "conf/conf.h"

extern const struct conf_row conf_mqtt_rows[], conf_status_rows[], conf_officer_rows[],
    conf_issuer_rows[], conf_tenant_rows[], conf_label_rows[], conf_audit_rows[];

#endif
