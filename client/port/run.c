/* SPDX-License-Identifier: Apache-2.0 */
/* Steps and exchanges until there is something for the program to do, and the machine's clocks. */
#include "client/port/run.h"

#include <time.h>

/* 2020-01-01T00:00:00Z. */
#define SET_FROM_S 1577836800

static int64_t ms_of(const struct timespec *t) {
    return (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

struct tm_now tm_clock_now(void) {
    struct timespec boot = {0}, real = {0};
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    (void)clock_gettime(CLOCK_REALTIME, &real);
    return (struct tm_now){.mono_ms = ms_of(&boot),
                           .wall_ms = real.tv_sec >= SET_FROM_S ? ms_of(&real) : 0};
}

enum tm_err tm_run(struct tm_device *device, const struct tm_transport *transport,
                   struct tm_now (*now)(void), struct tm_step *ret) {
    struct tm_step step;
    struct tm_answer answer;
    if (transport->version != TM_TABLE_VERSION)
        return TM_EINVAL;
    enum tm_err err = tm_device_step(device, now(), &step);
    while (err == TM_OK && step.kind == TM_STEP_EXCHANGE) {
        transport->exchange(transport->self, &step.exchange, &answer);
        err = tm_device_answer(device, now(), &answer);
        if (err == TM_OK)
            err = tm_device_step(device, now(), &step);
    }
    if (err == TM_OK)
        *ret = step;
    return err;
}
