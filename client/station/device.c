/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about one unit: which it is, and what becomes of one that failed. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "client/station/job.h"

static enum outcome probe(const struct station_call *call, struct run *run, struct why *why) {
    struct wire_answer hello;
    (void)call;
    enum outcome outcome = dut_hello(&run->dut, &hello, why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    const struct history_unit *unit = history_find(run->history, hello.device);
    (void)printf("%s: %s, hardware %s, firmware %s, %s, boot %" PRIu64 "; in the journal: %s\n",
                 hello.device, hello.product, hello.hardware, hello.firmware,
                 wire_state_words[hello.state], hello.boot,
                 unit ? unit_result_words[unit->result] : "nothing");
    return OUTCOME_DONE;
}

enum station_exit station_device_probe(const struct station_call *call) {
    return job_with_run(call, true, probe);
}

static enum outcome find(const struct station_call *call, const struct run *run,
                         const struct history_unit **ret, struct why *why) {
    const struct history_unit *unit = history_find(run->history, call->id);
    if (!unit)
        return because(OUTCOME_FAILED, why, "the journal of %s knows no %s", call->job, call->id);
    if (unit->result == UNIT_PASSED || unit->result == UNIT_SCRAPPED)
        return because(OUTCOME_FAILED, why, "%s is %s", call->id, unit_result_words[unit->result]);
    *ret = unit;
    return OUTCOME_DONE;
}

/* Recorded before as well: an erase that is cut off has to be known to resume. */
static enum outcome rework(const struct station_call *call, struct run *run, struct why *why) {
    struct wire_question question = {.op = WIRE_ERASE};
    struct journal_record record = {.time_ms = clock_wall_ms(), .step = STEP_REWORK};
    const struct history_unit *unit;
    struct wire_answer answer;
    TEXT_SET(record.unit, call->id);
    enum outcome outcome = find(call, run, &unit, why);
    if (outcome == OUTCOME_DONE)
        outcome = dut_await(&run->dut, call->id, why);
    if (outcome == OUTCOME_DONE)
        outcome = run_record(run, &record, why);
    if (outcome == OUTCOME_DONE)
        outcome = dut_ask(&run->dut, &question, &answer, why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    record.mark = MARK_DONE;
    record.time_ms = clock_wall_ms();
    outcome = run_record(run, &record, why);
    if (outcome == OUTCOME_DONE)
        (void)printf("%s is blank, and may begin anew\n", call->id);
    return outcome;
}

enum station_exit station_device_rework(const struct station_call *call) {
    return job_with_run(call, false, rework);
}

static enum outcome scrap(const struct station_call *call, struct run *run, struct why *why) {
    struct journal_record record = {
        .time_ms = clock_wall_ms(), .step = STEP_PROBE, .mark = MARK_SCRAPPED};
    const struct history_unit *unit;
    enum outcome outcome = find(call, run, &unit, why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    TEXT_SET(record.unit, call->id);
    TEXT_SET(record.text, call->reason ? call->reason : "scrapped");
    outcome = run_record(run, &record, why);
    if (outcome == OUTCOME_DONE)
        outcome = run_report_bad(run, unit, why);
    if (outcome == OUTCOME_DONE)
        (void)printf("%s is scrapped%s\n", call->id,
                     unit->reported ? "" : "; the server was not told");
    return outcome;
}

enum station_exit station_device_scrap(const struct station_call *call) {
    return job_with_run(call, false, scrap);
}
