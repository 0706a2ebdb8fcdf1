/* SPDX-License-Identifier: Apache-2.0 */
/* See alarm.h. */
#include "server/core/alarm.h"

#include <string.h>

#include "base/log.h"

static void submit(struct core_alarm *alarm);

static void recorded(struct ca_batch *batch, enum tm_err result) {
    struct core_alarm *alarm = batch->arg;
    alarm->busy = false;
    if (result)
        log_error("an alarm was not recorded: %s", tm_err_name(result));
    else
        submit(alarm);
}

/* The first that waits. */
static void submit(struct core_alarm *alarm) {
    if (alarm->busy || !alarm->waiting)
        return;
    alarm->leaf = alarm->next[0];
    alarm->waiting--;
    memmove(alarm->next, alarm->next + 1, alarm->waiting * sizeof alarm->next[0]);
    alarm->batch = (struct ca_batch){.count = 1,
                                     .changes = {{.kind = CA_ADD_LEAF, .u.leaf = &alarm->leaf}},
                                     .done = recorded,
                                     .arg = alarm};
    enum tm_err err = alarm->store->ops->submit(alarm->store, &alarm->batch);
    alarm->busy = err == TM_OK;
    if (err)
        log_error("an alarm cannot be recorded: %s", tm_err_name(err));
}

void core_alarm_raise(struct core_alarm *alarm, const char *text) {
    log_error("alarm: %s", text);
    if (alarm->waiting == CORE_ALARMS_WAITING)
        return;
    struct ca_leaf *leaf = &alarm->next[alarm->waiting++];
    *leaf = (struct ca_leaf){.event = CA_EVENT_ALARM, .time_ms = alarm->now_ms()};
    TEXT_SET(leaf->actor, "touchmarkd");
    TEXT_SET(leaf->reason, text);
    submit(alarm);
}
