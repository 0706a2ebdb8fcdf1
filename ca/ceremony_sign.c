/* SPDX-License-Identifier: Apache-2.0 */
/* The ceremony's certificates: built, signed by the root's key, judged, written, recorded. */
#include "base/clock.h"
#include "ca/build.h"
#include "ca/ceremony_cert.h"
#include "ca/ceremony_file.h"
#include "ca/ceremony_run.h"
#include "pki/name.h"

#include <stdio.h>
#include <string.h>

/* What transcript entries say of a certificate; `store` holds the texts. */
struct description {
    char subject[512], issuer[512], serial[2 * CA_SERIAL_MAX + 1];
    char not_before[CLOCK_TEXT_MAX], not_after[CLOCK_TEXT_MAX];
};

static enum tm_err describe(const struct pki_cert *cert, struct description *store,
                            struct ca_transcript_entry *entry) {
    pki_name_format(cert->subject, store->subject, sizeof store->subject);
    pki_name_format(cert->issuer, store->issuer, sizeof store->issuer);
    clock_format(cert->not_before_ms, store->not_before);
    clock_format(cert->not_after_ms, store->not_after);
    entry->subject = store->subject;
    entry->issuer = store->issuer;
    entry->serial_number = store->serial;
    entry->not_before = store->not_before;
    entry->not_after = store->not_after;
    return hex_encode(cert->serial, store->serial, sizeof store->serial);
}

/* Clocks of devices and stations are not exact, and a new CA is used at once. */
#define BACKDATE_MS INT64_C(3600000)

/* The root certifies no devices, so it signs nothing but certificates and CRLs. A CA that does also
 * signs CMC responses (RFC 5272, 4.2), which is digitalSignature (RFC 5280, 4.2.1.3). */
#define ROOT_USAGE (PKI_KU_KEY_CERT_SIGN | PKI_KU_CRL_SIGN)
#define ISSUING_USAGE (ROOT_USAGE | PKI_KU_DIGITAL_SIGNATURE)

/* What a CA's own certificate is to say; `name` holds its subject. */
static enum tm_err order_of(const struct ca_run *run, const struct ca_held *held, struct buf *name,
                            struct ca_order *ret) {
    const struct ca_held *root = &run->held[0];
    int64_t now_ms = clock_wall_ms() / 1000 * 1000;
    enum tm_err err = held == root ? ca_rollover_root_name(run, name)
                                   : ca_ceremony_name(held->ca, run->plan->environment, name);
    if (err)
        return err;
    *ret = (struct ca_order){.subject = buf_bytes(name),
                             .spki = &held->spki,
                             .signer = root,
                             .not_before_ms = now_ms - BACKDATE_MS,
                             .not_after_ms = ca_ceremony_not_after(held->ca, now_ms),
                             .key_usage = held == root ? ROOT_USAGE : ISSUING_USAGE,
                             .path_len = held->ca->path_len};
    if (held != root && ret->not_before_ms < root->view.not_before_ms)
        ret->not_before_ms = root->view.not_before_ms;
    if (held != root && ret->not_after_ms > root->view.not_after_ms)
        ret->not_after_ms = root->view.not_after_ms;
    return TM_OK;
}

static enum tm_err build_tbs(const struct ca_held *held, const struct ca_order *order,
                             struct buf *out) {
    const struct ca_held *signer = order->signer;
    struct ca_serial serial;
    enum tm_err err = ca_serial_make(clock_wall_ms(), &serial);
    if (err)
        return err;
    struct ca_ceremony_tbs tbs = {.subject = order->subject,
                                  .issuer = order->subject,
                                  .spki = *order->spki,
                                  .signer = signer->spki,
                                  .key_id = order->key_id,
                                  .serial = &serial,
                                  .not_before_ms = order->not_before_ms,
                                  .not_after_ms = order->not_after_ms,
                                  .key_usage = order->key_usage,
                                  .path_len = order->path_len};
    if (held != signer) {
        tbs.issuer = signer->view.subject;
        err = pki_cert_ski(&signer->view, &tbs.signer_key_id);
    }
    return err ? err : ca_ceremony_put_tbs(&tbs, out);
}

/* Signs with the signer's key, whose token is open. */
static enum tm_err sign_tbs(const struct ca_run *run, struct ca_held *held,
                            const struct ca_held *signer, struct bytes tbs) {
    char text[CA_KEYSTORE_TEXT_MAX];
    uint8_t signature_memory[IPC_SIGNATURE_MAX];
    struct buf signature = BUF_ON(signature_memory), out = BUF_ON(held->der_memory);
    enum tm_err err =
        run->keystore->ops->sign(run->keystore, signer->key_label, tbs, &signature, text);
    if (err)
        return ca_run_fault(run, held->name, err, text);
    err = ca_ceremony_put_certificate(&signer->spki, tbs, buf_bytes(&signature), &out);
    if (err)
        return ca_run_fault(run, held->name, err, "the certificate is too long");
    struct bytes der = buf_bytes(&out);
    err = ca_ceremony_verify(der, (struct bytes){0}, held == signer ? der : signer->der, text);
    if (err)
        return ca_run_fault(run, held->name, err, text);
    held->der = der;
    if (pki_cert_parse(der, &held->view))
        return ca_run_fault(run, held->name, TM_ECRYPTO, "the certificate made does not parse");
    return TM_OK;
}

static bool has_chain(const struct ca_run *run, const struct ca_held *held) {
    return held->ca && held != &run->held[0];
}

static enum tm_err write_files(const struct ca_run *run, const struct ca_held *held, bool overwrite,
                               const char *path) {
    char text[CA_KEYSTORE_TEXT_MAX], chain_path[CA_RUN_PATH_MAX];
    enum tm_err err = ca_file_write_pem(path, held->der, overwrite, text);
    if (err)
        return ca_run_fault(run, held->name, err, text);
    if (!has_chain(run, held))
        return TM_OK;
    err = ca_run_path(run, held->name, "-chain", chain_path);
    if (err)
        return err;
    err = ca_file_write_pem(chain_path, run->held[0].der, overwrite, text);
    return err ? ca_run_fault(run, held->name, err, text) : TM_OK;
}

/* "product Kettle, factory 2, year 2026"; "" when nothing is said. */
static void describe_scope(const struct ca_held *held, char *ret, size_t cap) {
    const struct ca_ceremony_scope none = {0}, *scope = held->ca ? &held->ca->scope : &none;
    size_t n = 0;
    ret[0] = '\0';
    if (scope->product)
        n += (size_t)snprintf(ret + n, cap - n, "product %s", scope->product);
    if (scope->factory)
        n += (size_t)snprintf(ret + n, cap - n, "%sfactory %s", n ? ", " : "", scope->factory);
    if (scope->year)
        (void)snprintf(ret + n, cap - n, "%syear %u", n ? ", " : "", (unsigned)scope->year);
}

static enum tm_err record_certificate(const struct ca_run *run, const struct ca_held *held,
                                      const char *path) {
    struct description store;
    char sha256[65], spki_sha256[65], scope[160];
    struct ca_transcript_entry entry = {.step = CA_STEP_CERTIFICATE,
                                        .ca = ca_said(held->name),
                                        .scope = scope,
                                        .key_label = ca_said(held->key_label),
                                        .spki_sha256 = spki_sha256,
                                        .file = ca_said(path),
                                        .sha256 = sha256};
    describe_scope(held, scope, sizeof scope);
    enum tm_err err = describe(&held->view, &store, &entry);
    if (!err)
        err = ca_run_sha256(held->der, sha256);
    if (!err)
        err = ca_run_sha256(held->view.spki.whole, spki_sha256);
    return err ? ca_run_fault(run, held->name, err, "cannot be described")
               : ca_run_record(run, &entry);
}

static enum tm_err make_certificate(const struct ca_run *run, struct ca_held *held,
                                    const struct ca_order *order, const char *path) {
    uint8_t tbs_memory[IPC_CERT_MAX];
    struct buf tbs = BUF_ON(tbs_memory);
    struct pki_cert view;
    struct description store;
    struct ca_transcript_entry entry = {.step = CA_STEP_SIGNING, .ca = ca_said(held->name)};
    enum tm_err err = build_tbs(held, order, &tbs);
    if (!err)
        err = pki_tbs_parse(buf_bytes(&tbs), &view);
    if (!err)
        err = describe(&view, &store, &entry);
    if (err)
        return ca_run_fault(run, held->name, err, "the certificate cannot be built");
    bool overwrite = ca_transcript_find(run->transcript, CA_STEP_SIGNING, NULL, held->name);
    err = ca_run_record(run, &entry);
    if (!err)
        err = sign_tbs(run, held, order->signer, buf_bytes(&tbs));
    if (!err)
        err = write_files(run, held, overwrite, path);
    return err ? err : record_certificate(run, held, path);
}

/* From a run that was interrupted later: the file must still be what was written. */
static enum tm_err reload_certificate(const struct ca_run *run, struct ca_held *held,
                                      const struct ca_transcript_entry *before, const char *path) {
    char sha256[65];
    enum tm_err err = ca_run_load(run, held, path);
    if (!err)
        err = ca_run_sha256(held->der, sha256);
    if (err)
        return err;
    if (!before->sha256 || strcmp(before->sha256, sha256) != 0)
        return ca_run_fail(run, TM_EDENIED, "%.300s is not the certificate that was written", path);
    return TM_OK;
}

/* order: NULL for a CA of the plan. */
static enum tm_err have_certificate(const struct ca_run *run, struct ca_held *held,
                                    const struct ca_order *order) {
    char path[CA_RUN_PATH_MAX];
    uint8_t name_memory[CA_NAME_DER_MAX];
    struct buf name = BUF_ON(name_memory);
    struct ca_order own;
    enum tm_err err = ca_run_path(run, held->name, "", path);
    const struct ca_transcript_entry *before =
        ca_transcript_find(run->transcript, CA_STEP_CERTIFICATE, NULL, held->name);
    if (err || before)
        return err ? err : reload_certificate(run, held, before, path);
    err = order ? TM_OK : order_of(run, held, &name, &own);
    if (err)
        return ca_run_fault(run, held->name, err, "the name is too long");
    return make_certificate(run, held, order ? order : &own, path);
}

enum tm_err ca_run_certificates(const struct ca_run *run) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->count && !err; i++)
        if (!run->held[i].ca->certificate)
            err = have_certificate(run, &run->held[i], NULL);
    if (err || !run->previous)
        return err;
    const struct ca_order order = ca_rollover_old_with_new(run);
    return have_certificate(run, run->old_with_new, &order);
}

enum tm_err ca_run_new_with_old(const struct ca_run *run) {
    const struct ca_order order = ca_rollover_new_with_old(run);
    return have_certificate(run, run->new_with_old, &order);
}
