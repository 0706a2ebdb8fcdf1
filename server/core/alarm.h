/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alarms in the audit log, for those who are told of events. One leaf at a time is on its way and a
 * few wait; who comes when they are full is in the log only.
 */
#ifndef TOUCHMARK_SERVER_CORE_ALARM_H
#define TOUCHMARK_SERVER_CORE_ALARM_H

#include "ca/store.h"

#define CORE_ALARMS_WAITING 8

/* The caller sets store and now_ms; the rest is zero. It must outlive the store. */
struct core_alarm {
    struct ca_store *store;
    int64_t (*now_ms)(void);
    struct ca_leaf leaf;
    struct ca_batch batch;
    bool busy;
    size_t waiting;
    struct ca_leaf next[CORE_ALARMS_WAITING];
};

/* Logs it as an error, too. */
void core_alarm_raise(struct core_alarm *alarm, const char *text);

#endif
