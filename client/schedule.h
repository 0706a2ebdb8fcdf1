/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to renew, and how long to wait after a failure. Pure but for the hash and the random
 * numbers. Thread-safe; only for the library and the fleet simulator.
 */
#ifndef TOUCHMARK_CLIENT_SCHEDULE_H
#define TOUCHMARK_CLIENT_SCHEDULE_H

#include "client/device.h"

/*
 * notBefore + 2/3 of the lifetime + H(device ID, serial) mod window; the serial keeps one device
 * from always being last. A server's own window (from < until) takes the place of 2/3 and window.
 * Never later than 11/12 of the lifetime. A certificate that never ends (99991231235959Z) is never
 * renewed: INT64_MAX.
 */
MUST_USE enum tm_err tm_schedule_renewal(const struct tm_crypto *crypto, const char *device_id,
                                         const struct tm_certificate *certificate,
                                         uint32_t window_s, int64_t server_from_ms,
                                         int64_t server_until_ms, int64_t *ret_wall_ms);

/* Full jitter: between 0 and min(max, min * 2^(failures - 1)) seconds, in ms; at least
 * `retry_after_s` (of which more than a day, or max, is not believed), and then up to a tenth more.
 * failures >= 1. */
MUST_USE enum tm_err tm_schedule_backoff(const struct tm_crypto *crypto, uint32_t min_s,
                                         uint32_t max_s, uint32_t failures, uint32_t retry_after_s,
                                         int64_t *ret_ms);

#endif
