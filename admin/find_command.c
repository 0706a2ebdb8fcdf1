/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the index of devices: what is asked for in durations becomes bounds of time. */
#include <stdio.h>
#include <string.h>

#include "admin/command.h"
#include "base/clock.h"

#define DAY_MS INT64_C(86400000)

enum bound { NONE, AHEAD, AGO, LONGER, PAST };

static const struct {
    const char *word;
    const char *asks; /* the question that the server is asked */
    enum bound bound;
    int64_t preset_ms;
} questions[] = {
    {"expiring", "expiring", AHEAD, 30 * DAY_MS},
    {"expired", "expiring", PAST, 0},
    {"failing", "failing", AGO, 0},
    {"duplicate", "duplicate", AGO, 0},
    {"stuck", "stuck", LONGER, DAY_MS},
    {"unrenewed", "unrenewed", LONGER, 0},
    {"matching", "matching", NONE, 0},
};

static int wrong(const char *text) {
    fprintf(stderr, "touchmark device find: %s\n", text);
    return EX_USAGE;
}

static void set_bounds(struct admin_call *call, enum bound bound, int64_t ms) {
    int64_t now_ms = clock_wall_ms();
    struct ipc_admin_request *q = &call->request;
    if (bound == AHEAD)
        q->from_ms = now_ms;
    if (bound == AHEAD)
        q->until_ms = now_ms + ms;
    else if (bound == PAST)
        q->until_ms = now_ms;
    else if (bound == LONGER && ms)
        q->until_ms = now_ms - ms;
    else if (bound == AGO && ms)
        q->from_ms = now_ms - ms;
}

int admin_device_find(struct admin_call *call) {
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (strcmp(call->request.question, questions[i].word) != 0)
            continue;
        enum bound bound = questions[i].bound;
        if (call->within_ms && bound != AHEAD && bound != AGO)
            return wrong("--within goes with expiring, failing and duplicate");
        if (call->longer_ms && bound != LONGER)
            return wrong("--longer goes with stuck and unrenewed");
        int64_t given = call->within_ms + call->longer_ms;
        set_bounds(call, bound, given ? given : questions[i].preset_ms);
        TEXT_SET(call->request.question, questions[i].asks);
        return admin_request(call);
    }
    return wrong("the questions are expiring, expired, failing, stuck, duplicate, unrenewed and "
                 "matching");
}
