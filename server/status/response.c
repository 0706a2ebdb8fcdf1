/* SPDX-License-Identifier: Apache-2.0 */
/* Responses and their headers. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"
#include "server/status/http_internal.h"

typedef struct MHD_Response MHD_Response;
AUTO_DEFINE(MHD_Response, MHD_destroy_response)

#define DATE_MAX 64
#define DATE_FORMAT "%a, %d %b %Y %H:%M:%S GMT" /* RFC 9110, 5.6.7 */
#define SENTENCE_MAX 256
/* A response may take that, and what the slowest rate needs for it. */
#define RESPONSE_MS 15000
#define RATE_MIN 16 /* octets per millisecond */
/* What names no time after which there is something newer: a CA's certificate. */
#define FRESH_MS 3600000

static bool add(MHD_Response *response, const char *name, const char *value) {
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_date(MHD_Response *response, const char *name, int64_t wall_ms) {
    char text[DATE_MAX];
    struct tm tm;
    time_t seconds = (time_t)(wall_ms / 1000);
    return gmtime_r(&seconds, &tm) && strftime(text, sizeof text, DATE_FORMAT, &tm) > 0 &&
           add(response, name, text);
}

/* A copy may pass for the newest for a while, and never beyond its end. */
static int64_t max_age_s(const struct status_http *http, const struct status_item *item) {
    if (!item->next_update_ms)
        return FRESH_MS / 1000;
    int64_t left = item->next_update_ms - clock_wall_ms(), fresh = http->fresh_ms;
    return left <= 0 ? 0 : (left < fresh ? left : fresh) / 1000;
}

/* RFC 5019, 6.2; the same for all that is served. */
static bool add_caching(const struct status_http *http, const struct status_item *item,
                        MHD_Response *response) {
    char control[96];
    (void)snprintf(control, sizeof control, "max-age=%lld, public, no-transform, must-revalidate",
                   (long long)max_age_s(http, item));
    return add(response, MHD_HTTP_HEADER_ETAG, item->etag) &&
           add(response, MHD_HTTP_HEADER_CACHE_CONTROL, control) &&
           add_date(response, MHD_HTTP_HEADER_LAST_MODIFIED, item->this_update_ms) &&
           (!item->next_update_ms ||
            add_date(response, MHD_HTTP_HEADER_EXPIRES, item->next_update_ms));
}

static bool is_since(const char *date, const struct status_item *item) {
    struct tm tm = {.tm_sec = 0};
    const char *end = strptime(date, DATE_FORMAT, &tm);
    return end && *end == '\0' && item->this_update_ms / 1000 <= (int64_t)timegm(&tm);
}

/* RFC 9110, 13.1.2 and 13.1.3. An entity tag holds no quotes, so that it is found with its own. */
static bool is_unchanged(const struct status_conn *conn, const struct status_item *item) {
    const char *tags = MHD_lookup_connection_value(conn->plain.mhd, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_IF_NONE_MATCH);
    const char *since = MHD_lookup_connection_value(conn->plain.mhd, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_IF_MODIFIED_SINCE);
    if (strcmp(conn->method, "POST") == 0)
        return false;
    if (tags)
        return strcmp(tags, "*") == 0 || strstr(tags, item->etag);
    return since && is_since(since, item);
}

static enum MHD_Result queue(struct status_conn *conn, unsigned status, MHD_Response *response,
                             size_t n) {
    if (!front_plain_keeps(conn->plain.server) &&
        !add(response, MHD_HTTP_HEADER_CONNECTION, "close"))
        return MHD_NO;
    front_plain_deadline(&conn->plain, RESPONSE_MS + (int64_t)(n / RATE_MIN));
    return MHD_queue_response(conn->plain.mhd, status, response);
}

static void let_go(void *item) {
    status_item_unref(item);
}

enum MHD_Result status_respond_item(struct status_conn *conn, struct status_item *item) {
    bool unchanged = is_unchanged(conn, item);
    struct bytes body = unchanged ? (struct bytes){NULL, 0} : item->octets;
    AUTO(MHD_Response)
    response = MHD_create_response_from_buffer_with_free_callback_cls(
        body.n, (void *)(uintptr_t)body.p, let_go, status_item_ref(item));
    if (!response) {
        status_item_unref(item);
        return MHD_NO;
    }
    if (!add_caching(front_plain_arg(&conn->plain), item, response) ||
        (!unchanged && !add(response, MHD_HTTP_HEADER_CONTENT_TYPE, item->media_type)))
        return MHD_NO;
    return queue(conn, unchanged ? 304 : 200, response, body.n);
}

static enum MHD_Result respond_copy(struct status_conn *conn, unsigned status, struct bytes body,
                                    const char *media_type, const char *header, const char *value) {
    AUTO(MHD_Response) response = front_plain_response(body, media_type, header, value);
    if (!response)
        return MHD_NO;
    return queue(conn, status, response, body.n);
}

enum MHD_Result status_respond_error(struct status_conn *conn, struct bytes body) {
    return respond_copy(conn, 200, body, "application/ocsp-response", NULL, NULL);
}

enum MHD_Result status_respond_text(struct status_conn *conn, unsigned status, const char *text,
                                    const char *header, const char *value) {
    char line[SENTENCE_MAX];
    (void)snprintf(line, sizeof line, "%s\n", text);
    return respond_copy(conn, status, bytes_str(line), "text/plain; charset=utf-8", header, value);
}
