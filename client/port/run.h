/* SPDX-License-Identifier: Apache-2.0 */
/* The loop round tm_device_step for a program that may block while an exchange is made. */
#ifndef TOUCHMARK_CLIENT_PORT_RUN_H
#define TOUCHMARK_CLIENT_PORT_RUN_H

#include "client/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The clocks of this machine: CLOCK_BOOTTIME and CLOCK_REALTIME; a real-time clock that stands
 * before the year 2020 was not set and is reported as unknown. */
struct tm_now tm_clock_now(void);

/*
 * Steps the device and makes its exchanges until it has to wait (TM_STEP_WAIT) or has news
 * (TM_STEP_TELL), which is *ret. `now` is called for each step; tm_clock_now of a machine with
 * clocks.
 */
MUST_USE enum tm_err tm_run(struct tm_device *device, const struct tm_transport *transport,
                            struct tm_now (*now)(void), struct tm_step *ret);

#ifdef __cplusplus
}
#endif
#endif
