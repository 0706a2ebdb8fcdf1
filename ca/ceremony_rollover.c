/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a root and the one that follows it (RFC 4210, 4.4): OldWithNew leads who trusts the new
 * one to certificates under the old, NewWithOld who trusts the old one to those under the new.
 *
 * Both roots have the same name there, which makes both certificates self-issued: they take
 * nothing of a pathLenConstraint (RFC 5280, 6.1.4). Under another name they do, and the
 * constraints have to leave room for them.
 */
#include "ca/ceremony_cert.h"
#include "ca/ceremony_run.h"
#include "pki/name.h"

enum tm_err ca_rollover_root_name(const struct ca_run *run, struct buf *out) {
    const struct ca_ceremony_ca *root = &run->plan->root;
    if (root->subject.count > 0)
        return ca_ceremony_name(root, run->plan->environment, out);
    buf_put(out, run->previous->view.subject);
    return out->full ? TM_ELIMIT : TM_OK;
}

static bool same_name(const struct ca_run *run) {
    uint8_t memory[CA_NAME_DER_MAX];
    struct buf name = BUF_ON(memory);
    return !ca_rollover_root_name(run, &name) &&
           pki_name_equal(buf_bytes(&name), run->previous->view.subject);
}

/* How deep CAs may be below a certificate between the roots, which itself stands under a root
 * of this pathLenConstraint (negative: none) and certifies one of that. */
static int64_t depth(bool self_issued, int64_t signers, int64_t subjects) {
    int64_t room = signers < 0 ? INT32_MAX : self_issued ? signers : signers - 1;
    return subjects < 0 || room < subjects ? room : subjects;
}

static int64_t previous_path_len(const struct ca_run *run) {
    bool ca;
    int path_len = -1;
    return pki_cert_basic_constraints(&run->previous->view, &ca, &path_len) ? 0 : path_len;
}

static int64_t new_path_len(const struct ca_run *run) {
    return (int64_t)run->plan->root.path_len;
}

enum tm_err ca_rollover_check(const struct ca_run *run) {
    bool same = same_name(run);
    if (run->previous->view.not_after_ms <= run->now_ms)
        return ca_run_fail(run, TM_EDENIED, "root certificate %s has expired: nobody trusts it",
                           run->plan->previous_root.certificate);
    int64_t deepest = 0;
    for (size_t i = 1; i < run->count; i++)
        if ((int64_t)run->held[i].ca->path_len > deepest)
            deepest = (int64_t)run->held[i].ca->path_len;
    if (depth(same, previous_path_len(run), new_path_len(run)) <= deepest)
        return ca_run_fail(run, TM_EDENIED,
                           "the previous root's pathLenConstraint leaves no room for NewWithOld "
                           "under another name; leave out root.subject, so that the new root has "
                           "the same (RFC 4210, 4.4)");
    if (depth(same, new_path_len(run), previous_path_len(run)) < 1)
        return ca_run_fail(run, TM_EDENIED,
                           "root.path_len must be at least 2 for OldWithNew to have room under "
                           "another name; or leave out root.subject (RFC 4210, 4.4)");
    return TM_OK;
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

struct ca_order ca_rollover_old_with_new(const struct ca_run *run) {
    const struct pki_cert *old = &run->previous->view;
    struct ca_order order = {
        .subject = old->subject,
        .spki = &run->previous->spki,
        .signer = &run->held[0],
        .not_before_ms = old->not_before_ms,
        .not_after_ms = earlier(old->not_after_ms, run->held[0].view.not_after_ms),
        .key_usage = PKI_KU_KEY_CERT_SIGN | PKI_KU_CRL_SIGN,
        .path_len = (uint64_t)depth(same_name(run), new_path_len(run), previous_path_len(run))};
    /* Certificates under the old root name its key as it does itself. */
    if (pki_cert_ski(old, &order.key_id))
        order.key_id = (struct bytes){0};
    return order;
}

struct ca_order ca_rollover_new_with_old(const struct ca_run *run) {
    const struct pki_cert *root = &run->held[0].view;
    return (struct ca_order){
        .subject = root->subject,
        .spki = &run->held[0].view.spki,
        .signer = run->previous,
        .not_before_ms = root->not_before_ms,
        .not_after_ms = earlier(root->not_after_ms, run->previous->view.not_after_ms),
        .key_usage = PKI_KU_KEY_CERT_SIGN | PKI_KU_CRL_SIGN,
        .path_len = (uint64_t)depth(same_name(run), previous_path_len(run), new_path_len(run))};
}

enum tm_err ca_rollover_verify(const struct ca_run *run) {
    for (size_t i = 1; i < run->count; i++) {
        char text[CA_KEYSTORE_TEXT_MAX];
        enum tm_err err =
            ca_ceremony_verify(run->held[i].der, run->new_with_old->der, run->previous->der, text);
        if (err)
            return ca_run_fail(run, err, "CA %s under the previous root: %s", run->held[i].name,
                               text);
    }
    return TM_OK;
}
