/* SPDX-License-Identifier: Apache-2.0 */
/* Renewal times and backoff: see client/schedule.h. */
#include "client/schedule.h"

#define RETRY_AFTER_MAX_S 86400u
#define NEVER_ENDS_MS INT64_C(253402300799000) /* 99991231235959Z (RFC 5280, 4.1.2.5) */

static uint64_t be64(const uint8_t *p) {
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* H(device ID, serial) mod `window_ms`. */
static enum tm_err spread(const struct tm_crypto *crypto, const char *device_id,
                          const struct tm_certificate *certificate, int64_t window_ms,
                          int64_t *ret_ms) {
    const struct bytes parts[] = {bytes_str(device_id),
                                  {(const uint8_t *)"", 1},
                                  {certificate->serial, certificate->serial_n}};
    uint8_t hash[TM_SHA256_SIZE];
    enum tm_err err = crypto->sha256(crypto->self, parts, 3, hash);
    if (!err)
        *ret_ms = window_ms > 0 ? (int64_t)(be64(hash) % (uint64_t)window_ms) : 0;
    return err;
}

enum tm_err tm_schedule_renewal(const struct tm_crypto *crypto, const char *device_id,
                                const struct tm_certificate *certificate, uint32_t window_s,
                                int64_t server_from_ms, int64_t server_until_ms,
                                int64_t *ret_wall_ms) {
    if (certificate->not_after_ms >= NEVER_ENDS_MS) {
        *ret_wall_ms = INT64_MAX;
        return TM_OK;
    }
    int64_t lifetime = certificate->not_after_ms - certificate->not_before_ms;
    int64_t latest = certificate->not_before_ms + lifetime / 12 * 11;
    int64_t from = certificate->not_before_ms + lifetime / 3 * 2;
    int64_t window = window_s ? (int64_t)window_s * 1000 : lifetime / 12;
    if (server_from_ms < server_until_ms) {
        from = server_from_ms;
        window = server_until_ms - server_from_ms;
    }
    if (from > latest)
        from = latest;
    if (window > latest - from)
        window = latest - from;
    int64_t after;
    enum tm_err err = spread(crypto, device_id, certificate, window, &after);
    if (!err)
        *ret_wall_ms = from + after;
    return err;
}

enum tm_err tm_schedule_backoff(const struct tm_crypto *crypto, uint32_t min_s, uint32_t max_s,
                                uint32_t failures, uint32_t retry_after_s, int64_t *ret_ms) {
    uint64_t bound = (uint64_t)min_s * 1000, most = (uint64_t)max_s * 1000;
    for (uint32_t i = 1; i < failures && bound < most; i++)
        bound *= 2;
    if (bound > most)
        bound = most;
    uint64_t longest = max_s > RETRY_AFTER_MAX_S ? max_s : RETRY_AFTER_MAX_S;
    uint64_t least = (retry_after_s < longest ? retry_after_s : longest) * 1000;
    if (least && bound > least / 10)
        bound = least / 10;
    uint8_t random[8];
    enum tm_err err = crypto->random(crypto->self, random, sizeof random);
    if (!err)
        *ret_ms = (int64_t)(least + be64(random) % (bound + 1));
    return err;
}
