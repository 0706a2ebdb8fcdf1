/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles from YAML, and the hash over their canonical form: see ca/profile.h. */
#include "ca/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ca/conf_file.h"
#include "ca/lifecycle.h"

#define MINUTE_MS UINT64_C(60000)
#define DAY_MS (1440 * MINUTE_MS)

static const char *const kind_words[] = {"idevid", "ldevid", "tls-server", "ocsp", "proof", NULL};
static const char *const key_words[] = {"p256",    "p384",    "ed25519", "rsa2048",
                                        "mldsa44", "mldsa65", "mldsa87", NULL};
/* In the order of KeyUsage's bits (RFC 5280, 4.2.1.3); signing certificates or CRLs is not there,
 * because no profile makes a CA. */
static const char *const key_usage_words[] = {"digitalSignature", "nonRepudiation",
                                              "keyEncipherment",  "dataEncipherment",
                                              "keyAgreement",     NULL};
static const char *const purpose_words[] = {"clientAuth", "serverAuth",  "codeSigning",
                                            "cmcRA",      "OCSPSigning", NULL};
static const enum pki_oid purposes[] = {PKI_OID_KP_CLIENT_AUTH, PKI_OID_KP_SERVER_AUTH,
                                        PKI_OID_KP_CODE_SIGNING, PKI_OID_KP_CMC_RA,
                                        PKI_OID_KP_OCSP_SIGNING};
static const char *const credential_words[] = {"secret", "idevid", "ldevid", "foreign", "ra", NULL};
static const char *const link_words[] = {"off", "optional", "required", NULL};
static const char *const keygen_words[] = {"off", "tls", "encrypted", NULL};
static const char *const existing_words[] = {"refuse", "supersede", NULL};

#define AT(member) offsetof(struct ca_profile, member)

/* profile_check.c knows the types. */
static const struct conf_row attribute_rows[] = {
    {.key = "type",
     .type = CONF_NAME,
     .offset = offsetof(struct ca_profile_attribute, type),
     .example = "CN",
     .help = "Attribute type: CN, serialNumber, O, OU, C, L, ST or UID."},
    {.key = "value",
     .type = CONF_STRING,
     .offset = offsetof(struct ca_profile_attribute, value),
     .min = 1,
     .max = 256,
     .example = "'{id}'",
     .help = "Its value; {id} {sku} {hardware_revision} {batch} {site} stand for the device's."},
    {0},
};

const struct conf_row ca_profile_rows[] = {
    {.key = "kind",
     .type = CONF_ENUM,
     .offset = AT(kind),
     .words = kind_words,
     .example = "ldevid",
     .help =
         "What the certificate is: an IEEE 802.1AR IDevID or LDevID, a TLS server's, that of OCSP "
         "answers, or proof to a cloud that the CA's key is yours."},
    {.key = "keys",
     .type = CONF_FLAGS,
     .offset = AT(keys),
     .words = key_words,
     .example = "[p256, p384]",
     .help = "Public keys that are certified; rsa2048 means RSA of 2048 to 4096 bits. ML-DSA "
             "(mldsa44, mldsa65, mldsa87) needs OpenSSL 3.5."},
    {.key = "subject",
     .type = CONF_LIST,
     .offset = AT(subject),
     .min = 1,
     .max = CA_SUBJECT_MAX,
     .rows = attribute_rows,
     .elem_size = sizeof(struct ca_profile_attribute),
     .help = "The subject's attributes in order."},
    {.key = "hw_type",
     .type = CONF_STRING,
     .offset = AT(hw_type),
     .preset = "",
     .max = 64,
     .help = "Your OID for this hardware: adds a hardwareModuleName with the device ID as serial "
             "number to subjectAltName (IEEE 802.1AR, 8.10.4)."},
    {.key = "san_uri",
     .type = CONF_STRINGS,
     .offset = AT(san_uri),
     .preset = "",
     .max = CA_SAN_URI_MAX,
     .help = "URIs in subjectAltName, with the same placeholders as the subject."},
    {.key = "san_from_request",
     .type = CONF_BOOL,
     .offset = AT(san_from_request),
     .preset = "false",
     .help = "Take every dNSName, iPAddress and URI that the request asks for."},
    {.key = "key_usage",
     .type = CONF_FLAGS,
     .offset = AT(key_usage),
     .words = key_usage_words,
     .help = "Bits of keyUsage."},
    {.key = "ext_key_usage",
     .type = CONF_FLAGS,
     .offset = AT(ext_key_usage),
     .words = purpose_words,
     .preset = "",
     .example = "[clientAuth]",
     .help = "Purposes in extKeyUsage; without any the extension is left out."},
    {.key = "validity",
     .type = CONF_DURATION,
     .offset = AT(validity),
     .preset = "",
     .min = MINUTE_MS,
     .example = "365d",
     .help = "Lifetime from now; the issuer's end cuts it. Either this or not_after."},
    {.key = "not_after",
     .type = CONF_TIME,
     .offset = AT(not_after),
     .preset = "",
     .help = "Fixed end; 99991231235959Z for an IDevID. Either this or validity."},
    {.key = "backdate",
     .type = CONF_DURATION,
     .offset = AT(backdate),
     .preset = "5m",
     .max = 7 * DAY_MS,
     .help = "How far notBefore lies in the past, for devices whose clock is slow."},
    {.key = "crl_url",
     .type = CONF_STRING,
     .offset = AT(crl_url),
     .preset = "",
     .max = 255,
     .help = "Address of the CRL (cRLDistributionPoints). {issuer} is the issuer's name in the "
             "configuration, {shard} the part of its CRL that the certificate stands in, if it has "
             "crl_shards: http://status.example.com/{issuer}-{shard}.crl. The whole CRL is "
             "published beside the parts, for whoever checks certificates of all kinds."},
    {.key = "ocsp_url",
     .type = CONF_STRING,
     .offset = AT(ocsp_url),
     .preset = "",
     .max = 255,
     .help = "Address of the OCSP responder (authorityInfoAccess), with {issuer} if wanted."},
    {.key = "issuers_url",
     .type = CONF_STRING,
     .offset = AT(issuers_url),
     .preset = "",
     .max = 255,
     .help = "Address of the issuer's certificate (authorityInfoAccess), with {issuer} if wanted."},
    {.key = "credentials",
     .type = CONF_FLAGS,
     .offset = AT(credentials),
     .words = credential_words,
     .preset = "",
     .example = "[secret, idevid, ldevid]",
     .help = "Who may ask: the holder of a device's one-time secret, of a certificate that was "
             "issued here under an idevid or ldevid profile, or of one under the tenant's "
             "client_anchors; or a registration authority for them (ra: "
             "tenants.registration_authorities). Without any, only touchmarkd itself."},
    {.key = "both",
     .type = CONF_BOOL,
     .offset = AT(both),
     .preset = "false",
     .help = "Demand a certificate and the secret together."},
    {.key = "link",
     .type = CONF_ENUM,
     .offset = AT(link),
     .words = link_words,
     .preset = "optional",
     .help = "Linking of the request to its TLS session (RFC 7030, 3.5). What a request carries is "
             "verified in any case."},
    {.key = "states",
     .type = CONF_FLAGS,
     .offset = AT(states),
     .words = ca_state_words + 1,
     .example = "[manufactured, activated]",
     .help = "Lifecycle states of a device in which it may be issued."},
    {.key = "next_state",
     .type = CONF_ENUM,
     .offset = AT(next_state),
     .words = ca_state_words,
     .preset = "stay",
     .help = "State of the device afterwards."},
    {.key = "existing",
     .type = CONF_ENUM,
     .offset = AT(existing),
     .words = existing_words,
     .preset = "refuse",
     .help = "When the device has a live certificate of this profile: refuse another one, or let "
             "the new one supersede it."},
    {.key = "reenroll",
     .type = CONF_BOOL,
     .offset = AT(reenroll),
     .preset = "false",
     .help = "Renewal by simplereenroll."},
    {.key = "renew_by_enroll",
     .type = CONF_BOOL,
     .offset = AT(renew_by_enroll),
     .preset = "false",
     .help = "simpleenroll with a certificate of this profile renews it, as some clients do."},
    {.key = "change_subject",
     .type = CONF_BOOL,
     .offset = AT(change_subject),
     .preset = "false",
     .help = "Renewal with changeSubjectName gets the names that this profile gives now."},
    {.key = "grace",
     .type = CONF_DURATION,
     .offset = AT(grace),
     .preset = "",
     .help = "How long after its end a certificate still renews itself."},
    {.key = "retry_window",
     .type = CONF_DURATION,
     .offset = AT(retry_window),
     .preset = "24h",
     .help = "How long the same request gets the same certificate again."},
    {.key = "approval",
     .type = CONF_BOOL,
     .offset = AT(approval),
     .preset = "false",
     .help = "An officer has to approve each request."},
    {.key = "server_keygen",
     .type = CONF_ENUM,
     .offset = AT(keygen),
     .words = keygen_words,
     .preset = "off",
     .help =
         "Keys made by the server (serverkeygen): given under TLS alone unless the request wants "
         "more, or only encrypted to the client's certificate. Needs core.wrap_key."},
    {0},
};

uint16_t ca_profile_key_usage(const struct ca_profile *profile) {
    unsigned bits = 0;
    for (unsigned i = 0; key_usage_words[i]; i++)
        if (profile->key_usage & 1u << i)
            bits |= (unsigned)PKI_KU_DIGITAL_SIGNATURE >> i;
    return (uint16_t)bits;
}

size_t ca_profile_purposes(const struct ca_profile *profile, enum pki_oid ret[PKI_EKU_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < sizeof purposes / sizeof purposes[0]; i++)
        if (profile->ext_key_usage & 1u << i)
            ret[count++] = purposes[i];
    return count;
}

const char *ca_profile_key_word(unsigned key) {
    for (unsigned i = 0; key_words[i]; i++)
        if (key == 1u << i)
            return key_words[i];
    return "unknown";
}

/* ---- loading ---- */

/* What the rows could not say: name, check, hash. */
static enum tm_err finish(const char *text, size_t n, const char *path, struct ca_profile *profile,
                          char error[CONF_ERROR_MAX]) {
    char fault[CONF_ERROR_MAX];
    profile->states <<= CA_REGISTERED; /* from word index to state */
    profile->name = ca_conf_name(path, "profile", error);
    if (!profile->name)
        return TM_EPARSE;
    if (!ca_profile_check(profile, fault))
        return ca_conf_refuse(text, n, path, fault, error);
    if (ca_conf_hash("touchmark profile 1", profile->name, ca_profile_rows, profile,
                     profile->hash)) {
        (void)snprintf(error, CONF_ERROR_MAX, "%.200s: SHA-256 failed", path);
        return TM_ECRYPTO;
    }
    return TM_OK;
}

enum tm_err ca_profile_load(const char *path, struct ca_profile *ret_profile,
                            char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    size_t n = 0;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    return err ? err : ca_profile_load_text(text, n, path, ret_profile, error);
}

enum tm_err ca_profile_load_text(const char *text, size_t n, const char *path,
                                 struct ca_profile *ret_profile, char error[CONF_ERROR_MAX]) {
    struct ca_profile profile = {0};
    enum tm_err err =
        conf_load_text(text, n, path, ca_profile_rows, &profile, sizeof profile, error);
    if (!err)
        err = finish(text, n, path, &profile, error);
    if (err)
        ca_profile_free(&profile);
    else
        *ret_profile = profile;
    return err;
}

void ca_profile_free(struct ca_profile *profile) {
    if (!profile)
        return;
    free(profile->name);
    conf_free(ca_profile_rows, profile, sizeof *profile);
}
