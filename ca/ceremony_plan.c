/* SPDX-License-Identifier: Apache-2.0 */
/* The ceremony's YAML file: its keys, and loading it. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/auto.h"
#include "ca/ceremony.h"
#include "ca/ceremony_plan.h"
#include "ca/environment.h"

#define TOKEN_LABEL_MAX 32 /* CK_TOKEN_INFO.label */
#define SUBJECT_MAX 8
#define TOKENS_MAX 16
#define INTERMEDIATES_MAX 32

static const char *const key_words[] = {"p256", "p384", "rsa3072", "ed25519", NULL};
static const char *const pin_words[] = {"credential:", "fd:", "prompt", NULL};

static const struct conf_row token_rows[] = {
    {.key = "name",
     .type = CONF_NAME,
     .offset = offsetof(struct ca_ceremony_token, name),
     .help = "What this file calls the token."},
    {.key = "module",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony_token, module),
     .help = "PKCS#11 module.",
     .example = "/usr/lib/softhsm/libsofthsm2.so"},
    {.key = "softhsm_conf",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony_token, softhsm_conf),
     .preset = "",
     .help = "SOFTHSM2_CONF for a SoftHSM module; absent: as in the environment."},
    {.key = "label",
     .type = CONF_STRING,
     .offset = offsetof(struct ca_ceremony_token, label),
     .min = 1,
     .max = TOKEN_LABEL_MAX,
     .help = "The token's label."},
    {.key = "init",
     .type = CONF_BOOL,
     .offset = offsetof(struct ca_ceremony_token, init),
     .preset = "false",
     .help = "Make the token from an uninitialised slot; it must not exist."},
    {.key = "pin",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony_token, pin),
     .words = pin_words,
     .help = "User PIN: a file that only its owner reads, credential:NAME, fd:N or prompt.",
     .example = "prompt"},
    {.key = "so_pin",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony_token, so_pin),
     .preset = "",
     .words = pin_words,
     .help = "Security officer's PIN, with init; likewise."},
    {.key = NULL},
};

static const struct conf_row attribute_rows[] = {
    {.key = "type",
     .type = CONF_NAME,
     .offset = offsetof(struct ca_ceremony_attribute, type),
     .help = "Attribute type: CN, O, OU, C, L, ST, serialNumber or UID.",
     .example = "CN"},
    {.key = "value",
     .type = CONF_STRING,
     .offset = offsetof(struct ca_ceremony_attribute, value),
     .min = 1,
     .max = 256,
     .help = "Its value."},
    {.key = NULL},
};

#define AT(member) offsetof(struct ca_ceremony_ca, member)
#define CA_ROWS_COMMON                                                                             \
    {.key = "name",                                                                                \
     .type = CONF_NAME,                                                                            \
     .offset = AT(name),                                                                           \
     .help = "Name of the CA's files: NAME.pem."},                                                 \
        {.key = "token",                                                                           \
         .type = CONF_NAME,                                                                        \
         .offset = AT(token),                                                                      \
         .help = "Name of the token that holds its key."},                                         \
        {.key = "key_label",                                                                       \
         .type = CONF_STRING,                                                                      \
         .offset = AT(key_label),                                                                  \
         .min = 1,                                                                                 \
         .max = 64,                                                                                \
         .help = "Label of its key on the token; must be free there."},                            \
        {.key = "years",                                                                           \
         .type = CONF_UINT,                                                                        \
         .offset = AT(years),                                                                      \
         .preset = "0",                                                                            \
         .max = 100,                                                                               \
         .help = "Validity in calendar years from now; or not_after."},                            \
    {                                                                                              \
        .key = "not_after", .type = CONF_TIME, .offset = AT(not_after), .preset = "",              \
        .help = "End of validity; 99991231235959Z under CAs of IDevIDs that never expire."         \
    }

#define SCOPE(member) offsetof(struct ca_ceremony_scope, member)
static const struct conf_row scope_rows[] = {
    {.key = "product",
     .type = CONF_STRING,
     .offset = SCOPE(product),
     .preset = "",
     .max = 48,
     .help = "Product; organizational unit \"Product ...\"."},
    {.key = "factory",
     .type = CONF_STRING,
     .offset = SCOPE(factory),
     .preset = "",
     .max = 48,
     .help = "Factory; organizational unit \"Factory ...\"."},
    {.key = "year",
     .type = CONF_UINT,
     .offset = SCOPE(year),
     .preset = "0",
     .max = 9999,
     .help = "Year; organizational unit \"Year ...\"; 0: none."},
    {.key = NULL},
};

#define PREVIOUS(member) offsetof(struct ca_ceremony_previous, member)
static const struct conf_row previous_rows[] = {
    {.key = "token",
     .type = CONF_NAME,
     .offset = PREVIOUS(token),
     .preset = "",
     .help = "Name of the token that holds its key."},
    {.key = "key_label",
     .type = CONF_STRING,
     .offset = PREVIOUS(key_label),
     .preset = "",
     .max = 64,
     .help = "Label of its key on the token."},
    {.key = "certificate",
     .type = CONF_PATH,
     .offset = PREVIOUS(certificate),
     .preset = "",
     .help = "PEM of its certificate."},
    {.key = NULL},
};

static const struct conf_row root_rows[] = {
    CA_ROWS_COMMON,
    {.key = "certificate",
     .type = CONF_PATH,
     .offset = AT(certificate),
     .preset = "",
     .help = "PEM of a root that exists: it only signs new intermediates, and its subject, "
             "validity and key type are not given here."},
    {.key = "key_type",
     .type = CONF_ENUM,
     .offset = AT(key_type),
     .preset = "p384",
     .words = key_words,
     .help = "Its key."},
    {.key = "subject",
     .type = CONF_LIST,
     .offset = AT(subject),
     .preset = "",
     .min = 1,
     .max = SUBJECT_MAX,
     .rows = attribute_rows,
     .elem_size = sizeof(struct ca_ceremony_attribute),
     .help = "Its name; the environment is added as an organizational unit. Left out beside "
             "previous_root: that one's, as RFC 4210, 4.4 has it."},
    {.key = "path_len",
     .type = CONF_UINT,
     .offset = AT(path_len),
     .preset = "1",
     .min = 1,
     .max = 8,
     .help = "CAs that may follow below it (pathLenConstraint)."},
    {.key = NULL},
};

static const struct conf_row intermediate_rows[] = {
    CA_ROWS_COMMON,
    {.key = "key_type",
     .type = CONF_ENUM,
     .offset = AT(key_type),
     .preset = "p256",
     .words = key_words,
     .help = "Its key."},
    {.key = "subject",
     .type = CONF_LIST,
     .offset = AT(subject),
     .min = 1,
     .max = SUBJECT_MAX,
     .rows = attribute_rows,
     .elem_size = sizeof(struct ca_ceremony_attribute),
     .help = "Its name; environment and scope are added as organizational units."},
    {.key = "ocsp_key_label",
     .type = CONF_STRING,
     .offset = AT(ocsp_key_label),
     .preset = "",
     .max = 64,
     .help = "Label of a second key, of the same type and on the same token, that signs its OCSP "
             "answers (RFC 6960, 4.2.2.2); the server issues its certificate."},
    {.key = "tls_key_label",
     .type = CONF_STRING,
     .offset = AT(tls_key_label),
     .preset = "",
     .max = 64,
     .help = "Label of a further key, of the same type (P-256 or P-384) and on the same token, for "
             "the TLS server (tls.key_label of touchmark.yaml)."},
    {.key = "scope",
     .type = CONF_GROUP,
     .offset = AT(scope),
     .rows = scope_rows,
     .help = "What the CA is for; stands in its subject and in the transcript."},
    {.key = "path_len",
     .type = CONF_UINT,
     .offset = AT(path_len),
     .preset = "0",
     .max = 7,
     .help = "CAs that may follow below it (pathLenConstraint)."},
    {.key = NULL},
};

const struct conf_row ca_ceremony_rows[] = {
    {.key = "environment",
     .type = CONF_ENUM,
     .offset = offsetof(struct ca_ceremony, environment),
     .words = ca_environment_words,
     .help = "Stands in every CA certificate, so that none passes for another's."},
    {.key = "softhsm_in_prod",
     .type = CONF_BOOL,
     .offset = offsetof(struct ca_ceremony, softhsm_in_prod),
     .preset = "false",
     .help = "Consent to production keys in SoftHSM, that is in files."},
    {.key = "transcript",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony, transcript),
     .help = "File that records the ceremony; must not exist, or be of this ceremony, unfinished."},
    {.key = "out",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony, out),
     .help = "Folder of the certificates; made if it is missing."},
    {.key = "tokens",
     .type = CONF_LIST,
     .offset = offsetof(struct ca_ceremony, tokens),
     .min = 1,
     .max = TOKENS_MAX,
     .rows = token_rows,
     .elem_size = sizeof(struct ca_ceremony_token),
     .help = "The tokens; one at a time is open."},
    {.key = "root",
     .type = CONF_GROUP,
     .offset = offsetof(struct ca_ceremony, root),
     .rows = root_rows,
     .help = "The root CA. After the ceremony its token goes into the safe."},
    {.key = "previous_root",
     .type = CONF_GROUP,
     .offset = offsetof(struct ca_ceremony, previous_root),
     .rows = previous_rows,
     .help = "The root that the new one follows (RFC 4210, 4.4): OldWithNew and NewWithOld lead "
             "devices that know only one of them to certificates under the other."},
    {.key = "intermediates",
     .type = CONF_LIST,
     .offset = offsetof(struct ca_ceremony, intermediates),
     .preset = "",
     .max = INTERMEDIATES_MAX,
     .rows = intermediate_rows,
     .elem_size = sizeof(struct ca_ceremony_ca),
     .help = "The CAs that the root signs."},
    {.key = NULL},
};

enum tm_err ca_ceremony_load(const char *path, struct ca_ceremony *ret_plan,
                             char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    size_t n;
    struct ca_ceremony plan;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    if (!err)
        err = conf_load_text(text, n, path, ca_ceremony_rows, &plan, sizeof plan, error);
    if (err)
        return err;
    err = ca_ceremony_check(&plan, text, n, path, error);
    uint8_t hash[32];
    if (!err && EVP_Digest(text, n, hash, NULL, EVP_sha256(), NULL) != 1)
        err = TM_ECRYPTO;
    if (!err)
        err = hex_encode(BYTES_OF(hash), plan.input_sha256, sizeof plan.input_sha256);
    if (err)
        ca_ceremony_free(&plan);
    else
        *ret_plan = plan;
    return err;
}

void ca_ceremony_free(struct ca_ceremony *plan) {
    conf_free(ca_ceremony_rows, plan, sizeof *plan);
}
