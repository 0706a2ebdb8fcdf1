/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on standard error, each a JSON object or text. */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* Logging is the one thing that every function reaches without being handed it, so its
 * settings live for the process; they change only in log_open and log_use, before any thread. */
static struct {
    char role[32];
    enum log_level least;
    enum log_format format;
    bool journal; /* standard error is systemd's journal's */
} settings = {"", LOG_LEVEL_INFO, LOG_FORMAT_JSON, false};

void log_open(const char *role, enum log_level least) {
    (void)snprintf(settings.role, sizeof settings.role, "%s", role);
    settings.least = least;
}

void log_use(enum log_format format) {
    settings.format = format;
    settings.journal = getenv("JOURNAL_STREAM") != NULL;
}

static const char *level_name(enum log_level level) {
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARN:
        return "warn";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "error";
}

/* Octets of the UTF-8 sequence at s (RFC 3629), 0 if there is none. */
static size_t utf8_length(const unsigned char *s) {
    size_t n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : s[0] >= 0xe0 && s[0] <= 0xef ? 3 : 4;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

/* One character of s as it stands in a JSON string; *used octets of s are consumed. In text quotes
 * need no escape. */
static size_t escape_one(const unsigned char *s, char ret[8], size_t *used) {
    *used = 1;
    if ((*s == '"' && settings.format == LOG_FORMAT_JSON) || *s == '\\') {
        ret[0] = '\\';
        ret[1] = (char)*s;
        return 2;
    }
    if (*s < 0x20 || *s == 0x7f)
        return (size_t)snprintf(ret, 8, "\\u%04x", *s);
    if (*s < 0x80) {
        ret[0] = (char)*s;
        return 1;
    }
    size_t n = utf8_length(s);
    if (n == 0)
        return (size_t)snprintf(ret, 8, "\\ufffd");
    memcpy(ret, s, n);
    *used = n;
    return n;
}

/* Appends text, escaped, while it fits below cap. */
static size_t put_escaped(char *line, size_t at, size_t cap, const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        char one[8];
        size_t used;
        size_t n = escape_one(s, one, &used);
        if (at + n > cap)
            break;
        memcpy(line + at, one, n);
        at += n;
        s += used;
    }
    return at;
}

static size_t put_json_head(char *line, size_t cap, enum log_level level, const char *now,
                            const char *request) {
    char req[40] = "";
    if (request[0])
        (void)snprintf(req, sizeof req, ",\"req\":\"%s\"", request);
    return (size_t)snprintf(line, cap,
                            "{\"t\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"pid\":%ld%s,"
                            "\"msg\":\"",
                            now, level_name(level), settings.role, (long)getpid(), req);
}

/* Syslog's priorities: err, warning, info, debug. */
static size_t put_text_head(char *line, size_t cap, enum log_level level, const char *now,
                            const char *request) {
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    return (size_t)snprintf(
        line, cap, "%s%s %s %s[%ld]%s%s: ", settings.journal ? priorities[level] : "", now,
        level_name(level), settings.role, (long)getpid(), request[0] ? " " : "", request);
}

static size_t put_head(char *line, size_t cap, enum log_level level, uint64_t request) {
    char now[CLOCK_TEXT_MAX], id[17] = "";
    clock_format(clock_wall_ms(), now);
    if (request)
        (void)snprintf(id, sizeof id, "%016" PRIx64, request);
    return settings.format == LOG_FORMAT_JSON ? put_json_head(line, cap, level, now, id)
                                              : put_text_head(line, cap, level, now, id);
}

void log_line(enum log_level level, uint64_t request, const char *format, ...) {
    if (level > settings.least)
        return;
    int saved_errno = errno;
    const char *tail = settings.format == LOG_FORMAT_JSON ? "\"}\n" : "\n";
    size_t tail_n = strlen(tail);
    char text[LOG_LINE_MAX], line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t n = put_head(line, sizeof line, level, request);
    n = put_escaped(line, n, sizeof line - tail_n, text);
    memcpy(line + n, tail, tail_n);
    n += tail_n;
    while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
        ;
    errno = saved_errno;
}
