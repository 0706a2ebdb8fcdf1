/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that are made with the unit alone: see steps.h. */
#include <stdio.h>
#include <string.h>

#include "client/station/steps_internal.h"
#include "pki/csr.h"
#include "pki/name.h"

static struct wire_question question_of(const struct steps *s, enum wire_op op) {
    struct wire_question question = {.op = op};
    TEXT_SET(question.slot, steps_label(s)->profile);
    return question;
}

static enum outcome ask(struct steps *s, struct wire_question *question, struct wire_answer *ret) {
    return dut_ask(&s->run->dut, question, ret, s->why);
}

enum outcome step_probe(struct steps *s) {
    return dut_await(&s->run->dut, s->id, s->why);
}

/* ---- key and request ---- */

static enum outcome keep(struct steps *s, struct bytes from, uint8_t *ret, size_t cap,
                         size_t *ret_n) {
    if (from.n > cap)
        return because(OUTCOME_FAILED, s->why, "what the unit says is too large");
    memcpy(ret, from.p, from.n);
    *ret_n = from.n;
    return OUTCOME_DONE;
}

/* Another key than the one that a certificate was asked for would need a second certificate. */
static enum outcome judge_key(struct steps *s) {
    const struct history_slot *slot = steps_slot(s);
    if (!steps_hash((struct bytes){s->spki, s->spki_n}, s->record.spki))
        return because(OUTCOME_FAILED, s->why, "the key cannot be hashed");
    if (slot->asked && strcmp(slot->spki, s->record.spki) != 0)
        return because(OUTCOME_FAILED, s->why,
                       "the unit has another key than its certificate was asked for: rework it");
    return OUTCOME_DONE;
}

enum outcome step_keygen(struct steps *s) {
    struct wire_question question = question_of(s, WIRE_KEYGEN);
    struct wire_answer answer;
    struct pki_spki spki;
    question.key = steps_label(s)->key;
    enum outcome outcome = ask(s, &question, &answer);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (pki_spki_parse(answer.spki, &spki))
        return because(OUTCOME_FAILED, s->why, "what the unit gives is no public key");
    outcome = keep(s, answer.spki, s->spki, sizeof s->spki, &s->spki_n);
    return outcome == OUTCOME_DONE ? judge_key(s) : outcome;
}

static bool is_id(const struct pki_attribute *attribute) {
    return attribute->type == PKI_OID_COMMON_NAME || attribute->type == PKI_OID_SERIAL_NUMBER;
}

/* Each attribute that can hold the ID holds this one. */
static bool names(struct bytes subject, const char *id) {
    struct pki_attribute attribute;
    size_t state = 0, found = 0;
    enum tm_err err;
    while ((err = pki_name_next(subject, &state, &attribute)) == TM_OK) {
        if (is_id(&attribute) && !bytes_equal(attribute.value, bytes_str(id)))
            return false;
        found += is_id(&attribute);
    }
    return err == TM_ENOTFOUND && found > 0;
}

enum outcome step_csr(struct steps *s) {
    struct wire_question question = question_of(s, WIRE_CSR);
    struct wire_answer answer;
    struct pki_csr csr;
    TEXT_SET(question.subject, s->id);
    enum outcome outcome = ask(s, &question, &answer);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (pki_csr_parse(answer.csr, &csr))
        return because(OUTCOME_FAILED, s->why, "what the unit gives is no request (RFC 2986)");
    if (!bytes_equal(csr.spki.whole, (struct bytes){s->spki, s->spki_n}))
        return because(OUTCOME_FAILED, s->why, "the request is for another key than keygen gave");
    if (!names(csr.subject, s->id))
        return because(OUTCOME_FAILED, s->why, "the request's subject is not the unit's ID");
    return keep(s, answer.csr, s->csr, sizeof s->csr, &s->csr_n);
}

/* ---- certificate ---- */

/* The CA certificates from the one that issued it to the one below the root. */
static size_t chain_of(const struct run_anchors *anchors, struct bytes certificate,
                       struct bytes ret[WIRE_CHAIN_MAX]) {
    struct pki_cert below, ca;
    size_t n = 0;
    if (pki_cert_parse(certificate, &below))
        return 0;
    for (struct bytes rest = {anchors->der, anchors->n}; rest.n > 0 && n < WIRE_CHAIN_MAX;) {
        struct der one;
        if (der_next(&rest, &one) || pki_cert_parse(one.whole, &ca))
            return n;
        if (pki_name_equal(ca.subject, ca.issuer) || !pki_name_equal(ca.subject, below.issuer))
            continue;
        ret[n++] = one.whole;
        below = ca;
        rest = (struct bytes){anchors->der, anchors->n}; /* it may stand before the other */
    }
    return n;
}

static struct bytes certificate_of(const struct steps *s) {
    const struct history_slot *slot = steps_slot(s);
    return (struct bytes){slot->certificate, slot->certificate_n};
}

enum outcome step_install(struct steps *s) {
    struct wire_question question = question_of(s, WIRE_INSTALL);
    struct wire_answer answer;
    question.certificate = certificate_of(s);
    question.chain_n = chain_of(&s->run->anchors[s->index], question.certificate, question.chain);
    return ask(s, &question, &answer);
}

enum outcome step_read(struct steps *s) {
    struct wire_question question = question_of(s, WIRE_READ);
    struct wire_answer answer;
    enum outcome outcome = ask(s, &question, &answer);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (!bytes_equal(answer.certificate, certificate_of(s)))
        return because(OUTCOME_FAILED, s->why,
                       "the certificate that the unit has is not the one that was installed");
    return OUTCOME_DONE;
}

/* ---- test and lock ---- */

enum outcome step_test(struct steps *s) {
    struct wire_question question = {.op = WIRE_TEST};
    struct wire_answer answer;
    char names_of_bad[96] = "";
    enum outcome outcome = ask(s, &question, &answer);
    if (outcome != OUTCOME_DONE || answer.passed)
        return outcome;
    for (size_t i = 0; i < answer.tests_n; i++) {
        size_t n = strlen(names_of_bad);
        if (!answer.tests[i].passed)
            (void)snprintf(names_of_bad + n, sizeof names_of_bad - n, " %s", answer.tests[i].name);
    }
    return because(OUTCOME_FAILED, s->why, "its own test did not pass:%s", names_of_bad);
}

enum outcome step_lock(struct steps *s) {
    struct wire_question question = {.op = WIRE_LOCK};
    struct wire_answer answer;
    return ask(s, &question, &answer);
}
