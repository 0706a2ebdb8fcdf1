/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `touchmark-audit`: see auditor.h. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "auditor/auditor.h"
#include "base/auto.h"

const char *argp_program_version = "touchmark-audit " TOUCHMARK_VERSION;

#define FILES_MAX 64

struct arguments {
    struct auditor auditor;
    const char *earlier[FILES_MAX], *receipts[FILES_MAX];
    size_t earlier_count, receipt_count;
    bool has_key, has_threshold;
};

enum {
    KEY_JSON = 'j',
    KEY_LOG = 'k',
    KEY_WITNESS = 'w',
    KEY_EARLIER = 'e',
    KEY_RECEIPT = 'r',
    KEY_THRESHOLD = 't'
};

static const struct argp_option options[] = {
    {"key", KEY_LOG, "VKEY", 0, "Verifier key of the log, as touchmark audit key printed it", 0},
    {"witness", KEY_WITNESS, "VKEY", 0, "Verifier key of a witness; may be given several times", 0},
    {"threshold", KEY_THRESHOLD, "N", 0,
     "So many of the witnesses must have cosigned (all that are given)", 0},
    {"earlier", KEY_EARLIER, "FILE", 0,
     "A checkpoint that the log has shown before, or the folder of an earlier export; may be given "
     "several times",
     0},
    {"receipt", KEY_RECEIPT, "FILE", 0, "A receipt of the log; may be given several times", 0},
    {"json", KEY_JSON, NULL, 0, "Print JSON, one object per line", 0},
    {0}};

static void take_key(struct argp_state *state, const char *text, enum audit_key_type type,
                     struct audit_key *ret) {
    if (audit_vkey_parse(bytes_str(text), ret) || ret->type != type)
        argp_error(state, "\"%.200s\" is no Ed25519 verifier key of a %s", text,
                   type == AUDIT_KEY_LOG ? "log" : "witness");
}

static void take_witness(struct argp_state *state, struct auditor *a, const char *text) {
    if (a->witness_count == AUDITOR_WITNESSES_MAX)
        argp_error(state, "%d witnesses are enough", AUDITOR_WITNESSES_MAX);
    take_key(state, text, AUDIT_KEY_WITNESS, &a->witnesses[a->witness_count]);
    for (size_t i = 0; i < a->witness_count; i++)
        if (memcmp(a->witnesses[i].public_key, a->witnesses[a->witness_count].public_key,
                   AUDIT_ED25519_PUBLIC_SIZE) == 0)
            argp_error(state, "a witness is given twice");
    a->witness_count++;
}

static void take_file(struct argp_state *state, const char **files, size_t *count,
                      const char *path) {
    if (*count == FILES_MAX)
        argp_error(state, "%d files of a kind are enough", FILES_MAX);
    files[(*count)++] = path;
}

static void take_threshold(struct argp_state *state, struct arguments *args, const char *text) {
    uint64_t number;
    if (audit_decimal(bytes_str(text), &number) || number > AUDITOR_WITNESSES_MAX)
        argp_error(state, "--threshold must be a number up to %d", AUDITOR_WITNESSES_MAX);
    args->auditor.threshold = (size_t)number;
    args->has_threshold = true;
}

static void finish(struct argp_state *state, struct arguments *args) {
    struct auditor *a = &args->auditor;
    if (!args->has_key)
        argp_error(state, "--key is missing: nothing can be verified without the log's key");
    if (!a->dir && !args->receipt_count)
        argp_error(state, "an export or a receipt is missing");
    if (!args->has_threshold)
        a->threshold = a->witness_count;
    if (a->threshold > a->witness_count)
        argp_error(state, "--threshold is more than the witnesses that are given");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct arguments *args = state->input;
    switch (key) {
    case KEY_LOG:
        take_key(state, arg, AUDIT_KEY_LOG, &args->auditor.key);
        args->has_key = true;
        return 0;
    case KEY_WITNESS:
        take_witness(state, &args->auditor, arg);
        return 0;
    case KEY_THRESHOLD:
        take_threshold(state, args, arg);
        return 0;
    case KEY_EARLIER:
        take_file(state, args->earlier, &args->earlier_count, arg);
        return 0;
    case KEY_RECEIPT:
        take_file(state, args->receipts, &args->receipt_count, arg);
        return 0;
    case KEY_JSON:
        args->auditor.report.json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (args->auditor.dir)
            argp_error(state, "\"%.60s\" is one argument too many", arg);
        args->auditor.dir = arg;
        return 0;
    case ARGP_KEY_END:
        finish(state, args);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(struct arguments *args) {
    struct auditor *a = &args->auditor;
    for (size_t i = 0; i < args->earlier_count; i++)
        auditor_take_checkpoint(a, args->earlier[i]);
    for (size_t i = 0; i < args->receipt_count; i++)
        auditor_take_receipt(a, args->receipts[i]);
    if (a->dir && auditor_open(a)) {
        auditor_verify_log(a);
        auditor_compare_registry(a);
    }
    auditor_keys_tell(a);
    int code = auditor_conclude(&a->report, a->size - a->from, a->cosigned);
    auditor_table_free(&a->devices);
    auditor_table_free(&a->certificates);
    auditor_table_free(&a->operators);
    auditor_table_free(&a->products);
    auditor_jobs_free(&a->jobs);
    auditor_keys_free(&a->keys);
    return fflush(stdout) ? EX_IOERR : code;
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[EXPORT]",
        .doc = "Verify an export of a Touchmark audit log (touchmark audit export), or receipts "
               "alone: leaves, tiles, checkpoint and cosignatures, what was shown earlier, "
               "whether each issuance was within its job's terms, and whether the registry is "
               "what the log comes to. What keys signed is summed.\v"
               "Exit codes: 0 verified; what is wrong first: 2 leaves, tiles or root, 3 the "
               "checkpoint's signature, 4 an earlier checkpoint or receipt shows another history, "
               "5 too few cosignatures, 6 the registry is not what the log says; 64 wrong usage."};
    AUTO_MEM struct arguments *args = calloc(1, sizeof *args);
    if (!args)
        return EX_OSERR;
    (void)argp_parse(&argp, argc, argv, 0, NULL, args);
    return run(args);
}
