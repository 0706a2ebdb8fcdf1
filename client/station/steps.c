/* SPDX-License-Identifier: Apache-2.0 */
/* Which steps there are, in which order, and when one is done already: see steps.h. */
#include "client/station/steps.h"

#include <string.h>

#include "base/clock.h"
#include "client/port/openssl.h"
#include "client/station/steps_internal.h"

#define RESTARTS_MAX 10 /* of one unit in one run */

const struct manifest_label *steps_label(const struct steps *s) {
    return (const struct manifest_label *)s->run->job->labels.items + s->index;
}

const struct history_slot *steps_slot(const struct steps *s) {
    return &s->unit->slots[s->index];
}

bool steps_hash(struct bytes octets, char ret[JOURNAL_HEX_MAX]) {
    const struct tm_crypto *crypto = tm_openssl_crypto();
    uint8_t hash[TM_SHA256_SIZE];
    return crypto->sha256(crypto->self, &octets, 1, hash) == TM_OK &&
           hex_encode(BYTES_OF(hash), ret, JOURNAL_HEX_MAX) == TM_OK;
}

/* ---- what is still to be done ---- */

static bool always(const struct steps *s) {
    (void)s;
    return true;
}

static bool without_certificate(const struct steps *s) {
    return !steps_slot(s)->certificate;
}

static bool not_installed(const struct steps *s) {
    return !steps_slot(s)->read_back && s->run->dut.state != WIRE_LOCKED;
}

static bool not_read_back(const struct steps *s) {
    return !steps_slot(s)->read_back;
}

static bool not_verified(const struct steps *s) {
    return !steps_slot(s)->verified;
}

static bool not_tested(const struct steps *s) {
    return s->run->job->test && !s->unit->tested;
}

static bool not_locked(const struct steps *s) {
    return s->run->dut.state != WIRE_LOCKED;
}

struct row {
    enum journal_step step;
    bool (*is_due)(const struct steps *s);
    enum outcome (*run)(struct steps *s);
};

static const struct row for_each_label[] = {
    {STEP_KEYGEN, always, step_keygen},
    {STEP_CSR, without_certificate, step_csr},
    {STEP_ENROLL, without_certificate, step_enroll},
    {STEP_INSTALL, not_installed, step_install},
    {STEP_READ, not_read_back, step_read},
    {STEP_VERIFY, not_verified, step_verify},
};

static const struct row at_the_end[] = {
    {STEP_TEST, not_tested, step_test},
    {STEP_LOCK, not_locked, step_lock},
    {STEP_REPORT, always, step_report},
};

/* ---- one step ---- */

static enum outcome record(struct steps *s, enum journal_mark mark, double seconds) {
    s->record.time_ms = clock_wall_ms();
    s->record.mark = mark;
    s->record.seconds = seconds;
    enum outcome outcome = run_record(s->run, &s->record, s->why);
    s->unit = history_find(s->run->history, s->id);
    return outcome;
}

static void begin_record(struct steps *s, enum journal_step step, bool with_label) {
    s->step = step;
    s->record = (struct journal_record){.step = step};
    TEXT_SET(s->record.unit, s->id);
    if (with_label)
        TEXT_SET(s->record.label, steps_label(s)->label);
    if (step == STEP_ENROLL) { /* what is asked for is known before the server can know it */
        TEXT_SET(s->record.spki, steps_slot(s)->spki);
        (void)steps_hash((struct bytes){s->csr, s->csr_n}, s->record.request);
    }
}

/* What is not right about a unit may be that it is another one, or that it started again. */
static enum outcome blame(struct steps *s, enum outcome outcome) {
    struct why why;
    if (outcome != OUTCOME_FAILED && outcome != OUTCOME_REFUSED)
        return outcome;
    enum outcome still = dut_check(&s->run->dut, &why);
    if (still != OUTCOME_WRONG_UNIT && still != OUTCOME_RESTARTED)
        return outcome;
    *s->why = why;
    return still;
}

static enum outcome make_step(struct steps *s, const struct row *row, bool with_label) {
    if (run_is_stopped(s->run))
        return because(OUTCOME_INTERRUPTED, s->why, "interrupted");
    begin_record(s, row->step, with_label);
    enum outcome outcome = record(s, MARK_BEGIN, 0);
    double start = takt_now();
    if (outcome == OUTCOME_DONE)
        outcome = blame(s, row->run(s));
    double seconds = takt_now() - start;
    if (outcome == OUTCOME_DONE)
        outcome = record(s, MARK_DONE, seconds);
    if (outcome == OUTCOME_DONE)
        takt_add_step(&s->run->takt, row->step, seconds);
    return outcome;
}

static enum outcome make_steps(struct steps *s, const struct row *rows, size_t n, bool with_label) {
    enum outcome outcome = OUTCOME_DONE;
    for (size_t i = 0; i < n && outcome == OUTCOME_DONE; i++)
        if (rows[i].is_due(s))
            outcome = make_step(s, &rows[i], with_label);
    return outcome;
}

/* ---- all steps ---- */

static enum outcome pass(struct steps *s) {
    static const struct row probe = {STEP_PROBE, always, step_probe};
    enum outcome outcome = make_step(s, &probe, false);
    for (s->index = 0; s->index < s->run->job->labels.count && outcome == OUTCOME_DONE;
         s->index++) {
        s->spki_n = s->csr_n = s->certificate_n = 0;
        outcome =
            make_steps(s, for_each_label, sizeof for_each_label / sizeof for_each_label[0], true);
    }
    if (outcome == OUTCOME_DONE)
        outcome = make_steps(s, at_the_end, sizeof at_the_end / sizeof at_the_end[0], false);
    return outcome;
}

enum outcome steps_run(struct run *run, const char *id, enum journal_step *ret_step,
                       struct why *ret_why) {
    struct steps s = {.run = run, .id = id, .why = ret_why};
    enum outcome outcome = pass(&s);
    for (unsigned i = 0; outcome == OUTCOME_RESTARTED && i < RESTARTS_MAX; i++)
        outcome = pass(&s);
    *ret_step = s.step;
    return outcome == OUTCOME_RESTARTED
               ? because(OUTCOME_FAILED, ret_why, "the unit starts again and again")
               : outcome;
}
