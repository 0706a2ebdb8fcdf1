/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of a server, judged with any octets as trust anchors. Signatures are good or bad by a
 * hash of what they are about, so that paths of every form are walked.
 *
 * Input: flags, two octets of length, so many octets of the set, then the answer.
 */
#include <string.h>

#include "client/verify_path.h"
#include "verify_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WITH_TIME 0x01
#define WITH_SUBJECT 0x02
#define WITH_ID 0x04
#define OTHER_KEY 0x08
#define NOW_MS INT64_C(1893456000000) /* 2030-01-01 */

/* What the first certificate would have to be asked for with. */
static struct tm_expected expect(uint8_t flags, struct bytes set, struct bytes certificates) {
    struct tm_expected expected = {.set = set,
                                   .wall_ms = flags & WITH_TIME ? NOW_MS : 0,
                                   .device_id = flags & WITH_ID ? "pump-17" : NULL};
    struct tm_facts facts;
    if (tm_facts_next(&certificates, &facts))
        return expected;
    if (!(flags & OTHER_KEY))
        expected.spki = facts.spki;
    if (flags & WITH_SUBJECT)
        expected.subject = facts.subject;
    return expected;
}

static void check_taken(const struct tm_crypto *crypto, const struct tm_expected *expected,
                        struct bytes certificates, const struct tm_certificate *got) {
    struct tm_facts facts;
    char text[TM_TEXT_MAX];
    require(tm_facts_next(&certificates, &facts) == TM_OK);
    require(bytes_equal(facts.spki, expected->spki));
    require(!facts.ca && facts.client_auth && !facts.unknown_critical);
    require(got->serial_n == facts.serial.n && got->serial_n <= sizeof got->serial);
    require(got->not_after_ms == facts.not_after_ms);
    require(!expected->wall_ms || expected->wall_ms <= facts.not_after_ms);
    require(tm_verify_path(crypto, expected->wall_ms, expected->set, facts.whole, text) == TM_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_crypto fuzz;
    const struct tm_crypto *crypto = fuzz_crypto_init(&fuzz);
    struct reader in = {.in = {data, size}};
    uint8_t flags = (uint8_t)reader_be(&in, 1);
    struct bytes set = reader_take(&in, (size_t)reader_be(&in, 2));
    struct bytes certificates = reader_take(&in, reader_left(&in));
    if (in.bad)
        return 0;
    struct tm_expected expected = expect(flags, set, certificates);
    struct tm_certificate got, before;
    char text[TM_TEXT_MAX];
    memset(&before, 0xa5, sizeof before);
    memset(text, 'x', sizeof text);
    got = before;
    enum tm_err err = tm_verify_issued(crypto, &expected, certificates, &got, text);
    require(fuzz.verified <= TM_PATH_SIGNATURES);
    require(err == TM_OK || err == TM_EDENIED);
    if (err == TM_OK) {
        check_taken(crypto, &expected, certificates, &got);
    } else {
        require(memchr(text, '\0', sizeof text) && text[0] != '\0');
        require(memcmp(&got, &before, sizeof got) == 0);
    }
    return 0;
}
