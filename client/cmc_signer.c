/* SPDX-License-Identifier: Apache-2.0 */
/* Who signed a Full PKI Response, and may they (RFC 5652, 5.3; RFC 6402, 2.10)? */
#include "client/cmc_internal.h"
#include "client/verify_path.h"
#include "pki/name.h"

struct judge {
    struct tm_search search; /* its budget is that of the whole message */
    const struct est_signed *message;
    struct bytes covered;
    const char *why; /* the last candidate was none; NULL: there was no candidate */
};

static bool is_named(const struct est_signer_id *id, const struct tm_facts *facts) {
    if (id->key_id.n > 0)
        return bytes_equal(id->key_id, facts->key_id);
    return bytes_equal(id->serial, facts->serial) && pki_name_equal(id->issuer, facts->issuer);
}

static bool has_cmc_purpose(struct bytes certificate) {
    struct pki_cert cert;
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count;
    if (pki_cert_parse(certificate, &cert) || pki_cert_eku(&cert, purposes, &count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (purposes[i] == PKI_OID_KP_CMC_RA || purposes[i] == PKI_OID_KP_CMC_CA)
            return true;
    return false;
}

/* A CA's key usage names certificates and CRLs; whose answer else would its messages be? */
static const char *not_allowed(const struct tm_facts *facts) {
    if (!tm_facts_not_ca(facts))
        return NULL;
    if (!has_cmc_purpose(facts->whole))
        return "neither a CA nor for id-kp-cmcRA or id-kp-cmcCA (RFC 6402, 2.10)";
    if (!(facts->usage & PKI_KU_DIGITAL_SIGNATURE))
        return "keyUsage lacks digitalSignature (RFC 5280, 4.2.1.3)";
    return NULL;
}

static enum tm_err verify_message(struct judge *judge, const struct tm_facts *facts) {
    const struct tm_crypto *crypto = judge->search.crypto;
    if (judge->search.signatures_left == 0)
        return TM_ELIMIT;
    judge->search.signatures_left--;
    return crypto->verify(crypto->self, facts->spki, judge->message->algorithm, judge->covered,
                          judge->message->signature);
}

/* TM_ENOTFOUND: it is not this one. */
static enum tm_err try_one(struct judge *judge, const struct tm_facts *facts) {
    if (!is_named(&judge->message->signer, facts))
        return TM_ENOTFOUND;
    judge->why = not_allowed(facts);
    if (judge->why)
        return TM_ENOTFOUND;
    enum tm_err err = verify_message(judge, facts);
    if (err == TM_ECRYPTO) {
        judge->why = "its signature does not verify (RFC 5652, 5.6)";
        return TM_ENOTFOUND;
    }
    if (!err)
        err = tm_search_path(&judge->search, facts);
    if (err == TM_ENOTFOUND)
        judge->why = judge->search.sentence;
    return err;
}

/* TM_ENOTFOUND: none of them. */
static enum tm_err try_all(struct judge *judge, struct bytes certificates) {
    struct tm_facts facts;
    enum tm_err err;
    while ((err = tm_facts_next(&certificates, &facts)) != TM_ENOTFOUND) {
        if (!err)
            err = try_one(judge, &facts);
        if (err != TM_ENOTFOUND && err != TM_EPARSE)
            return err;
    }
    return TM_ENOTFOUND;
}

static enum tm_err deny(const char *sentence, char ret_text[TM_TEXT_MAX]) {
    static const char PREFIX[] = "signer of the response: ";
    text_copy(ret_text, TM_TEXT_MAX, PREFIX);
    text_copy(ret_text + sizeof PREFIX - 1, TM_TEXT_MAX - (sizeof PREFIX - 1), sentence);
    return TM_EDENIED;
}

enum tm_err tm_cmc_signer(const struct tm_crypto *crypto, int64_t wall_ms,
                          const struct est_signed *message, struct bytes covered,
                          struct bytes anchors, char ret_text[TM_TEXT_MAX]) {
    struct judge judge = {.search = {.crypto = crypto,
                                     .wall_ms = wall_ms,
                                     .anchors = anchors,
                                     .others = message->certificates,
                                     .signatures_left = TM_PATH_SIGNATURES},
                          .message = message,
                          .covered = covered};
    enum tm_err err = try_all(&judge, anchors);
    if (err == TM_ENOTFOUND)
        err = try_all(&judge, message->certificates);
    if (err == TM_ENOTFOUND)
        return deny(judge.why ? judge.why : "its certificate is not there (RFC 5652, 5.3)",
                    ret_text);
    if (err == TM_ELIMIT)
        return deny("too many signatures were checked on the way to a trust anchor", ret_text);
    return err;
}
