/* SPDX-License-Identifier: Apache-2.0 */
/* What comes over a serial line, as a station and as a unit see it. What is read can be written,
 * and is then the same. */
#include <stdlib.h>
#include <string.h>

#include "client/station/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void same_question(const struct wire_question *a) {
    static uint8_t text[WIRE_LINE_MAX], again[WIRE_LINE_MAX], octets[WIRE_DER_MAX];
    struct buf out = BUF_ON(text), second = BUF_ON(again), room = BUF_ON(octets);
    struct wire_question b;
    struct wire_fault fault;
    enum tm_err err = wire_question_write(a, &out);
    require(err == TM_OK || err == TM_ELIMIT); /* what is escaped in JSON takes more octets */
    if (err)
        return;
    require(wire_question_read((struct bytes){out.p, out.n - 1}, &room, &b, &fault) == TM_OK);
    require(wire_question_write(&b, &second) == TM_OK);
    require(bytes_equal(buf_bytes(&out), buf_bytes(&second)));
}

static void same_answer(const struct wire_answer *a, enum wire_op op) {
    static uint8_t text[WIRE_LINE_MAX], again[WIRE_LINE_MAX], octets[WIRE_DER_MAX];
    struct buf out = BUF_ON(text), second = BUF_ON(again), room = BUF_ON(octets);
    struct wire_answer b;
    char why[WIRE_TEXT_MAX + 1];
    enum tm_err err = wire_answer_write(a, op, &out);
    require(err == TM_OK || err == TM_ELIMIT);
    if (err)
        return;
    require(wire_answer_read((struct bytes){out.p, out.n - 1}, a->id, op, &room, &b, why) == TM_OK);
    require(wire_answer_write(&b, op, &second) == TM_OK);
    require(bytes_equal(buf_bytes(&out), buf_bytes(&second)));
}

static void as_unit(struct bytes line) {
    static uint8_t octets[WIRE_DER_MAX];
    struct buf room = BUF_ON(octets);
    struct wire_question question;
    struct wire_fault fault;
    if (wire_question_read(line, &room, &question, &fault) == TM_OK)
        same_question(&question);
    else
        require(room.n == 0 && strnlen(fault.text, sizeof fault.text) < sizeof fault.text);
}

static void as_station(struct bytes line) {
    static uint8_t octets[WIRE_DER_MAX];
    for (unsigned op = 0; op < WIRE_OP_COUNT; op++) {
        struct buf room = BUF_ON(octets);
        struct wire_answer answer;
        char why[WIRE_TEXT_MAX + 1];
        if (wire_answer_read(line, 7, (enum wire_op)op, &room, &answer, why) == TM_OK)
            same_answer(&answer, (enum wire_op)op);
        else
            require(room.n == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct wire_lines lines;
    struct bytes in = {data, size}, line;
    memset(&lines, 0, sizeof lines);
    while (wire_lines_take(&lines, &in, &line)) {
        require(line.n < WIRE_LINE_MAX);
        as_unit(line);
        as_station(line);
    }
    require(in.n == 0);
    return 0;
}
