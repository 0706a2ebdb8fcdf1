/* SPDX-License-Identifier: Apache-2.0 */
/* Planning of intents, certificates and the index of the revoked: see store/planner.h. */
#include "store/planner.h"

enum tm_err store_plan_intent(const struct store_writing *w, const struct ca_intent *intent,
                              struct store_plan *plan) {
    if (!store_serial_is_key(&intent->serial))
        return TM_ELIMIT;
    struct bytes key = store_serial_key(&intent->serial);
    enum tm_err err = store_plan_absent(w, STORE_DB_INTENT, key);
    if (!err)
        err = store_plan_absent(w, STORE_DB_CERT, key);
    return err ? err
               : store_plan_put(w, plan, STORE_OP_APPEND, STORE_DB_INTENT, key,
                                &store_intent_schema, intent);
}

enum tm_err store_plan_end_intent(const struct store_writing *w, const struct ca_serial *serial,
                                  struct store_plan *plan) {
    if (!store_serial_is_key(serial))
        return TM_ELIMIT;
    struct bytes key = store_serial_key(serial), value;
    enum tm_err err = store_get(w->env, w->txn, STORE_DB_INTENT, key, &value);
    if (err)
        return err == TM_ENOTFOUND ? TM_ECONFLICT : err;
    store_plan_remove(plan, STORE_DB_INTENT, key);
    return TM_OK;
}

/* CA_CERT_SUPERSEDED and CA_CERT_UNCONFIRMED stand in device records alone (ca/types.h). */
static bool status_fits(uint8_t status) {
    return status != 0 && status != CA_CERT_SUPERSEDED && status != CA_CERT_UNCONFIRMED;
}

/* The number plus one of the batch's own leaf on this serial, as it will be once the batch is
 * applied; 0 when it has none. */
static uint64_t leaf_of(const struct store_writing *w, const struct ca_batch *batch,
                        const struct ca_certificate *certificate) {
    uint8_t event = certificate->status == CA_CERT_BURNED ? CA_EVENT_BURNED : CA_EVENT_ISSUED;
    uint64_t number = w->frontier.size;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->changes[i].kind != CA_ADD_LEAF)
            continue;
        number++;
        const struct ca_leaf *leaf = batch->changes[i].u.leaf;
        if (leaf->event == event && ca_serial_equal(&leaf->serial, &certificate->serial))
            return number;
    }
    return 0;
}

/* Keeps the index of the revoked as the certificate's record is about to be. */
static enum tm_err plan_revoked(const struct store_writing *w,
                                const struct ca_certificate *certificate, bool was_revoked,
                                struct store_plan *plan) {
    bool revoked = certificate->status == CA_CERT_REVOKED;
    if (!revoked && !was_revoked)
        return TM_OK;
    size_t at = plan->arena.n;
    store_put_revoked_key(&plan->arena, certificate->issuer, &certificate->serial);
    struct bytes key = store_plan_tail(plan, at), value;
    if (revoked) {
        const struct ca_revoked record = store_revoked_of(certificate);
        return store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_REVOKED, key, &store_revoked_schema,
                              &record);
    }
    enum tm_err err = store_get(w->env, w->txn, STORE_DB_REVOKED, key, &value);
    if (!err)
        store_plan_remove(plan, STORE_DB_REVOKED, key);
    return err == TM_ENOTFOUND ? TM_OK : err;
}

enum tm_err store_plan_certificate(const struct store_writing *w, const struct ca_batch *batch,
                                   const struct ca_certificate *certificate,
                                   struct store_plan *plan) {
    if (!store_serial_is_key(&certificate->serial) || !status_fits(certificate->status))
        return TM_ELIMIT;
    struct bytes key = store_serial_key(&certificate->serial);
    enum tm_err err = store_plan_absent(w, STORE_DB_CERT, key);
    if (err)
        return err;
    struct store_certificate record = {*certificate, leaf_of(w, batch, certificate)};
    err = store_plan_put(w, plan, STORE_OP_APPEND, STORE_DB_CERT, key, &store_certificate_schema,
                         &record);
    return err ? err : plan_revoked(w, certificate, false, plan);
}

enum tm_err store_plan_status(const struct store_writing *w,
                              const struct ca_certificate *certificate, struct store_plan *plan) {
    if (!store_serial_is_key(&certificate->serial) || !status_fits(certificate->status))
        return TM_ELIMIT;
    struct bytes key = store_serial_key(&certificate->serial);
    struct store_certificate record;
    enum tm_err err = store_plan_stored(w, STORE_DB_CERT, key, &store_certificate_schema, &record);
    if (err)
        return err == TM_ENOTFOUND ? TM_ECONFLICT : err;
    /* What was a certificate stays one, and a burned serial stays burned. */
    if (record.certificate.status == CA_CERT_BURNED || certificate->status == CA_CERT_BURNED)
        return TM_ECONFLICT;
    bool was_revoked = record.certificate.status == CA_CERT_REVOKED;
    record.certificate.status = certificate->status;
    record.certificate.revoked_ms = certificate->revoked_ms;
    record.certificate.revoked_reason = certificate->revoked_reason;
    err = store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_CERT, key, &store_certificate_schema,
                         &record);
    return err ? err : plan_revoked(w, &record.certificate, was_revoked, plan);
}
