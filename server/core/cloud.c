/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs for clouds, and the kind of act "cloud-proof": see cloud.h. */
#include "server/core/cloud.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "ca/registry.h"

/* A signer that restarts is back before the last of them. */
#define RETRIES_MAX 6
#define RETRY_MS INT64_C(1000) /* before the first; then twice as long each time */

#define CERTIFICATE "certificate-sha256" /* parameter that check adds: the issuer's */

#define CODES_MAX 4096
#define AWS_CODE 64 /* hexadecimal digits: what GetRegistrationCode answers */

struct prover {
    struct ca_tenant tenant; /* whose device the code is, under this issuer */
    struct ca_label label;
};

struct core_cloud {
    struct core_cloud_config config;
    struct prover *provers; /* by issuer */
    struct ca_act_kind kind;
    struct proof_run *runs;
    char (*codes)[IPC_NAME_MAX + 1]; /* that proofs were asked for */
    size_t code_count;
};

/* ---- what may be ---- */

static bool is_aws_code(const char *code) {
    return strlen(code) == AWS_CODE && strspn(code, "0123456789abcdefABCDEF") == AWS_CODE;
}

static enum tm_err judge_code(const char *name, const char *code, char text[IPC_TEXT_MAX + 1]) {
    bool aws = strcmp(name, "aws") == 0;
    const char *fault =
        !aws && strcmp(name, "azure") != 0
            ? "the cloud is aws (IoT Core) or azure (IoT Hub Device Provisioning "
              "Service)"
        : aws && !is_aws_code(code) ? "a registration code of AWS IoT Core is 64 hexadecimal digits"
        : !ca_device_id_valid(code) ? "a verification code is 1 to 64 of A-Z a-z 0-9 . -"
                                    : NULL;
    if (fault)
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%s", fault);
    return fault ? TM_EINVAL : TM_OK;
}

enum tm_err core_cloud_judge(const struct core_cloud *cloud, const char *issuer, const char *name,
                             const char *code, char text[IPC_TEXT_MAX + 1]) {
    const struct core_setup *setup = cloud->config.setup;
    if (!setup->proof_profile) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "core.proof_profile names no profile in the configuration, so none is "
                       "issued");
        return TM_ENOTFOUND;
    }
    if (setup->proof_profile->withheld) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "profile %s is not one that officers approved: touchmark profile apply",
                       setup->proof_profile->name);
        return TM_EDENIED;
    }
    const struct ca_issuer *found = core_issuer_named(setup, issuer);
    if (!found || found->remote) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "there is no issuer \"%.64s\" with a key on the token in the configuration",
                       issuer);
        return TM_ENOTFOUND;
    }
    return judge_code(name, code, text);
}

/* ---- codes that no device may have ---- */

static bool is_known(const struct core_cloud *cloud, const char *code) {
    for (size_t i = 0; i < cloud->code_count; i++)
        if (strcasecmp(cloud->codes[i], code) == 0)
            return true;
    return false;
}

static enum tm_err remember(struct core_cloud *cloud, const char *code) {
    if (is_known(cloud, code))
        return TM_OK;
    if (cloud->code_count == CODES_MAX)
        return TM_ELIMIT;
    void *codes = realloc(cloud->codes, (cloud->code_count + 1) * sizeof *cloud->codes);
    if (!codes)
        return TM_ENOMEM;
    cloud->codes = codes;
    text_copy(cloud->codes[cloud->code_count++], sizeof *cloud->codes, code);
    return TM_OK;
}

static enum tm_err remember_act(struct core_cloud *cloud, const struct ca_act *act,
                                struct ca_act_text *text) {
    if (strcmp(act->kind, CORE_CLOUD_ACT) != 0 || ca_act_text_parse(act->text, text))
        return TM_OK;
    const char *code = ca_act_param(&text->params, "code");
    enum tm_err err = code ? remember(cloud, code) : TM_OK;
    return err == TM_ELIMIT ? TM_OK : err; /* those of long ago */
}

/* Those of all acts there ever were. */
static enum tm_err remember_acts(struct core_cloud *cloud) {
    struct ca_store *store = cloud->config.store;
    uint8_t key[CA_ROW_KEY_MAX], octets[CA_ROW_MEMORY_MAX];
    struct buf cursor = BUF_ON(key), memory = BUF_ON(octets);
    struct ca_act act;
    AUTO_MEM struct ca_act_text *text = calloc(1, sizeof *text);
    enum tm_err err = text ? TM_OK : TM_ENOMEM;
    while (!err && !(err = store->ops->next_row(store, CA_TABLE_ACT, &cursor, &act, &memory))) {
        err = remember_act(cloud, &act, text);
        memory.n = 0;
    }
    return err == TM_ENOTFOUND ? TM_OK : err;
}

/* Is there a proof for it already? */
static bool has_proof(const struct core_cloud *cloud, const char *code) {
    struct ca_store *store = cloud->config.store;
    struct ca_device found;
    if (store->ops->device(store, CORE_OWN_TENANT, code, &found))
        return false;
    for (size_t i = 0; i < found.cert_count; i++)
        if (strcmp(found.certs[i].profile, cloud->config.setup->proof_profile->name) == 0)
            return true;
    return false;
}

bool core_cloud_reserves(const struct core_cloud *cloud, const char *device) {
    if (!cloud || !cloud->config.setup->proof_profile)
        return false;
    return is_aws_code(device) || is_known(cloud, device) || has_proof(cloud, device);
}

/* ---- issuing ---- */

void core_cloud_prove(struct core_cloud *cloud, const char *issuer, const char *code,
                      const char *actor, ca_reply_fn *reply, void *arg) {
    const struct core_setup *setup = cloud->config.setup;
    size_t i = (size_t)(core_issuer_named(setup, issuer) - setup->issuers);
    if (remember(cloud, code))
        log_warn("a code for a proof is not remembered: there are too many");
    ca_service_prove(cloud->config.service, &cloud->provers[i].label, code, actor, reply, arg);
}

/* ---- the act ---- */

static enum tm_err hash_certificate(const struct core_cloud *cloud, const char *issuer,
                                    char ret[2 * CA_HASH_SIZE + 1]) {
    const struct ca_issuer *found = core_issuer_named(cloud->config.setup, issuer);
    uint8_t hash[CA_HASH_SIZE];
    if (EVP_Q_digest(NULL, "SHA256", NULL, found->der.p, found->der.n, hash, NULL) != 1)
        return TM_ECRYPTO;
    return hex_encode(BYTES_OF(hash), ret, 2 * CA_HASH_SIZE + 1);
}

static enum tm_err judge_params(const struct core_cloud *cloud, const struct ca_act_params *params,
                                char text[IPC_TEXT_MAX + 1]) {
    return core_cloud_judge(cloud, ca_act_param(params, "issuer"), ca_act_param(params, "cloud"),
                            ca_act_param(params, "code"), text);
}

/* Officers sign for a certificate, not for a name that a configuration gives it. */
static void check(void *self, struct ca_act_params *params, ca_act_checked_fn *checked, void *arg) {
    struct core_cloud *cloud = self;
    char text[IPC_TEXT_MAX + 1] = "", hex[2 * CA_HASH_SIZE + 1];
    enum tm_err err = judge_params(cloud, params, text);
    if (!err) {
        err = hash_certificate(cloud, ca_act_param(params, "issuer"), hex);
        if (!err)
            err = ca_act_param_add(params, CERTIFICATE, hex);
        if (err)
            (void)snprintf(text, sizeof text, "the issuer's certificate cannot be hashed");
        else
            err = remember(cloud, ca_act_param(params, "code"));
        if (err && !text[0])
            (void)snprintf(text, sizeof text, "there were %d codes already", CODES_MAX);
    }
    checked(arg, err, text);
}

struct proof_run {
    struct proof_run *prev, *next;
    struct core_cloud *cloud;
    struct ca_act_run *run;
    unsigned retries;
    struct loop_timer timer;
};

static void forget(struct proof_run *r) {
    loop_timer_stop(r->cloud->config.loop, &r->timer);
    if (r->prev)
        r->prev->next = r->next;
    else
        r->cloud->runs = r->next;
    if (r->next)
        r->next->prev = r->prev;
    free(r);
}

static void end(struct proof_run *r, enum tm_err result, const char *text) {
    struct ca_act_run *run = r->run;
    forget(r);
    ca_act_run_end(run, result, text);
}

static void succeed(struct proof_run *r, struct bytes der) {
    struct pki_cert cert;
    char hex[2 * CA_SERIAL_MAX + 1], text[IPC_TEXT_MAX + 1];
    if (pki_cert_parse(der, &cert) || !ca_serial_read(cert.serial, &r->run->cursor) ||
        hex_encode((struct bytes){r->run->cursor.octets, r->run->cursor.n}, hex, sizeof hex)) {
        end(r, TM_EPARSE, "the certificate cannot be read");
        return;
    }
    r->run->done = 1;
    (void)snprintf(text, sizeof text, "certificate %s", hex);
    end(r, TM_OK, text);
}

static void retry(struct proof_run *r) {
    int64_t wait_ms = RETRY_MS << r->retries++;
    if (loop_timer_set(r->cloud->config.loop, &r->timer, clock_mono_ms() + wait_ms))
        end(r, TM_ENOMEM, "the server had no memory");
}

static void replied(void *arg, const struct ipc_reply *reply) {
    struct proof_run *r = arg;
    bool passes = reply->outcome == IPC_BUSY || reply->outcome == IPC_UNAVAILABLE ||
                  reply->outcome == IPC_CONFLICT;
    if (ca_acts_stopping(r->run->acts))
        return;
    if (reply->outcome == IPC_ISSUED || reply->outcome == IPC_REPEATED)
        succeed(r, reply->certificate);
    else if (passes && r->retries < RETRIES_MAX)
        retry(r);
    else
        end(r, TM_EDENIED, reply->text);
}

static void prove(void *arg) {
    struct proof_run *r = arg;
    const struct ca_act_params *params = r->run->params;
    core_cloud_prove(r->cloud, ca_act_param(params, "issuer"), ca_act_param(params, "code"),
                     r->run->actor, replied, r);
}

/* The configuration may be another than when it was proposed. */
static bool still_good(const struct core_cloud *cloud, const struct ca_act_params *params,
                       char text[IPC_TEXT_MAX + 1]) {
    const char *wanted = ca_act_param(params, CERTIFICATE);
    char hex[2 * CA_HASH_SIZE + 1];
    if (judge_params(cloud, params, text))
        return false;
    if (wanted && !hash_certificate(cloud, ca_act_param(params, "issuer"), hex) &&
        strcmp(hex, wanted) == 0)
        return true;
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "the issuer has another certificate now than the one that was signed for");
    return false;
}

static void run(void *self, struct ca_act_run *act) {
    struct core_cloud *cloud = self;
    char text[IPC_TEXT_MAX + 1] = "";
    struct proof_run *r = still_good(cloud, act->params, text) ? calloc(1, sizeof *r) : NULL;
    if (!r) {
        ca_act_run_end(act, TM_EDENIED, text[0] ? text : "the server had no memory");
        return;
    }
    r->cloud = cloud;
    r->run = act;
    r->timer = (struct loop_timer){.fn = prove, .arg = r};
    r->next = cloud->runs;
    if (cloud->runs)
        cloud->runs->prev = r;
    cloud->runs = r;
    prove(r);
}

/* What they must be, check says: which code is good depends on the cloud. */
static const struct ca_act_rule rules[] = {{"issuer", true, NULL, NULL},
                                           {"cloud", true, NULL, NULL},
                                           {"code", true, NULL, NULL},
                                           {NULL, false, NULL, NULL}};

/* ---- life ---- */

static void fill(struct prover *prover, const struct core_setup *setup,
                 const struct ca_issuer *issuer) {
    prover->tenant = (struct ca_tenant){.name = CORE_OWN_TENANT, .issuer = issuer};
    prover->label =
        (struct ca_label){.label = "", .tenant = &prover->tenant, .profile = setup->proof_profile};
}

enum tm_err core_cloud_new(const struct core_cloud_config *config, struct ca_acts *acts,
                           struct core_cloud **ret_cloud) {
    const struct core_setup *setup = config->setup;
    struct core_cloud *cloud = calloc(1, sizeof *cloud);
    if (!cloud)
        return TM_ENOMEM;
    cloud->config = *config;
    cloud->provers = calloc(setup->issuer_count + 1, sizeof *cloud->provers);
    for (size_t i = 0; cloud->provers && i < setup->issuer_count; i++)
        fill(&cloud->provers[i], setup, &setup->issuers[i]);
    cloud->kind = (struct ca_act_kind){
        .name = CORE_CLOUD_ACT, .rules = rules, .self = cloud, .check = check, .run = run};
    enum tm_err err = cloud->provers ? remember_acts(cloud) : TM_ENOMEM;
    if (!err)
        err = ca_acts_add(acts, &cloud->kind);
    if (err)
        core_cloud_free(cloud);
    else
        *ret_cloud = cloud;
    return err;
}

void core_cloud_free(struct core_cloud *cloud) {
    if (!cloud)
        return;
    while (cloud->runs)
        forget(cloud->runs);
    free(cloud->provers);
    free(cloud->codes);
    free(cloud);
}
