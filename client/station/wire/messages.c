/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of questions and answers (docs/stations.md), and both ways through them. */
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "client/station/wire/members.h"

AUTO_DEFINE(json_t, json_decref)

const char *const wire_op_words[] = {"hello", "keygen", "csr",  "install", "read",
                                     "sign",  "test",   "lock", "erase",   NULL};
const char *const wire_key_words[] = {"p256", "p384", "ed25519", "rsa2048", NULL};
const char *const wire_state_words[] = {"blank", "keyed", "installed", "locked", NULL};
const char *const wire_error_words[] = {"unknown-op",   "bad-request", "no-key", "no-certificate",
                                        "key-mismatch", "locked",      "busy",   "failed",
                                        "other-device", NULL};

/* ---- tables ---- */

#define QUESTION(name, kind)                                                                       \
    .key = #name, .type = (kind), .offset = offsetof(struct wire_question, name)
#define ANSWER(name, kind)                                                                         \
    .key = #name, .type = (kind), .offset = offsetof(struct wire_answer, name)

static const struct member none[] = {{.key = NULL}};

static const struct member id_and_op[] = {
    {QUESTION(id, MEMBER_INTEGER)},
    {QUESTION(op, MEMBER_WORD), .words = wire_op_words},
    {.key = NULL},
};
static const struct member keygen_question[] = {
    {QUESTION(device, MEMBER_ID)},
    {QUESTION(slot, MEMBER_NAME)},
    {QUESTION(key, MEMBER_WORD), .words = wire_key_words},
    {.key = NULL},
};
static const struct member csr_question[] = {
    {QUESTION(slot, MEMBER_NAME)},
    {QUESTION(subject, MEMBER_ID)},
    {.key = NULL},
};
static const struct member install_question[] = {
    {QUESTION(device, MEMBER_ID)},
    {QUESTION(slot, MEMBER_NAME)},
    {QUESTION(certificate, MEMBER_OCTETS)},
    {QUESTION(chain, MEMBER_CHAIN), .count = offsetof(struct wire_question, chain_n)},
    {.key = NULL},
};
static const struct member read_question[] = {{QUESTION(slot, MEMBER_NAME)}, {.key = NULL}};
static const struct member sign_question[] = {
    {QUESTION(slot, MEMBER_NAME)},
    {QUESTION(data, MEMBER_OCTETS)},
    {.key = NULL},
};
static const struct member device_question[] = {{QUESTION(device, MEMBER_ID)}, {.key = NULL}};

static const struct member id_and_ok[] = {
    {ANSWER(id, MEMBER_INTEGER)},
    {ANSWER(ok, MEMBER_BOOL)},
    {.key = NULL},
};
static const struct member error_answer[] = {
    {ANSWER(error, MEMBER_WORD), .words = wire_error_words},
    {ANSWER(text, MEMBER_TEXT)},
    {.key = NULL},
};
static const struct member hello_answer[] = {
    {ANSWER(protocol, MEMBER_INTEGER)}, {ANSWER(device, MEMBER_ID)},
    {ANSWER(product, MEMBER_ID)},       {ANSWER(hardware, MEMBER_ID)},
    {ANSWER(firmware, MEMBER_ID)},      {ANSWER(state, MEMBER_WORD), .words = wire_state_words},
    {ANSWER(boot, MEMBER_INTEGER)},     {.key = NULL},
};
static const struct member keygen_answer[] = {{ANSWER(spki, MEMBER_OCTETS)}, {.key = NULL}};
static const struct member csr_answer[] = {{ANSWER(csr, MEMBER_OCTETS)}, {.key = NULL}};
static const struct member read_answer[] = {{ANSWER(certificate, MEMBER_OCTETS)}, {.key = NULL}};
static const struct member sign_answer[] = {{ANSWER(signature, MEMBER_OCTETS)}, {.key = NULL}};
static const struct member test_answer[] = {
    {ANSWER(passed, MEMBER_BOOL)},
    {ANSWER(tests, MEMBER_TESTS), .count = offsetof(struct wire_answer, tests_n)},
    {.key = NULL},
};

static const struct {
    const struct member *question, *answer;
} tables[WIRE_OP_COUNT] = {
    [WIRE_HELLO] = {none, hello_answer},        [WIRE_KEYGEN] = {keygen_question, keygen_answer},
    [WIRE_CSR] = {csr_question, csr_answer},    [WIRE_INSTALL] = {install_question, none},
    [WIRE_READ] = {read_question, read_answer}, [WIRE_SIGN] = {sign_question, sign_answer},
    [WIRE_TEST] = {none, test_answer},          [WIRE_LOCK] = {device_question, none},
    [WIRE_ERASE] = {device_question, none},
};

/* ---- writing ---- */

static enum tm_err write_object(const struct member *first, const struct member *second,
                                const void *s, struct buf *out) {
    AUTO(json_t) object = json_object();
    if (!object)
        return TM_ENOMEM;
    enum tm_err err = members_write(first, s, object);
    if (!err)
        err = members_write(second, s, object);
    AUTO_MEM char *text = err ? NULL : json_dumps(object, JSON_COMPACT);
    if (!text)
        return err ? err : TM_ENOMEM;
    size_t n = strlen(text);
    if (n >= WIRE_LINE_MAX || out->full || n + 1 > out->cap - out->n)
        return TM_ELIMIT;
    buf_put(out, (struct bytes){(const uint8_t *)text, n});
    buf_put_u8(out, '\n');
    return TM_OK;
}

enum tm_err wire_question_write(const struct wire_question *question, struct buf *out) {
    return question->op < WIRE_OP_COUNT
               ? write_object(id_and_op, tables[question->op].question, question, out)
               : TM_EINVAL;
}

enum tm_err wire_answer_write(const struct wire_answer *answer, enum wire_op op, struct buf *out) {
    return write_object(id_and_ok, answer->ok ? tables[op].answer : error_answer, answer, out);
}

/* ---- reading ---- */

/* Nesting is bounded by jansson, as is everything by the line's length. */
static json_t *load(struct bytes line) {
    json_error_t error;
    json_t *object = line.n < WIRE_LINE_MAX
                         ? json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, &error)
                         : NULL;
    if (object && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static bool has_id(const json_t *object, uint64_t *ret) {
    const json_t *id = json_object_get(object, "id");
    json_int_t n = json_integer_value(id);
    if (!json_is_integer(id) || n < 0 || (uint64_t)n > WIRE_INTEGER_MAX)
        return false;
    *ret = (uint64_t)n;
    return true;
}

static enum tm_err nothing_else(const json_t *object, size_t known, char text[WIRE_TEXT_MAX + 1]) {
    if (json_object_size(object) == known)
        return TM_OK;
    text_copy(text, WIRE_TEXT_MAX + 1, "there are members that the operation does not have");
    return TM_EPARSE;
}

static enum tm_err read_question_of(const json_t *object, struct buf *room,
                                    struct wire_question *ret, struct wire_fault *fault) {
    size_t first, second;
    enum tm_err err = members_read(id_and_op, object, room, ret, &first, fault->text);
    if (err) {
        const json_t *op = json_object_get(object, "op");
        fault->error = fault->has_id && json_is_string(op) ? WIRE_UNKNOWN_OP : WIRE_BAD_REQUEST;
        return err;
    }
    err = members_read(tables[ret->op].question, object, room, ret, &second, fault->text);
    return err ? err : nothing_else(object, first + second, fault->text);
}

enum tm_err wire_question_read(struct bytes line, struct buf *room, struct wire_question *ret,
                               struct wire_fault *ret_fault) {
    struct wire_question question = {0};
    struct wire_fault fault = {.error = WIRE_BAD_REQUEST, .text = "this is not a JSON object"};
    size_t before = room->n;
    AUTO(json_t) object = load(line);
    enum tm_err err = TM_EPARSE;
    if (object) {
        fault.has_id = has_id(object, &fault.id);
        err = read_question_of(object, room, &question, &fault);
    }
    if (err) {
        room->n = before;
        *ret_fault = fault;
        return TM_EPARSE;
    }
    *ret = question;
    return TM_OK;
}

static enum tm_err read_answer_of(const json_t *object, enum wire_op op, struct buf *room,
                                  struct wire_answer *ret, char text[WIRE_TEXT_MAX + 1]) {
    size_t first, second;
    enum tm_err err = members_read(id_and_ok, object, room, ret, &first, text);
    if (!err)
        err = members_read(ret->ok ? tables[op].answer : error_answer, object, room, ret, &second,
                           text);
    return err ? err : nothing_else(object, first + second, text);
}

enum tm_err wire_answer_read(struct bytes line, uint64_t id, enum wire_op op, struct buf *room,
                             struct wire_answer *ret, char ret_text[WIRE_TEXT_MAX + 1]) {
    struct wire_answer answer = {0};
    char text[WIRE_TEXT_MAX + 1] = "";
    size_t before = room->n;
    uint64_t found = 0;
    AUTO(json_t) object = load(line);
    if (!object || !has_id(object, &found) || found != id)
        return TM_ENOTFOUND;
    if (read_answer_of(object, op, room, &answer, text)) {
        room->n = before;
        text_copy(ret_text, WIRE_TEXT_MAX + 1, text);
        return TM_EPARSE;
    }
    *ret = answer;
    return TM_OK;
}
