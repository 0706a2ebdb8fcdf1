/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured logging: one JSON object per line on standard error (systemd's
 * journal takes it from there), written with one write(2) per line.
 *
 *     {"t":"2026-01-02T03:04:05.678Z","level":"info","role":"core","pid":12,
 *      "req":"0f3a...","msg":"..."}
 *
 * Or, for people, text; with sd-daemon(3)'s "<6>" before it if the journal reads it:
 *
 *     2026-01-02T03:04:05.678Z info core[12] 0f3a...: ...
 *
 * Strings are escaped, lines are cut at LOG_LINE_MAX octets. Never pass a PIN, a
 * private key or an enrollment secret. Thread-safe after log_open.
 */
#ifndef TOUCHMARK_BASE_LOG_H
#define TOUCHMARK_BASE_LOG_H

#include <stdint.h>

#define LOG_LINE_MAX 2048

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names this process in every line ("core", "front-0") and sets the least
 * urgent level that is written. Before it: role "", level info. `role` is copied. */
void log_open(const char *role, enum log_level least);

enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };
/* Before any thread, as log_open. Before it: JSON. */
void log_use(enum log_format format);

/* request: the request ID that peers and the audit see, 0 when there is none. */
void log_line(enum log_level level, uint64_t request, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, 0, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, 0, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, 0, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, 0, __VA_ARGS__)

#endif
