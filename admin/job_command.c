/* SPDX-License-Identifier: Apache-2.0 */
/* Production jobs: opening them, lists of IDs, units whose station is gone, closing. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "admin/command.h"
#include "admin/render.h"
#include "base/auto.h"
#include "ca/job.h"

AUTO_DEFINE(json_t, json_decref)

static int refused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return ADMIN_EXIT_REFUSED;
}

/* What the server has answered with: an act where there are officers, else the job. */
static int show(const struct admin_call *call, json_t *answer) {
    if (call->json || json_object_get(answer, "signatures"))
        return admin_print_act(call, answer);
    admin_render_object(answer, stdout);
    return EX_OK;
}

static int ask_and_show(struct admin_call *call) {
    AUTO(json_t) answer = NULL;
    int code = admin_ask(call, &answer);
    if (code == EX_OK)
        code = show(call, answer);
    return fflush(stdout) && code == EX_OK ? EX_IOERR : code;
}

/* ---- lists of IDs ---- */

typedef char device_id[IPC_NAME_MAX + 1];

struct ids {
    device_id *items; /* sorted by their octets */
    size_t count;
};

static int by_octets(const void *a, const void *b) {
    return strcmp(a, b);
}

static int add_id(struct ids *ids, const char *line) {
    if (strlen(line) > IPC_NAME_MAX)
        return refused("a device ID has at most 64 octets");
    if (ids->count == CA_JOB_LISTED_MAX)
        return refused("a list has at most 100000 IDs");
    if ((ids->count & (ids->count - 1)) == 0) {
        size_t room = ids->count ? 2 * ids->count : 1;
        device_id *more = realloc(ids->items, room * sizeof *more);
        if (!more)
            return refused("out of memory");
        ids->items = more;
    }
    TEXT_SET(ids->items[ids->count++], line);
    return EX_OK;
}

static int take_lines(FILE *in, struct ids *ids) {
    AUTO_MEM char *line = NULL;
    size_t cap = 0;
    int code = EX_OK;
    while (code == EX_OK && getline(&line, &cap, in) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0])
            code = add_id(ids, line);
    }
    if (code == EX_OK && ferror(in))
        code = refused("the list of IDs cannot be read");
    if (code == EX_OK && !ids->count)
        code = refused("the list has no IDs");
    return code;
}

static int read_ids(const char *path, struct ids *ids) {
    FILE *in = fopen(path, "re");
    if (!in)
        return refused("the list of IDs cannot be read");
    int code = take_lines(in, ids);
    (void)fclose(in);
    if (code == EX_OK)
        qsort(ids->items, ids->count, sizeof *ids->items, by_octets);
    return code;
}

static bool hash_ids(const struct ids *ids, char ret[CA_JOB_HASH_TEXT]) {
    uint8_t hash[CA_HASH_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < ids->count && good; i++)
        good = EVP_DigestUpdate(ctx, ids->items[i], strlen(ids->items[i])) == 1 &&
               EVP_DigestUpdate(ctx, "\n", 1) == 1;
    good = good && EVP_DigestFinal_ex(ctx, hash, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return good && !hex_encode(BYTES_OF(hash), ret, CA_JOB_HASH_TEXT);
}

static int send_part(const struct admin_call *call, const char *hash, struct bytes part) {
    AUTO_MEM struct admin_call *put = malloc(sizeof *put);
    AUTO(json_t) answer = NULL;
    if (!put)
        return refused("out of memory");
    *put = *call;
    TEXT_SET(put->request.state, "ids");
    TEXT_SET(put->request.cursor, hash);
    put->request.data = part;
    return admin_ask(put, &answer);
}

static int send_ids(const struct admin_call *call, const struct ids *ids, const char *hash) {
    AUTO_MEM uint8_t *octets = malloc(CA_JOB_IDS_MAX);
    struct buf part = {octets, CA_JOB_IDS_MAX, 0, false};
    int code = octets ? EX_OK : refused("out of memory");
    for (size_t i = 0; i < ids->count && code == EX_OK; i++) {
        size_t n = strlen(ids->items[i]) + 1;
        if (part.n + n > part.cap) {
            code = send_part(call, hash, buf_bytes(&part));
            part.n = 0;
        }
        buf_put(&part, bytes_str(ids->items[i]));
        buf_put_u8(&part, '\n');
    }
    return code == EX_OK ? send_part(call, hash, buf_bytes(&part)) : code;
}

/* Sends the list ahead; the job then names it by its hash. */
static int put_list(struct admin_call *call) {
    char hash[CA_JOB_HASH_TEXT];
    struct ids ids = {0};
    if (!call->ids)
        return EX_OK;
    int code = read_ids(call->ids, &ids);
    if (code == EX_OK)
        code = hash_ids(&ids, hash) ? send_ids(call, &ids, hash) : refused("out of memory");
    if (code == EX_OK)
        TEXT_SET(call->request.cursor, hash);
    free(ids.items);
    return code;
}

/* ---- commands ---- */

/* The file is judged here, too: its faults are then told by its own name. */
int admin_job_open(struct admin_call *call) {
    char error[CONF_ERROR_MAX];
    AUTO_MEM char *text = NULL;
    size_t n = 0;
    struct ca_job job;
    if (conf_read_file(call->files[0], &text, &n, error) ||
        ca_job_read(text, n, call->files[0], 0, &job, error))
        return refused(error);
    if (n > IPC_ADMIN_DATA_MAX)
        return refused("the file is too long; give a list of IDs by --ids");
    int code = put_list(call);
    if (code != EX_OK)
        return code;
    call->request.data = (struct bytes){(const uint8_t *)text, n};
    return ask_and_show(call);
}

int admin_job_resume(struct admin_call *call) {
    return ask_and_show(call);
}

int admin_job_units(struct admin_call *call) {
    TEXT_SET(call->request.state, "units");
    return admin_request(call);
}

/* ---- units without a station ---- */

static int note_unit(void *arg, struct bytes json) {
    json_t *row;
    int code = admin_row_read(json, &row);
    if (code != EX_OK)
        return code;
    const char *result = json_string_value(json_object_get(row, "result"));
    const char *device = json_string_value(json_object_get(row, "device"));
    code = result && !result[0] && device ? add_id(arg, device) : EX_OK;
    json_decref(row);
    return code;
}

/* Those without a result, one after the other. */
static int scrap_all(struct admin_call *call) {
    AUTO_MEM struct admin_call *list = malloc(sizeof *list);
    struct ids units = {0};
    if (!list)
        return refused("out of memory");
    *list = *call;
    list->request.verb = IPC_ADMIN_JOB_SHOW;
    TEXT_SET(list->request.state, "units");
    const struct admin_taker taker = {.row = note_unit, .arg = &units};
    int code = admin_each(list, &taker);
    for (size_t i = 0; i < units.count && code == EX_OK; i++) {
        TEXT_SET(call->request.device, units.items[i]);
        code = admin_request(call);
    }
    free(units.items);
    return code;
}

int admin_job_scrap(struct admin_call *call) {
    bool all = call->request.all;
    if (all == (call->request.device[0] != '\0')) {
        fprintf(stderr, "touchmark: give either the ID of a unit or --all\n");
        return EX_USAGE;
    }
    return all ? scrap_all(call) : admin_request(call);
}

int admin_job_close(struct admin_call *call) {
    uint32_t passed, failed, scrapped;
    char text[128], end;
    if (sscanf(call->counts, "%" SCNu32 ",%" SCNu32 ",%" SCNu32 "%c", &passed, &failed, &scrapped,
               &end) != 3) {
        fprintf(stderr, "touchmark: --counts is three numbers: passed,failed,scrapped\n");
        return EX_USAGE;
    }
    (void)snprintf(text, sizeof text,
                   "{\"passed\":%" PRIu32 ",\"failed\":%" PRIu32 ",\"scrapped\":%" PRIu32 "}",
                   passed, failed, scrapped);
    call->request.data = bytes_str(text);
    return ask_and_show(call);
}
