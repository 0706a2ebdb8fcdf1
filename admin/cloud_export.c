/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark cloud export`: what registers an issuer with AWS IoT Core or Azure IoT DPS, made of
 * the configuration alone. Members are named as in RegisterCACertificate and its provisioning
 * templates (AWS IoT API), and in EnrollmentGroup (Azure IoT DPS service API, 2021-10-01). What
 * only the account's owner knows stands there in capitals.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/command.h"
#include "base/auto.h"
#include "base/file.h"
#include "ca/issuer.h"
#include "ca/key.h"
#include "ca/pem.h"
#include "ca/profile.h"
#include "conf/conf.h"

typedef struct conf conf_t;
typedef struct ca_issuer ca_issuer_t;
AUTO_DEFINE(conf_t, conf_close)
AUTO_DEFINE(ca_issuer_t, ca_issuer_free)
AUTO_DEFINE(json_t, json_decref)
AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(X509, X509_free)

#define JSON_FLAGS (JSON_INDENT(2) | JSON_ENSURE_ASCII)
#define PATH_SIZE 4096

/* Keys that both clouds take. */
#define CLOUD_KEYS (CA_KEY_P256 | CA_KEY_P384 | CA_KEY_RSA2048)

__attribute__((format(printf, 1, 2))) static int refused(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "touchmark: ");
    (void)vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return ADMIN_EXIT_REFUSED;
}

/* ---- certificates ---- */

/* DER certificates, one after the other, as PEM. NULL: no memory. */
static char *pem_of(struct bytes der) {
    AUTO(BIO) bio = BIO_new(BIO_s_mem());
    const unsigned char *at = der.p, *end = der.p + der.n;
    char *text;
    while (bio && at < end) {
        AUTO(X509) cert = d2i_X509(NULL, &at, end - at);
        if (!cert || PEM_write_bio_X509(bio, cert) != 1)
            return NULL;
    }
    long n = bio ? BIO_get_mem_data(bio, &text) : 0;
    return n > 0 ? strndup(text, (size_t)n) : NULL;
}

static int load_issuer(const struct admin_call *call, struct ca_issuer *ret_issuer) {
    struct conf conf = {0};
    AUTO(conf_t) owned = &conf;
    char error[CONF_ERROR_MAX], text[IPC_TEXT_MAX + 1];
    const char *name = call->request.issuer;
    if (conf_open_file(call->conf, owned, error)) {
        fprintf(stderr, "touchmark: %s\n", error);
        return EX_CONFIG;
    }
    const struct conf_issuer *items = conf.issuers.items;
    size_t i = 0;
    while (i < conf.issuers.count && strcmp(items[i].name, name) != 0)
        i++;
    if (i == conf.issuers.count)
        return refused("there is no issuer \"%s\" in %s", name, call->conf);
    if (ca_issuer_load(name, items[i].certificate, items[i].chain, ret_issuer, text))
        return refused("issuer %s: %s", name, text);
    return EX_OK;
}

/* A proof that is not this issuer's would be found out by the cloud only. */
static int load_proof(const char *path, const struct ca_issuer *issuer, char **ret_pem) {
    char text[IPC_TEXT_MAX + 1];
    struct bytes der;
    struct pki_cert cert;
    if (ca_pem_load(path, &der, text))
        return refused("%s", text);
    bool good = !pki_cert_parse(der, &cert) && !ca_issuer_verify(issuer, cert.tbs, cert.signature);
    *ret_pem = good ? pem_of(der) : NULL;
    free((void *)(uintptr_t)der.p);
    if (!good)
        return refused("%s: not one certificate that %s has signed", path, issuer->name);
    return *ret_pem ? EX_OK : refused("out of memory");
}

/* ---- AWS IoT Core ---- */

/* Just-in-time provisioning: a device's first connection makes its thing. */
static json_t *aws_template(void) {
    return json_pack(
        "{s:{s:{s:s}, s:{s:s}}, s:{s:{s:s, s:{s:{s:s}}}, s:{s:s, s:{s:{s:s}, s:s}}, s:{s:s, "
        "s:{s:s}}}}",
        "Parameters", "AWS::IoT::Certificate::CommonName", "Type", "String",
        "AWS::IoT::Certificate::Id", "Type", "String", "Resources", "thing", "Type",
        "AWS::IoT::Thing", "Properties", "ThingName", "Ref", "AWS::IoT::Certificate::CommonName",
        "certificate", "Type", "AWS::IoT::Certificate", "Properties", "CertificateId", "Ref",
        "AWS::IoT::Certificate::Id", "Status", "ACTIVE", "policy", "Type", "AWS::IoT::Policy",
        "Properties", "PolicyName", "POLICY_OF_YOUR_DEVICES");
}

/* For aws iot register-ca-certificate --cli-input-json. The template is a text in it. */
static json_t *aws_registration(const char *certificate, const char *proof) {
    AUTO(json_t) template = aws_template();
    AUTO_MEM char *body = template ? json_dumps(template, JSON_COMPACT) : NULL;
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:{s:s, s:s?}}", "caCertificate", certificate,
                     "verificationCertificate",
                     proof ? proof : "PEM_THAT_TOUCHMARK_CLOUD_PROOF_PRINTS", "certificateMode",
                     "DEFAULT", "setAsActive", 1, "allowAutoRegistration", 1, "registrationConfig",
                     "roleArn", "arn:aws:iam::ACCOUNT:role/ROLE", "templateBody", body);
}

/* ---- Azure IoT DPS ---- */

/* Group IDs take A-Z a-z 0-9 and few signs; issuers' names take more. */
static void group_id(const char *issuer, char ret[IPC_NAME_MAX + 1]) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = 0;
    for (; n < IPC_NAME_MAX && issuer[n]; n++)
        ret[n] = strchr(allowed, issuer[n]) ? issuer[n] : '-';
    ret[n] = '\0';
}

static json_t *azure_group(const char *issuer, const char *certificate) {
    char id[IPC_NAME_MAX + 1];
    group_id(issuer, id);
    return json_pack("{s:s, s:{s:s, s:{s:{s:{s:s}}}}, s:s, s:s, s:{s:b, s:b}}", "enrollmentGroupId",
                     id, "attestation", "type", "x509", "x509", "signingCertificates", "primary",
                     "certificate", certificate, "provisioningStatus", "enabled",
                     "allocationPolicy", "hashed", "reprovisionPolicy", "updateHubAssignment", 1,
                     "migrateDeviceData", 1);
}

/* ---- files ---- */

/* Never over what is there: somebody may have filled it in. */
static int write_file(const char *folder, const char *name, const char *suffix, const char *text) {
    char path[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix) >= (int)sizeof path)
        return refused("the path of the folder is too long");
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || file_write(fd, bytes_str(text)))
        return refused("%s: %s", path, strerror(errno));
    printf("%s\n", path);
    return EX_OK;
}

static int write_json(const char *folder, const char *name, const json_t *object) {
    AUTO_MEM char *text = object ? json_dumps(object, JSON_FLAGS) : NULL;
    return text ? write_file(folder, name, ".json", text) : refused("out of memory");
}

static int make_folder(const char *folder) {
    if (!mkdir(folder, 0755) || errno == EEXIST)
        return EX_OK;
    return refused("%s: %s", folder, strerror(errno));
}

struct export {
    bool aws;
    const struct ca_issuer *issuer;
    char *certificate; /* PEM */
    char *proof;       /* PEM, NULL: none given */
    json_t *object;    /* what the cloud is asked */
};

static int write_all(const struct export *e, const char *folder) {
    AUTO_MEM char *chain = pem_of(e->issuer->chain);
    AUTO(json_t) template = e->aws ? aws_template() : NULL;
    int code = chain ? make_folder(folder) : refused("out of memory");
    if (code == EX_OK)
        code = write_file(folder, e->issuer->name, ".pem", e->certificate);
    if (code == EX_OK)
        code = write_file(folder, e->issuer->name, "-chain.pem", chain);
    if (code == EX_OK)
        code =
            write_json(folder, e->aws ? "register-ca-certificate" : "enrollment-group", e->object);
    if (code == EX_OK && e->aws)
        code = write_json(folder, "provisioning-template", template);
    return code;
}

static int print(const json_t *object) {
    AUTO_MEM char *text = json_dumps(object, JSON_FLAGS);
    return text && printf("%s\n", text) > 0 && !fflush(stdout) ? EX_OK : EX_IOERR;
}

static int make(struct export *e, const struct admin_call *call) {
    if (!(ca_key_kind(&e->issuer->view.spki) & CLOUD_KEYS))
        return refused("%s takes CAs with RSA keys or ECDSA keys on P-256 and P-384 only",
                       e->aws ? "AWS IoT Core" : "Azure IoT DPS");
    int code = call->proof ? load_proof(call->proof, e->issuer, &e->proof) : EX_OK;
    if (code != EX_OK)
        return code;
    e->certificate = pem_of(e->issuer->der);
    if (e->certificate)
        e->object = e->aws ? aws_registration(e->certificate, e->proof)
                           : azure_group(e->issuer->name, e->certificate);
    if (!e->object)
        return refused("out of memory");
    return call->out ? write_all(e, call->out) : print(e->object);
}

int admin_cloud_export(struct admin_call *call) {
    const char *cloud = call->request.state;
    struct ca_issuer issuer = {0};
    AUTO(ca_issuer_t) owned = &issuer;
    struct export e = {.aws = strcmp(cloud, "aws") == 0, .issuer = owned};
    if (!e.aws && strcmp(cloud, "azure") != 0) {
        (void)refused("CLOUD is aws or azure");
        return EX_USAGE;
    }
    int code = load_issuer(call, owned);
    if (code == EX_OK)
        code = make(&e, call);
    free(e.certificate);
    free(e.proof);
    json_decref(e.object);
    return code;
}
