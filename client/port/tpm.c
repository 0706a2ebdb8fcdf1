/* SPDX-License-Identifier: Apache-2.0 */
/* A key store in a TPM: the connection, the files of the wrapped keys, the table of functions. */
#include "client/port/tpm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/port/folder.h"
#include "client/port/p256.h"
#include "client/port/tpm_commands.h"
#include "client/port/tpm_key.h"
#include "client/request.h"

struct tm_tpm {
    char *name; /* of the TCTI; NULL: the system's default */
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys; /* NULL: the connection was lost */
    int folder;
    struct tm_keys keys;
};

typedef struct tm_tpm tm_tpm;
AUTO_DEFINE(tm_tpm, tm_tpm_close)

struct key_name {
    char text[16];
};

static struct key_name name_of(unsigned bank) {
    struct key_name name;
    (void)snprintf(name.text, sizeof name.text, "tpm-key-%u", bank % TM_BANKS);
    return name;
}

/* ---- the connection ---- */

static void hang_up(struct tm_tpm *tpm) {
    Esys_Finalize(&tpm->esys);
    Tss2_TctiLdr_Finalize(&tpm->tcti);
}

static enum tm_err ready(struct tm_tpm *tpm) {
    if (tpm->esys)
        return TM_OK;
    TSS2_RC rc = Tss2_TctiLdr_Initialize(tpm->name, &tpm->tcti);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Initialize(&tpm->esys, tpm->tcti, NULL);
    if (rc == TSS2_RC_SUCCESS)
        return tm_tpm_startup(tpm->esys);
    log_error("TPM %s: %s (0x%x)", tpm->name ? tpm->name : "(default)", Tss2_RC_Decode(rc), rc);
    return TM_ETOKEN;
}

/* After a failure the TSS may answer nothing but "wrong order", and the TPM may want to be started:
 * the next operation connects anew. */
static enum tm_err done(struct tm_tpm *tpm, enum tm_err err) {
    if (err == TM_ETOKEN)
        hang_up(tpm);
    return err;
}

/* ---- the table ---- */

static enum tm_err load(const struct tm_tpm *tpm, unsigned bank, struct tm_tpm_key *ret) {
    if (bank >= TM_BANKS)
        return TM_EINVAL;
    uint8_t file[TM_TPM_KEY_MAX];
    struct buf der = BUF_ON(file);
    struct key_name name = name_of(bank);
    enum tm_err err = tm_folder_read(tpm->folder, name.text, &der);
    if (err == TM_OK)
        err = tm_tpm_key_decode(buf_bytes(&der), ret);
    if (err == TM_EPARSE || err == TM_ELIMIT) {
        log_error("%s: not a wrapped TPM key on P-256 without password", name.text);
        err = TM_ECORRUPT;
    }
    return err;
}

static enum tm_err tpm_generate(void *self, unsigned bank) {
    struct tm_tpm *tpm = self;
    if (bank >= TM_BANKS)
        return TM_EINVAL;
    struct tm_tpm_key key;
    uint8_t file[TM_TPM_KEY_MAX];
    struct buf der = BUF_ON(file);
    enum tm_err err = ready(tpm);
    if (!err)
        err = tm_tpm_create(tpm->esys, &key);
    err = done(tpm, err);
    if (!err)
        err = tm_tpm_key_encode(&key, &der);
    return err ? err : tm_folder_write(tpm->folder, name_of(bank).text, buf_bytes(&der));
}

static struct bytes integer(const TPM2B_ECC_PARAMETER *value) {
    return (struct bytes){value->buffer, value->size};
}

static enum tm_err tpm_public_key(void *self, unsigned bank, struct buf *out) {
    struct tm_tpm_key key;
    enum tm_err err = load(self, bank, &key);
    if (err)
        return err;
    const TPMS_ECC_POINT *point = &key.public.publicArea.unique.ecc;
    err = tm_p256_spki(integer(&point->x), integer(&point->y), out);
    return err == TM_EPARSE ? TM_ECORRUPT : err;
}

static enum tm_err tpm_sign(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                            struct buf *out) {
    struct tm_tpm *tpm = self;
    struct tm_tpm_key key;
    TPMS_SIGNATURE_ECDSA signature;
    enum tm_err err = load(tpm, bank, &key);
    if (!err)
        err = ready(tpm);
    if (!err)
        err = tm_tpm_sign(tpm->esys, &key, digest, &signature);
    err = done(tpm, err);
    if (err)
        return err;
    return tm_ecdsa_signature(integer(&signature.signatureR), integer(&signature.signatureS), out);
}

static enum tm_err tpm_destroy(void *self, unsigned bank) {
    const struct tm_tpm *tpm = self;
    return bank < TM_BANKS ? tm_folder_erase(tpm->folder, name_of(bank).text) : TM_EINVAL;
}

/* ---- open and close ---- */

static enum tm_err open_folder(struct tm_tpm *tpm, const char *folder) {
    enum tm_err err = tm_folder_open(folder, &tpm->folder);
    for (unsigned bank = 0; bank < TM_BANKS && !err; bank++)
        err = tm_folder_tidy(tpm->folder, name_of(bank).text);
    return err;
}

enum tm_err tm_tpm_open(const struct tm_tpm_config *config, struct tm_tpm **ret) {
    AUTO(tm_tpm) tpm = calloc(1, sizeof *tpm);
    if (!tpm)
        return TM_ENOMEM;
    tpm->folder = -1;
    tpm->keys = (struct tm_keys){
        .version = TM_TABLE_VERSION,
        .self = tpm,
        .generate = tpm_generate,
        .public_key = tpm_public_key,
        .sign = tpm_sign,
        .destroy = tpm_destroy,
    };
    if (config->tcti && !(tpm->name = strdup(config->tcti)))
        return TM_ENOMEM;
    if (setenv("TSS2_LOG", "all+NONE", 0))
        return TM_ENOMEM;
    enum tm_err err = open_folder(tpm, config->folder);
    if (!err)
        err = ready(tpm);
    if (!err)
        *ret = TAKE(tpm);
    return err;
}

void tm_tpm_close(struct tm_tpm *tpm) {
    if (!tpm)
        return;
    hang_up(tpm);
    if (tpm->folder >= 0)
        (void)close(tpm->folder);
    free(tpm->name);
    free(tpm);
}

const struct tm_keys *tm_tpm_keys(struct tm_tpm *tpm) {
    return &tpm->keys;
}
