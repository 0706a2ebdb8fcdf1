/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of `touchmark`: one table of arguments and options (admin/fields.c), one of
 * commands (admin/commands.c). Command line, help and requests to the core come from them.
 */
#ifndef TOUCHMARK_ADMIN_COMMAND_H
#define TOUCHMARK_ADMIN_COMMAND_H

#include <sysexits.h>

#include "conf/schema.h"
#include "ipc/admin.h"

/* Exit codes besides EX_OK: 1 the server (or a file) says no, EX_USAGE, EX_UNAVAILABLE the
 * server cannot be reached, EX_CONFIG the configuration is refused. */
#define ADMIN_EXIT_REFUSED 1

/* What may stand on a command line; index into admin_fields. */
enum admin_field_id {
    ADMIN_NO_FIELD,
    ADMIN_CONF,
    ADMIN_SOCKET,
    ADMIN_JSON,
    ADMIN_TENANT,
    ADMIN_DEVICE,
    ADMIN_SERIAL,
    ADMIN_STATE,
    ADMIN_REASON,
    ADMIN_SKU,
    ADMIN_HARDWARE_REVISION,
    ADMIN_BATCH,
    ADMIN_SITE,
    ADMIN_VALID,
    ADMIN_FROM,
    ADMIN_LIMIT,
    ADMIN_PEM,
    ADMIN_OFFLINE,
    ADMIN_STATION,
    ADMIN_JOB,
    ADMIN_PROFILE,
    ADMIN_ISSUER,
    ADMIN_SINCE,
    ADMIN_UNTIL,
    ADMIN_DEVICE_OPTION, /* the device ID as an option, where it is one of several choices */
    ADMIN_OFFICER,
    ADMIN_KEY,  /* a file that only the program reads */
    ADMIN_FILE, /* the same, as an argument; several where the command repeats it */
    ADMIN_ALL,
    ADMIN_ACT,
    ADMIN_SIGNATURE,
    ADMIN_TEXT,
    ADMIN_PREVIEW,
    ADMIN_WORDS,
    ADMIN_LIFETIME,
    ADMIN_REQUEST,
    ADMIN_CLOUD,
    ADMIN_CODE,
    ADMIN_ACT_OPTION, /* an act's ID as an option */
    ADMIN_OUT,
    ADMIN_PROOF,
    ADMIN_LEAF,
    ADMIN_DIR,
    ADMIN_JOB_NAME, /* as an argument */
    ADMIN_OPERATOR, /* the same */
    ADMIN_IDS,
    ADMIN_COUNTS,
    ADMIN_SECRET,
    ADMIN_PRODUCT,
    ADMIN_FORMAT,
    ADMIN_DRY_RUN,
    ADMIN_SKIP_BAD,
    ADMIN_PROGRESS,
    ADMIN_SIGNER,
    ADMIN_QUESTION,
    ADMIN_STATE_OPTION, /* a state as an option */
    ADMIN_OUTCOME,
    ADMIN_WITHIN,
    ADMIN_LONGER,
    ADMIN_AFTER,
    ADMIN_DAYS,
    ADMIN_CONSUMER,
    ADMIN_FOLLOW,
    ADMIN_FIELD_COUNT,
};

#define ADMIN_FILES_MAX 32

/* One command line, taken apart. */
struct admin_call {
    const struct admin_command *command;
    const char *conf;   /* the configuration file */
    const char *socket; /* NULL: as the configuration says */
    bool json;
    bool pem;
    bool offline;
    const char *key; /* file, NULL: none given */
    const char *files[ADMIN_FILES_MAX];
    size_t file_count;
    const char *signature; /* file, NULL: none given */
    const char *remark;    /* NULL: none given */
    const char *code;      /* that a cloud gave, NULL: none given */
    const char *out;       /* folder, NULL: none given */
    const char *proof;     /* file, NULL: none given */
    const char *ids;       /* file, NULL: none given */
    const char *counts;    /* NULL: none given */
    const char *secret;    /* file, NULL: none given */
    const char *signer;    /* file, NULL: none given */
    const char *format;    /* of a file, NULL: none given */
    bool text;
    bool preview;
    bool dry_run;
    bool progress;
    bool follow;
    int64_t within_ms; /* 0: not given */
    int64_t longer_ms;
    uint32_t limit; /* rows in all, 0 = all there are */
    struct ipc_admin_request request;
};

struct admin_command {
    const char *words;                /* "device add" */
    uint8_t verb;                     /* enum ipc_admin_verb, 0: not a request to the core */
    enum admin_field_id arguments[3]; /* ends with ADMIN_NO_FIELD */
    size_t required;                  /* arguments that must be given */
    bool repeats;                     /* the last one may be given several times */
    uint64_t options;                 /* bits 1 << enum admin_field_id */
    enum admin_field_id demanded;     /* an option that must be given */
    const char *help;
    int (*run)(struct admin_call *call); /* returns the exit code */
};

/* Ends with an entry whose words are NULL. */
extern const struct admin_command admin_commands[];

struct admin_field {
    const char *name;
    int letter;          /* short option, or 0 */
    const char *metavar; /* NULL: a switch */
    const char *help;
};
extern const struct admin_field admin_fields[ADMIN_FIELD_COUNT];

/* Puts a value into its place in the call. TM_EPARSE: `allowed` says what it must be. */
MUST_USE enum tm_err admin_field_set(enum admin_field_id id, const char *text,
                                     struct admin_call *call, char allowed[CONF_ERROR_MAX]);

/* Takes the command line apart; help and refusals end the program as argp does. */
void admin_parse(int argc, char **argv, const struct admin_command *command,
                 struct admin_call *ret_call);

/* Runs a request to the core: connects, asks, prints. Returns the exit code. */
int admin_request(struct admin_call *call);
/* The same, but its one answer is not printed: the caller owns the object. */
struct json_t;
int admin_ask(struct admin_call *call, struct json_t **ret_answer);
/* Who takes the rows of a listing. An exit code that is not EX_OK ends it. */
struct admin_taker {
    int (*row)(void *arg, struct bytes json);
    /* Behind each page, of so many rows. Then one without rows does not end the listing, but
     * *ret_enough does. NULL: it ends where the core has no more. */
    int (*page)(void *arg, size_t rows, bool *ret_enough);
    void *arg;
};
/* The same for a listing, of which no row is printed. */
int admin_each(struct admin_call *call, const struct admin_taker *taker);
/* admin_taker.row that writes it to a FILE, as a line of JSON. */
int admin_put_row(void *out, struct bytes json);
/* What such a row says, as the caller's object. */
int admin_row_read(struct bytes json, struct json_t **ret_row);
/* A connection to the core; the caller closes it. */
int admin_connect(const struct admin_call *call, int *ret_fd);
/* The moves of a device that have names of their own. */
int admin_device_move(struct admin_call *call);
/* Devices by the file. */
int admin_device_import(struct admin_call *call);
int admin_device_export(struct admin_call *call);
/* Proposes an act of this kind and shows it. */
int admin_propose(struct admin_call *call, const char *kind, const struct json_t *parameters);
/* Questions to the index of devices, and the audit log for a consumer. */
int admin_device_find(struct admin_call *call);
int admin_events(struct admin_call *call);
/* Profiles. */
int admin_profile_check(struct admin_call *call);
int admin_profile_diff(struct admin_call *call);
int admin_profile_apply(struct admin_call *call);
int admin_product_check(struct admin_call *call);
/* The local commands. */
int admin_store_create(struct admin_call *call);
int admin_store_check(struct admin_call *call);
int admin_store_accept(struct admin_call *call);
/* The audit log: checkpoints, proofs, export, witnesses, its key. */
int admin_audit_checkpoint(struct admin_call *call);
int admin_audit_prove(struct admin_call *call);
int admin_audit_export(struct admin_call *call);
int admin_audit_witness(struct admin_call *call);
int admin_audit_key(struct admin_call *call);
/* Registering an issuer with a cloud. */
int admin_cloud_proof(struct admin_call *call);
int admin_cloud_export(struct admin_call *call);
/* Production jobs and who works at stations. */
int admin_job_open(struct admin_call *call);
int admin_job_resume(struct admin_call *call);
int admin_job_units(struct admin_call *call);
int admin_job_close(struct admin_call *call);
int admin_job_scrap(struct admin_call *call);
int admin_operator_add(struct admin_call *call);
int admin_operator_remove(struct admin_call *call);
int admin_operator_list(struct admin_call *call);
/* Acts that take two officers. */
int admin_act_show(struct admin_call *call);
int admin_act_sign(struct admin_call *call);
int admin_act_withdraw(struct admin_call *call);
int admin_revoke(struct admin_call *call);
/* Prints one that the server has answered with. */
int admin_print_act(const struct admin_call *call, struct json_t *act);
/* The two answers of an officer. */
int admin_pending_approve(struct admin_call *call);
int admin_pending_deny(struct admin_call *call);

#endif
