/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "admin/import_command.h"
#include "base/clock.h"

#define PAUSE_MS 100

void import_progress_begin(struct import_progress *progress, const char *verb) {
    progress->verb = verb;
    progress->began_ms = clock_mono_ms();
    progress->shown_ms = 0;
}

void import_progress_say(struct import_progress *progress, uint64_t offset, uint64_t rows) {
    int64_t now = clock_mono_ms(), took = now - progress->began_ms;
    if (!progress->shown || (progress->shown_ms && now - progress->shown_ms < PAUSE_MS))
        return;
    progress->shown_ms = now;
    fprintf(stderr, "\r%s %" PRIu64 " rows (%" PRIu64 " %%, %" PRIu64 " per second)\033[K",
            progress->verb, rows, progress->size ? offset * 100 / progress->size : 0,
            rows * 1000 / (uint64_t)(took > 0 ? took : 1));
    fflush(stderr);
}

void import_progress_clear(struct import_progress *progress) {
    if (progress->shown && progress->shown_ms)
        fprintf(stderr, "\r\033[K");
}
