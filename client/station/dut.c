/* SPDX-License-Identifier: Apache-2.0 */
/* See dut.h. */
#include "client/station/dut.h"

#include <string.h>

#include "base/clock.h"

#define BUSY_MS 100   /* a unit that is busy is asked again after so long */
#define CHANGE_MS 100 /* likewise while the last unit is still there */

void dut_init(struct dut *dut, const struct manifest *manifest, int stop_fd) {
    memset(dut, 0, sizeof *dut);
    dut->manifest = manifest;
    serial_init(&dut->serial, manifest->serial, (unsigned long)manifest->baud, stop_fd);
}

void dut_close(struct dut *dut) {
    serial_close(&dut->serial);
}

static int64_t timeout_of(const struct dut *dut, unsigned op) {
    const struct manifest_timeouts *timeouts = &dut->manifest->timeouts;
    bool slow = op == WIRE_KEYGEN || op == WIRE_CSR || op == WIRE_TEST || op == WIRE_LOCK;
    return slow && timeouts->slow_answer > timeouts->answer ? timeouts->slow_answer
                                                            : timeouts->answer;
}

static bool changes_the_unit(unsigned op) {
    return op == WIRE_KEYGEN || op == WIRE_INSTALL || op == WIRE_LOCK || op == WIRE_ERASE;
}

static enum outcome interrupted(struct why *why) {
    return because(OUTCOME_INTERRUPTED, why, "interrupted");
}

/* One try, and what it means. TM_ETIMEOUT of serial_ask is OUTCOME_LINE. */
static enum outcome try_once(struct dut *dut, const struct wire_question *question,
                             struct wire_answer *ret, struct why *why) {
    struct buf room = BUF_ON(dut->room);
    char text[WIRE_TEXT_MAX + 1];
    enum tm_err err =
        serial_ask(&dut->serial, question, timeout_of(dut, question->op), &room, ret, text);
    switch (err) {
    case TM_OK:
        return OUTCOME_DONE;
    case TM_ECLOSED:
        return interrupted(why);
    case TM_EPARSE:
        return because(OUTCOME_FAILED, why, "%s: the unit's answer is not of the protocol: %s",
                       wire_op_words[question->op], text);
    case TM_ETIMEOUT:
        return because(OUTCOME_LINE, why, "%s: no unit answers on %s", wire_op_words[question->op],
                       dut->serial.path);
    default:
        return because(OUTCOME_FAILED, why, "%s: %s", wire_op_words[question->op],
                       tm_err_name(err));
    }
}

/* ---- hello ---- */

static enum outcome hello_until(struct dut *dut, int64_t until_ms, struct wire_answer *ret,
                                struct why *why) {
    struct wire_question question = {.op = WIRE_HELLO};
    enum outcome outcome;
    serial_number(&dut->serial, &question);
    do
        outcome = try_once(dut, &question, ret, why);
    while (outcome == OUTCOME_LINE && clock_mono_ms() < until_ms);
    if (outcome == OUTCOME_DONE && !ret->ok)
        return because(OUTCOME_FAILED, why, "hello: %s", wire_error_words[ret->error]);
    if (outcome == OUTCOME_DONE && ret->protocol != WIRE_PROTOCOL)
        return because(OUTCOME_FAILED, why, "the unit speaks another protocol than %u",
                       WIRE_PROTOCOL);
    return outcome;
}

enum outcome dut_hello(struct dut *dut, struct wire_answer *ret, struct why *ret_why) {
    return hello_until(dut, clock_mono_ms() + dut->manifest->timeouts.unit, ret, ret_why);
}

static enum outcome another(const struct dut *dut, const struct wire_answer *hello,
                            struct why *why) {
    return because(OUTCOME_WRONG_UNIT, why, "%s is on the station, not %s", hello->device, dut->id);
}

static enum outcome accept(struct dut *dut, const struct wire_answer *hello, struct why *why) {
    const char *product = dut->manifest->product;
    dut->boot = hello->boot;
    dut->state = (enum wire_state)hello->state;
    if (product && strcmp(product, hello->product) != 0)
        return because(OUTCOME_FAILED, why, "the unit is a %s, and the job's product is %s",
                       hello->product, product);
    return OUTCOME_DONE;
}

enum outcome dut_await(struct dut *dut, const char *id, struct why *ret_why) {
    int64_t until_ms = clock_mono_ms() + dut->manifest->timeouts.unit;
    TEXT_SET(dut->id, id);
    for (;;) {
        struct wire_answer hello;
        enum outcome outcome = hello_until(dut, until_ms, &hello, ret_why);
        if (outcome != OUTCOME_DONE)
            return outcome;
        if (strcmp(hello.device, id) == 0)
            return accept(dut, &hello, ret_why);
        if (strcmp(hello.device, dut->last) != 0 || clock_mono_ms() >= until_ms)
            return another(dut, &hello, ret_why);
        if (serial_pause(&dut->serial, CHANGE_MS))
            return interrupted(ret_why);
    }
}

static enum outcome check_until(struct dut *dut, int64_t until_ms, struct why *why) {
    struct wire_answer hello;
    enum outcome outcome = hello_until(dut, until_ms, &hello, why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (strcmp(hello.device, dut->id) != 0)
        return another(dut, &hello, why);
    if (hello.boot != dut->boot)
        return because(OUTCOME_RESTARTED, why, "the unit started again");
    dut->state = (enum wire_state)hello.state;
    return OUTCOME_DONE;
}

enum outcome dut_check(struct dut *dut, struct why *ret_why) {
    return check_until(dut, clock_mono_ms() + dut->manifest->timeouts.line, ret_why);
}

/* ---- questions ---- */

/* After a silence the same question goes out again, and only to the same unit. */
static enum outcome ask_until(struct dut *dut, const struct wire_question *question,
                              int64_t until_ms, struct wire_answer *ret, struct why *why) {
    enum outcome outcome = try_once(dut, question, ret, why);
    while (outcome == OUTCOME_LINE && clock_mono_ms() < until_ms) {
        outcome = check_until(dut, until_ms, why);
        if (outcome == OUTCOME_DONE)
            outcome = try_once(dut, question, ret, why);
    }
    return outcome;
}

/* What the unit itself says of an ID that is not its own. */
static enum outcome says_no(const struct dut *dut, const struct wire_question *question,
                            const struct wire_answer *answer, struct why *why) {
    if (answer->error == WIRE_OTHER_DEVICE)
        return because(OUTCOME_WRONG_UNIT, why, "the unit on the station is not %s: %s", dut->id,
                       answer->text);
    return because(OUTCOME_FAILED, why, "%s: the unit says %s: %s", wire_op_words[question->op],
                   wire_error_words[answer->error], answer->text);
}

static enum outcome ask_while_busy(struct dut *dut, struct wire_question *question,
                                   struct wire_answer *ret, struct why *why) {
    int64_t until_ms = clock_mono_ms() + dut->manifest->timeouts.line;
    for (;;) {
        serial_number(&dut->serial, question);
        enum outcome outcome = ask_until(dut, question, until_ms, ret, why);
        bool busy = outcome == OUTCOME_DONE && !ret->ok && ret->error == WIRE_BUSY;
        if (!busy || clock_mono_ms() >= until_ms)
            return outcome;
        if (serial_pause(&dut->serial, BUSY_MS))
            return interrupted(why);
    }
}

enum outcome dut_ask(struct dut *dut, struct wire_question *question, struct wire_answer *ret,
                     struct why *ret_why) {
    TEXT_SET(question->device, dut->id);
    enum outcome outcome = changes_the_unit(question->op) ? dut_check(dut, ret_why) : OUTCOME_DONE;
    if (outcome == OUTCOME_DONE)
        outcome = ask_while_busy(dut, question, ret, ret_why);
    if (outcome == OUTCOME_DONE && !ret->ok)
        return says_no(dut, question, ret, ret_why);
    return outcome;
}
