/* SPDX-License-Identifier: Apache-2.0 */
/* Lines out of a stream of octets: see wire.h. */
#include <string.h>

#include "client/station/wire/wire.h"

/* Room for all of a line but its LF. */
static void keep(struct wire_lines *lines, struct bytes piece) {
    if (piece.n == 0)
        return;
    if (lines->overlong || piece.n >= sizeof lines->octets - lines->n) {
        lines->overlong = true;
        return;
    }
    memcpy(lines->octets + lines->n, piece.p, piece.n);
    lines->n += piece.n;
}

bool wire_lines_take(struct wire_lines *lines, struct bytes *in, struct bytes *ret_line) {
    while (in->n > 0) {
        const uint8_t *end = memchr(in->p, '\n', in->n);
        size_t n = end ? (size_t)(end - in->p) : in->n;
        keep(lines, (struct bytes){in->p, n});
        *in = (struct bytes){in->p + n + (end != NULL), in->n - n - (end != NULL)};
        if (!end)
            return false;
        struct bytes line = {lines->octets, lines->n};
        bool whole = !lines->overlong;
        lines->n = 0;
        lines->overlong = false;
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (whole) {
            *ret_line = line;
            return true;
        }
    }
    return false;
}
