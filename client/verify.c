/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate that a server answered with: see client/verify.h. */
#include "client/verify.h"

#include <string.h>

#include "client/verify_path.h"
#include "pki/name.h"

/* Writes "sentence: name". */
static enum tm_err deny(const char *sentence, struct bytes name, char ret_text[TM_TEXT_MAX]) {
    text_copy(ret_text, TM_TEXT_MAX, sentence);
    if (name.n > 0 && !pki_name_empty(name)) {
        size_t n = strlen(ret_text);
        text_copy(ret_text + n, TM_TEXT_MAX - n, ": ");
        n = strlen(ret_text);
        pki_name_format(name, ret_text + n, TM_TEXT_MAX - n);
    }
    return TM_EDENIED;
}

static enum tm_err find_path(const struct tm_crypto *crypto, int64_t wall_ms, struct bytes set,
                             const struct tm_facts *certificate, char ret_text[TM_TEXT_MAX]) {
    struct tm_search search = {.crypto = crypto,
                               .wall_ms = wall_ms,
                               .anchors = set,
                               .signatures_left = TM_PATH_SIGNATURES};
    enum tm_err err = tm_search_path(&search, certificate);
    if (err == TM_ENOTFOUND)
        return deny(search.sentence, search.name, ret_text);
    if (err == TM_ELIMIT)
        return deny("too many signatures were checked on the way to a trust anchor",
                    (struct bytes){0}, ret_text);
    return err;
}

static const char not_a_certificate[] = "not an X.509 certificate (RFC 5280, 4.1)";

enum tm_err tm_verify_path(const struct tm_crypto *crypto, int64_t wall_ms, struct bytes set,
                           struct bytes certificate, char ret_text[TM_TEXT_MAX]) {
    struct tm_facts facts;
    if (tm_facts_read(certificate, &facts))
        return deny(not_a_certificate, (struct bytes){0}, ret_text);
    return find_path(crypto, wall_ms, set, &facts, ret_text);
}

static bool has_subject(const struct tm_expected *expected, struct bytes subject) {
    if (expected->subject.n > 0)
        return pki_name_equal(expected->subject, subject);
    return !expected->device_id || tm_name_has(subject, PKI_OID_COMMON_NAME, expected->device_id) ||
           tm_name_has(subject, PKI_OID_SERIAL_NUMBER, expected->device_id);
}

/* Why it is not what was asked for; NULL: it is. */
static const char *not_expected(const struct tm_expected *expected, const struct tm_facts *facts) {
    if (!bytes_equal(facts->spki, expected->spki))
        return "the certificate is for another key than the request's (RFC 7030, 4.2.3)";
    if (!has_subject(expected, facts->subject))
        return expected->subject.n > 0
                   ? "the certificate has another subject than the request (RFC 7030, 4.2.2)"
                   : "neither CN nor serialNumber is this device's ID (RFC 5280, 4.1.2.6)";
    return NULL;
}

/* Why a device cannot authenticate with it; NULL: it can. */
static const char *not_usable(const struct tm_facts *facts) {
    struct tm_certificate limits;
    if (facts->ca)
        return "the certificate is a CA's (RFC 5280, 4.2.1.9)";
    if (!(facts->usage & PKI_KU_DIGITAL_SIGNATURE))
        return "keyUsage lacks digitalSignature (RFC 5280, 4.2.1.3)";
    if (!facts->client_auth)
        return "extKeyUsage lacks clientAuth (RFC 5280, 4.2.1.12)";
    if (facts->serial.n > sizeof limits.serial)
        return "the serial number has more than 20 octets (RFC 5280, 4.1.2.2)";
    return NULL;
}

static void fill(const struct tm_facts *facts, struct tm_certificate *ret) {
    memset(ret->serial, 0, sizeof ret->serial);
    memcpy(ret->serial, facts->serial.p, facts->serial.n);
    ret->serial_n = (uint8_t)facts->serial.n;
    ret->not_before_ms = facts->not_before_ms;
    ret->not_after_ms = facts->not_after_ms;
}

enum tm_err tm_verify_issued(const struct tm_crypto *crypto, const struct tm_expected *expected,
                             struct bytes certificates, struct tm_certificate *ret,
                             char ret_text[TM_TEXT_MAX]) {
    struct tm_facts facts;
    if (tm_facts_next(&certificates, &facts))
        return deny(not_a_certificate, (struct bytes){0}, ret_text);
    const char *why = not_expected(expected, &facts);
    if (!why)
        why = not_usable(&facts);
    if (why)
        return deny(why, facts.subject, ret_text);
    enum tm_err err = find_path(crypto, expected->wall_ms, expected->set, &facts, ret_text);
    if (!err)
        fill(&facts, ret);
    return err;
}
