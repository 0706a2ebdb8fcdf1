/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that the server has a part in: see steps.h. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/port/openssl.h"
#include "client/station/steps_internal.h"
#include "client/verify.h"
#include "pki/der.h"

#define CHALLENGES_MAX 5 /* for one proof */

/* "No" to one unit, or to all of them: a job may have been stopped meanwhile, or nobody may be
 * logged in any more. */
static enum outcome judge_refusal(struct steps *s, enum outcome outcome) {
    struct why about_job;
    if (outcome != OUTCOME_REFUSED)
        return outcome;
    enum outcome job = api_job_is_open(s->run->server, s->run->job->job, &about_job);
    if (job == OUTCOME_DONE)
        return OUTCOME_REFUSED;
    *s->why = about_job;
    return job == OUTCOME_REFUSED ? OUTCOME_DENIED : job;
}

/* ---- the certificate ---- */

static enum outcome judge_certificate(struct steps *s, struct bytes issued,
                                      struct bytes *ret_certificate) {
    const struct run_anchors *anchors = &s->run->anchors[s->index];
    const struct tm_expected expected = {.spki = {s->spki, s->spki_n},
                                         .device_id = s->id,
                                         .set = {anchors->der, anchors->n},
                                         .wall_ms = clock_wall_ms()};
    struct tm_certificate facts;
    struct why why;
    struct der first;
    if (tm_verify_issued(tm_openssl_crypto(), &expected, issued, &facts, why.text))
        return because(OUTCOME_FAILED, s->why, "%s", why.text);
    if (der_next(&issued, &first) || hex_encode((struct bytes){facts.serial, facts.serial_n},
                                                s->record.serial, sizeof s->record.serial))
        return because(OUTCOME_FAILED, s->why, "the certificate cannot be recorded");
    *ret_certificate = first.whole;
    return OUTCOME_DONE;
}

/* RFC 7030, 4.2.3: one certificate, for this key and this ID. */
enum outcome step_enroll(struct steps *s) {
    struct buf issued = BUF_ON(s->certificate);
    struct bytes certificate;
    enum outcome outcome = dut_check(&s->run->dut, s->why); /* whose key and request these are */
    if (outcome != OUTCOME_DONE)
        return outcome;
    outcome = station_server_enroll(s->run->server, steps_label(s)->label,
                                    (struct bytes){s->csr, s->csr_n}, &issued, s->why);
    if (outcome != OUTCOME_DONE)
        return judge_refusal(s, outcome);
    outcome = judge_certificate(s, buf_bytes(&issued), &certificate);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (!steps_hash(certificate, s->record.fingerprint))
        return because(OUTCOME_FAILED, s->why, "the certificate cannot be hashed");
    s->record.certificate = certificate;
    return OUTCOME_DONE;
}

/* ---- the challenge (docs/stations.md) ---- */

static enum outcome write_signed(const struct steps *s, const uint8_t *challenge, struct buf *out) {
    static const char context[] = "touchmark unit 1"; /* signed with its NUL */
    uint8_t fingerprint[TM_SHA256_SIZE];
    size_t n = 0;
    if (hex_decode(steps_slot(s)->fingerprint, fingerprint, sizeof fingerprint, &n) ||
        n != sizeof fingerprint)
        return because(OUTCOME_FAILED, s->why, "the certificate's fingerprint is not known");
    buf_put(out, BYTES_OF(context));
    buf_put(out, bytes_str(s->id));
    buf_put_u8(out, '\0');
    buf_put(out, BYTES_OF(fingerprint));
    buf_put(out, (struct bytes){challenge, API_CHALLENGE_SIZE});
    return OUTCOME_DONE;
}

static enum outcome sign(struct steps *s, const uint8_t *challenge, struct wire_answer *ret) {
    uint8_t octets[256];
    struct buf data = BUF_ON(octets);
    struct wire_question question = {.op = WIRE_SIGN};
    enum outcome outcome = write_signed(s, challenge, &data);
    if (outcome != OUTCOME_DONE)
        return outcome;
    TEXT_SET(question.slot, steps_label(s)->profile);
    question.data = buf_bytes(&data);
    return dut_ask(&s->run->dut, &question, ret, s->why);
}

static enum outcome prove(struct steps *s, bool *ret_over) {
    const struct run *run = s->run;
    uint8_t challenge[API_CHALLENGE_SIZE];
    struct wire_answer answer;
    *ret_over = false;
    enum outcome outcome = api_challenge(run->server, run->job->job, s->id, challenge, s->why);
    if (outcome != OUTCOME_DONE)
        return judge_refusal(s, outcome);
    outcome = sign(s, challenge, &answer);
    if (outcome != OUTCOME_DONE)
        return outcome;
    outcome = api_verify(run->server, run->job->job, s->id, steps_label(s)->profile, challenge,
                         answer.signature, ret_over, s->why);
    return *ret_over ? outcome : judge_refusal(s, outcome);
}

/* A server that was started again knows no challenge of before; that is not the unit's fault. */
enum outcome step_verify(struct steps *s) {
    bool over = true;
    enum outcome outcome = OUTCOME_DONE;
    for (unsigned i = 0; i < CHALLENGES_MAX && over; i++)
        outcome = prove(s, &over);
    return over ? judge_refusal(s, outcome) : outcome;
}

/* ---- the report ---- */

/* What is reported is what is on the station, and nothing that was there before. */
enum outcome step_report(struct steps *s) {
    struct run *run = s->run;
    enum outcome outcome = dut_check(&run->dut, s->why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (run->dut.state != WIRE_LOCKED)
        return because(OUTCOME_FAILED, s->why, "the unit says that it is not locked");
    const struct api_report report = {.device = s->id,
                                      .result = UNIT_PASSED,
                                      .reason = "",
                                      .locked = true,
                                      .seconds = s->unit->seconds};
    return judge_refusal(s, api_report(run->server, run->job->job, &report, s->why));
}
