/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and options of the commands, checked before anything is sent. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "admin/command.h"
#include "base/auto.h"
#include "conf/conf.h"
#include "conf/value.h"

const struct admin_field admin_fields[ADMIN_FIELD_COUNT] = {
    [ADMIN_CONF] = {"conf", 'c', "FILE", "Configuration (" CONF_DEFAULT_FILE ")"},
    [ADMIN_SOCKET] = {"socket", 's', "PATH", "Administration socket, instead of the configured"},
    [ADMIN_JSON] = {"json", 'j', NULL, "Print JSON, one object per line"},
    [ADMIN_TENANT] = {"tenant", 't', "NAME", "Tenant (that of the default label)"},
    [ADMIN_DEVICE] = {"ID", 0, NULL, NULL},
    [ADMIN_SERIAL] = {"SERIAL", 0, NULL, NULL},
    [ADMIN_STATE] = {"STATE", 0, NULL, NULL},
    [ADMIN_REASON] = {"reason", 'r', "TEXT", "Why; it is recorded in the audit"},
    [ADMIN_SKU] = {"sku", 0, "NAME", "Stock keeping unit"},
    [ADMIN_HARDWARE_REVISION] = {"hardware-revision", 0, "NAME", "Hardware revision"},
    [ADMIN_BATCH] = {"batch", 0, "NAME", "Batch"},
    [ADMIN_SITE] = {"site", 0, "NAME", "Factory"},
    [ADMIN_VALID] = {"valid", 0, "DURATION", "How long it may be used (24h)"},
    [ADMIN_FROM] = {"from", 0, "N", "First sequence number"},
    [ADMIN_LIMIT] = {"limit", 'n', "N", "At most so many rows"},
    [ADMIN_PEM] = {"pem", 0, NULL, "Print the certificate as PEM"},
    [ADMIN_OFFLINE] = {"offline", 0, NULL, "Open the store itself; touchmarkd must be stopped"},
    [ADMIN_STATION] = {"station", 0, "NAME", "Station"},
    [ADMIN_JOB] = {"job", 0, "NAME", "Production job"},
    [ADMIN_PROFILE] = {"profile", 'p', "NAME", "Certificate profile"},
    [ADMIN_ISSUER] = {"issuer", 'i', "NAME", "Issuing CA, as the configuration names it"},
    [ADMIN_SINCE] = {"since", 0, "TIME", "Issued at this time (RFC 3339, UTC) or later"},
    [ADMIN_UNTIL] = {"until", 0, "TIME", "Issued, or asked for, before this time"},
    [ADMIN_DEVICE_OPTION] = {"device", 'd', "ID", "Device"},
    [ADMIN_OFFICER] = {"officer", 'o', "NAME", "Officer, as the configuration names them"},
    [ADMIN_KEY] = {"key", 'k', "FILE", "PEM file of a private key"},
    [ADMIN_FILE] = {"FILE", 0, NULL, NULL},
    [ADMIN_ACT] = {"ACT", 0, NULL, NULL},
    [ADMIN_SIGNATURE] = {"signature", 0, "FILE", "Signature that was made elsewhere"},
    [ADMIN_TEXT] = {"text", 0, NULL, "Print the octets that officers sign, and nothing else"},
    [ADMIN_PREVIEW] = {"preview", 0, NULL, "Only say how many it would concern"},
    [ADMIN_WORDS] = {"words", 0, "TEXT", "Why, in words; they are recorded in the audit"},
    [ADMIN_LIFETIME] = {"lifetime", 0, "DURATION", "How long it may wait for its signatures (72h)"},
    [ADMIN_ALL] = {"all", 'a', NULL, "Of all tenants; or all that wait, or have no result"},
    [ADMIN_CLOUD] = {"CLOUD", 0, NULL, NULL},
    [ADMIN_CODE] = {"CODE", 0, NULL, NULL},
    [ADMIN_ACT_OPTION] = {"act", 0, "ID", "What came of this act"},
    [ADMIN_OUT] = {"out", 0, "DIR", "Folder for the files; it is made if it is not there"},
    [ADMIN_PROOF] = {"proof", 0, "FILE", "PEM file that cloud proof printed, to put into them"},
    [ADMIN_LEAF] = {"LEAF", 0, NULL, NULL},
    [ADMIN_DIR] = {"DIR", 0, NULL, NULL},
    [ADMIN_JOB_NAME] = {"JOB", 0, NULL, NULL},
    [ADMIN_OPERATOR] = {"NAME", 0, NULL, NULL},
    [ADMIN_IDS] = {"ids", 0, "FILE", "Device IDs of the job, one in a line, instead of a range"},
    [ADMIN_COUNTS] = {"counts", 0, "P,F,S", "How many units passed, failed and were scrapped"},
    [ADMIN_SECRET] = {"secret", 0, "FILE",
                      "Read the secret from here (-: standard input) instead of making one"},
    [ADMIN_PRODUCT] = {"SKU", 0, NULL, NULL},
    [ADMIN_FORMAT] = {"format", 'f', "FORMAT", "Format of the file"},
    [ADMIN_SIGNER] = {"signer", 0, "FILE", "PEM certificates of who signs the manifest"},
    [ADMIN_DRY_RUN] = {"dry-run", 0, NULL, "Only check the file"},
    [ADMIN_SKIP_BAD] = {"skip-bad", 0, NULL, "Import the others where some rows are bad"},
    [ADMIN_PROGRESS] = {"progress", 0, NULL, "Say how far it is, also where nobody seems to look"},
    [ADMIN_REQUEST] = {"request", 0, "HEX",
                       "Only this request: its first digits, as the list shows them"},
    [ADMIN_QUESTION] = {"QUESTION", 0, NULL, NULL},
    [ADMIN_STATE_OPTION] = {"state", 0, "STATE", "Lifecycle state"},
    [ADMIN_OUTCOME] = {"outcome", 0, "OUTCOME", "Why it was refused, as the audit says it"},
    [ADMIN_WITHIN] =
        {"within", 0, "DURATION",
         "Expiring: at most so far ahead (30d). Failing, duplicate: at most so long ago"},
    [ADMIN_LONGER] = {"longer", 0, "DURATION",
                      "Stuck: for longer than that (24h). Unrenewed: issued longer ago"},
    [ADMIN_AFTER] = {"after", 0, "CURSOR", "Go on where an answer with --limit ended"},
    [ADMIN_DAYS] = {"days", 0, "DURATION", "Count what happened in so many days (30d)"},
    [ADMIN_CONSUMER] = {"consumer", 0, "NAME",
                        "Go on where this consumer ended, and remember how far it came"},
    [ADMIN_FOLLOW] = {"follow", 'f', NULL, "Wait for more"},
};

/* What a value must be. Those without a rule are taken as they are. */
static const struct conf_row rules[ADMIN_FIELD_COUNT] = {
    [ADMIN_TENANT] = {.type = CONF_NAME},
    [ADMIN_DEVICE] = {.type = CONF_NAME},
    [ADMIN_STATE] = {.type = CONF_NAME},
    [ADMIN_CLOUD] = {.type = CONF_NAME},
    [ADMIN_REASON] = {.type = CONF_STRING, .min = 1, .max = IPC_TEXT_MAX},
    [ADMIN_SKU] = {.type = CONF_NAME},
    [ADMIN_HARDWARE_REVISION] = {.type = CONF_NAME},
    [ADMIN_BATCH] = {.type = CONF_NAME},
    [ADMIN_SITE] = {.type = CONF_NAME},
    [ADMIN_VALID] = {.type = CONF_DURATION, .min = 1000, .max = 366ull * 24 * 3600 * 1000},
    [ADMIN_FROM] = {.type = CONF_UINT},
    [ADMIN_LEAF] = {.type = CONF_UINT},
    [ADMIN_LIMIT] = {.type = CONF_UINT, .min = 1, .max = UINT32_MAX},
    [ADMIN_STATION] = {.type = CONF_NAME},
    [ADMIN_JOB] = {.type = CONF_NAME},
    [ADMIN_JOB_NAME] = {.type = CONF_NAME},
    [ADMIN_OPERATOR] = {.type = CONF_NAME},
    [ADMIN_PROFILE] = {.type = CONF_NAME},
    [ADMIN_ISSUER] = {.type = CONF_NAME},
    [ADMIN_SINCE] = {.type = CONF_TIME},
    [ADMIN_UNTIL] = {.type = CONF_TIME},
    [ADMIN_DEVICE_OPTION] = {.type = CONF_NAME},
    [ADMIN_LIFETIME] = {.type = CONF_DURATION, .min = 1000, .max = 14ull * 24 * 3600 * 1000},
    [ADMIN_OFFICER] = {.type = CONF_NAME},
    [ADMIN_PRODUCT] = {.type = CONF_NAME},
    [ADMIN_QUESTION] = {.type = CONF_NAME},
    [ADMIN_STATE_OPTION] = {.type = CONF_NAME},
    [ADMIN_OUTCOME] = {.type = CONF_NAME},
    [ADMIN_WITHIN] = {.type = CONF_DURATION, .min = 1000, .max = 36500ull * 24 * 3600 * 1000},
    [ADMIN_LONGER] = {.type = CONF_DURATION, .min = 1, .max = 36500ull * 24 * 3600 * 1000},
    [ADMIN_AFTER] = {.type = CONF_NAME},
    [ADMIN_DAYS] = {.type = CONF_DURATION,
                    .min = 24 * 3600 * 1000,
                    .max = 3650ull * 24 * 3600 * 1000},
    [ADMIN_CONSUMER] = {.type = CONF_NAME},
};

static bool has_control(const char *text) {
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            return true;
    return false;
}

/* A serial as OpenSSL prints it in any of its ways: either case, with or without colons. */
static enum tm_err set_serial(const char *text, struct admin_call *call,
                              char allowed[CONF_ERROR_MAX]) {
    char serial[sizeof(call->request.serial)] = "";
    size_t n = 0;
    bool good = text[0] != '\0';
    for (; *text && good; text++) {
        if (*text == ':')
            continue;
        good = isxdigit((unsigned char)*text) && n + 1 < sizeof(serial);
        if (good)
            serial[n++] = (char)tolower((unsigned char)*text);
    }
    if (!good || n == 0 || n % 2 != 0) {
        (void)snprintf(allowed, CONF_ERROR_MAX, "2 to 40 hexadecimal digits, an even number");
        return TM_EPARSE;
    }
    memcpy(call->request.serial, serial, sizeof(serial));
    return TM_OK;
}

static char *text_of(enum admin_field_id id, struct ipc_admin_request *request) {
    switch (id) {
    case ADMIN_TENANT:
        return request->tenant;
    case ADMIN_DEVICE:
    case ADMIN_DEVICE_OPTION:
        return request->device;
    case ADMIN_STATION:
        return request->station;
    case ADMIN_JOB:
    case ADMIN_JOB_NAME:
        return request->job;
    case ADMIN_PROFILE:
        return request->profile;
    case ADMIN_ISSUER:
        return request->issuer;
    case ADMIN_OFFICER:
    case ADMIN_OPERATOR:
    case ADMIN_CONSUMER:
        return request->officer;
    case ADMIN_QUESTION:
        return request->question;
    case ADMIN_OUTCOME:
        return request->outcome;
    case ADMIN_AFTER:
        return request->cursor;
    case ADMIN_STATE:
    case ADMIN_STATE_OPTION:
    case ADMIN_CLOUD:
        return request->state;
    case ADMIN_REASON:
        return request->reason;
    case ADMIN_SKU:
    case ADMIN_PRODUCT:
        return request->sku;
    case ADMIN_HARDWARE_REVISION:
        return request->hardware_revision;
    case ADMIN_BATCH:
        return request->batch;
    case ADMIN_SITE:
        return request->site;
    default:
        return NULL;
    }
}

static void set_number(enum admin_field_id id, uint64_t value, struct admin_call *call) {
    if (id == ADMIN_WITHIN)
        call->within_ms = (int64_t)value;
    else if (id == ADMIN_LONGER)
        call->longer_ms = (int64_t)value;
    else if (id == ADMIN_VALID || id == ADMIN_LIFETIME || id == ADMIN_DAYS)
        call->request.seconds = (uint32_t)(value / 1000);
    else if (id == ADMIN_LIMIT)
        call->limit = (uint32_t)value;
    else if (id == ADMIN_SINCE)
        call->request.from_ms = (int64_t)value;
    else if (id == ADMIN_UNTIL)
        call->request.until_ms = (int64_t)value;
    else
        (void)snprintf(call->request.cursor, sizeof(call->request.cursor), "%" PRIu64, value);
}

static enum tm_err set_by_rule(enum admin_field_id id, const char *text, struct admin_call *call,
                               char allowed[CONF_ERROR_MAX]) {
    const struct conf_row *rule = &rules[id];
    char *place = text_of(id, &call->request);
    AUTO_MEM char *copy = NULL;
    uint64_t number = 0;
    enum tm_err err = place && has_control(text) ? TM_EPARSE : TM_OK;
    if (!err)
        err = conf_value_parse(rule, text, "/", place ? (void *)&copy : (void *)&number);
    if (err) {
        conf_value_allowed(rule, allowed);
        return err;
    }
    if (place)
        (void)strcpy(place, copy); /* the rule's limit is the member's size */
    else
        set_number(id, number, call);
    return TM_OK;
}

static enum tm_err set_format(const char *text, struct admin_call *call,
                              char allowed[CONF_ERROR_MAX]) {
    bool manifest = strcmp(text, "manifest") == 0 && call->command->verb == IPC_ADMIN_DEVICE_IMPORT;
    if (strcmp(text, "csv") != 0 && strcmp(text, "jsonl") != 0 && !manifest) {
        (void)snprintf(allowed, CONF_ERROR_MAX, "csv or jsonl, or manifest for an import");
        return TM_EPARSE;
    }
    call->format = text;
    return TM_OK;
}

static enum tm_err add_file(const char *text, struct admin_call *call,
                            char allowed[CONF_ERROR_MAX]) {
    if (call->file_count == ADMIN_FILES_MAX) {
        (void)snprintf(allowed, CONF_ERROR_MAX, "one of at most %d files", ADMIN_FILES_MAX);
        return TM_ELIMIT;
    }
    call->files[call->file_count++] = text;
    return TM_OK;
}

enum tm_err admin_field_set(enum admin_field_id id, const char *text, struct admin_call *call,
                            char allowed[CONF_ERROR_MAX]) {
    switch (id) {
    case ADMIN_CONF:
        call->conf = text;
        return TM_OK;
    case ADMIN_SOCKET:
        call->socket = text;
        return TM_OK;
    case ADMIN_JSON:
        call->json = true;
        return TM_OK;
    case ADMIN_PEM:
        call->pem = true;
        return TM_OK;
    case ADMIN_OFFLINE:
        call->offline = true;
        return TM_OK;
    case ADMIN_KEY:
        call->key = text;
        return TM_OK;
    case ADMIN_FILE:
        return add_file(text, call, allowed);
    case ADMIN_SIGNER:
        call->signer = text;
        return TM_OK;
    case ADMIN_FORMAT:
        return set_format(text, call, allowed);
    case ADMIN_DRY_RUN:
        call->dry_run = true;
        return TM_OK;
    case ADMIN_PROGRESS:
        call->progress = true;
        return TM_OK;
    case ADMIN_SKIP_BAD:
    case ADMIN_ALL:
        call->request.all = true;
        return TM_OK;
    case ADMIN_SIGNATURE:
        call->signature = text;
        return TM_OK;
    case ADMIN_FOLLOW:
        call->follow = true;
        return TM_OK;
    case ADMIN_TEXT:
        call->text = true;
        return TM_OK;
    case ADMIN_PREVIEW:
        call->preview = true;
        return TM_OK;
    case ADMIN_WORDS:
        call->remark = text;
        return TM_OK;
    case ADMIN_CODE:
        call->code = text;
        return TM_OK;
    case ADMIN_OUT:
    case ADMIN_DIR:
        call->out = text;
        return TM_OK;
    case ADMIN_PROOF:
        call->proof = text;
        return TM_OK;
    case ADMIN_IDS:
        call->ids = text;
        return TM_OK;
    case ADMIN_COUNTS:
        call->counts = text;
        return TM_OK;
    case ADMIN_SECRET:
        call->secret = text;
        return TM_OK;
    case ADMIN_REQUEST:
    case ADMIN_ACT:
    case ADMIN_ACT_OPTION:
    case ADMIN_SERIAL:
        return set_serial(text, call, allowed);
    default:
        return set_by_rule(id, text, call, allowed);
    }
}
