/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark audit witness`: the client's side of c2sp.org/tlog-witness, by libcurl. Nothing that a
 * witness says is believed here: the core verifies what is brought to it.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/audit_command.h"
#include "base/auto.h"
#include "base/file.h"
#include "conf/conf.h"

#define URL_MAX 600
#define TIMEOUT_S 60L
#define TRIES 3 /* a size from memory, the one that the witness says, and once more in a race */

typedef struct conf conf_t;
AUTO_DEFINE(conf_t, conf_close)
AUTO_DEFINE(json_t, json_decref)
AUTO_DEFINE(CURL, curl_easy_cleanup)

struct visit {
    struct admin_call *call;
    const struct conf_witness *witness;
    struct audit_key key;
    const char *origin; /* the log's */
    char *checkpoint;   /* the newest signed note; the visit's */
    uint8_t answer[AUDIT_NOTE_MAX];
    size_t answer_n;
    long status;
};

/* ---- HTTP ---- */

static size_t receive(char *data, size_t size, size_t n, void *arg) {
    struct visit *v = arg;
    if (n * size > sizeof v->answer - v->answer_n)
        return 0; /* no witness says so much */
    memcpy(v->answer + v->answer_n, data, n * size);
    v->answer_n += n * size;
    return n * size;
}

/* body NULL: GET. */
static int exchange(struct visit *v, const char *path, const char *body) {
    char url[URL_MAX], reason[CURL_ERROR_SIZE] = "";
    AUTO(CURL) curl = curl_easy_init();
    if (!curl)
        return EX_OSERR;
    (void)snprintf(url, sizeof url, "%s/%s", v->witness->url, path);
    v->answer_n = 0;
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, v);
    if (body) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode rc = curl_easy_perform(curl);
    if (rc != CURLE_OK) {
        (void)admin_audit_fail("witness %s: %s", v->key.name,
                               reason[0] ? reason : curl_easy_strerror(rc));
        return EX_UNAVAILABLE;
    }
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &v->status);
    return EX_OK;
}

/* ---- the core ---- */

static int ask_growth(struct visit *v, uint64_t old, json_t **ret_answer) {
    struct ipc_admin_request *request = &v->call->request;
    request->verb = IPC_ADMIN_PROVE;
    TEXT_SET(request->state, "growth");
    (void)snprintf(request->cursor, sizeof request->cursor, "%" PRIu64, old);
    return admin_ask(v->call, ret_answer);
}

static int bring(struct visit *v, struct bytes note) {
    struct ipc_admin_request *request = &v->call->request;
    AUTO(json_t) answer = NULL;
    request->verb = IPC_ADMIN_COSIGN;
    request->data = note;
    int code = admin_ask(v->call, &answer);
    request->data = (struct bytes){0};
    return code;
}

/* ---- what a witness answers ---- */

/* The checkpoint that was sent, with the lines that came back. */
static int bring_lines(struct visit *v, const char *addition) {
    uint8_t memory[2 * AUDIT_NOTE_MAX];
    struct buf note = BUF_ON(memory);
    const char *gap = strstr(addition, "\n\n");
    if (!gap)
        return EX_SOFTWARE;
    buf_put(&note, bytes_str(gap + 2));
    buf_put(&note, (struct bytes){v->answer, v->answer_n});
    return bring(v, buf_bytes(&note));
}

/* What it has seen this log does not go on from: it can show that, signed by this log's key. */
static int bring_seen(struct visit *v) {
    struct audit_hash hash;
    const struct bytes origin = bytes_str(v->origin);
    char name[65], path[128];
    if (audit_sha256(&origin, 1, &hash) || hex_encode(BYTES_OF(hash.octets), name, sizeof name))
        return EX_SOFTWARE;
    (void)snprintf(path, sizeof path, "%.64s/checkpoint", name);
    if (exchange(v, path, NULL) == EX_OK && v->status == 200)
        (void)bring(v, (struct bytes){v->answer, v->answer_n});
    return ADMIN_EXIT_REFUSED;
}

static int refused(const struct visit *v) {
    return admin_audit_fail("witness %s refuses the checkpoint: HTTP status %ld, %.*s", v->key.name,
                            v->status, (int)strcspn((const char *)v->answer, "\n"),
                            (const char *)v->answer);
}

/* One request. EX_TEMPFAIL: with the size that *old is now, again. */
static int try_once(struct visit *v, uint64_t ours, uint64_t *old) {
    AUTO(json_t) growth = NULL;
    uint64_t its;
    int code = ask_growth(v, *old, &growth);
    if (code != EX_OK)
        return code;
    const char *body = json_string_value(json_object_get(growth, "proof"));
    code = exchange(v, "add-checkpoint", body ? body : "");
    if (code != EX_OK)
        return code;
    v->answer[v->answer_n < sizeof v->answer ? v->answer_n : sizeof v->answer - 1] = 0;
    if (v->status == 200)
        return bring_lines(v, body);
    if (v->status != 409 || v->answer_n < 2 ||
        audit_decimal((struct bytes){v->answer, v->answer_n - 1}, &its))
        return refused(v);
    if (its > ours)
        return admin_audit_fail("witness %s has seen a log of %" PRIu64
                                " leaves; this one has %" PRIu64,
                                v->key.name, its, ours);
    *old = its;
    return EX_TEMPFAIL;
}

static int visit(struct visit *v, const json_t *answer) {
    struct audit_checkpoint checkpoint;
    const json_t *seen = json_object_get(json_object_get(answer, "witnesses"), v->key.name);
    uint64_t old = (uint64_t)json_integer_value(seen);
    if (!admin_audit_read(v->checkpoint, &checkpoint))
        return admin_audit_fail("no checkpoint has been signed yet");
    int code = EX_TEMPFAIL;
    for (unsigned i = 0; i < TRIES && code == EX_TEMPFAIL; i++)
        code = try_once(v, checkpoint.size, &old);
    if (code != EX_OK && (v->status == 409 || v->status == 422))
        code = bring_seen(v);
    if (code == EX_OK)
        printf("witness %s cosigned %" PRIu64 " leaves\n", v->key.name, checkpoint.size);
    return code;
}

/* ---- all of them ---- */

static int visit_all(struct admin_call *call, const struct conf *conf, const json_t *answer) {
    const struct conf_witness *witnesses = conf->audit.witnesses.items;
    const char *signed_note = json_string_value(json_object_get(answer, "signed"));
    int worst = EX_OK;
    for (size_t i = 0; i < conf->audit.witnesses.count; i++) {
        AUTO_MEM struct visit *v = calloc(1, sizeof *v);
        AUTO_MEM char *note = strdup(signed_note ? signed_note : "");
        if (!v || !note)
            return EX_OSERR;
        v->call = call;
        v->witness = &witnesses[i];
        v->origin = conf->audit.origin;
        v->checkpoint = note;
        if (!witnesses[i].url || audit_vkey_parse(bytes_str(witnesses[i].key), &v->key))
            continue;
        int code = visit(v, answer);
        worst = code != EX_OK ? code : worst;
    }
    return worst;
}

/* What was taken out of here, for the next start of a core: only if it is larger than what is
 * there, for that may be what shows that the log was put back. */
static int keep_seen(struct admin_call *call, const char *path) {
    AUTO(json_t) answer = NULL;
    uint8_t memory[AUDIT_NOTE_MAX + 1] = {0};
    struct audit_checkpoint old, new;
    int code = admin_audit_ask_checkpoint(call, false, &answer);
    if (code != EX_OK)
        return code;
    const char *note = admin_audit_newest(answer);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, memory, AUDIT_NOTE_MAX) < 0)
        return admin_audit_fail("%s cannot be read", path);
    if (!admin_audit_read(note, &new) ||
        (admin_audit_read((const char *)memory, &old) && old.size > new.size))
        return EX_OK;
    if (file_replace(path, bytes_str(note), 0644))
        return admin_audit_fail("%s cannot be written", path);
    return EX_OK;
}

int admin_audit_witness(struct admin_call *call) {
    struct conf conf = {0};
    AUTO(conf_t) owned = &conf;
    AUTO(json_t) answer = NULL;
    char error[CONF_ERROR_MAX];
    if (conf_open_file(call->conf, owned, error)) {
        fprintf(stderr, "touchmark: %s\n", error);
        return EX_CONFIG;
    }
    int code = admin_audit_ask_checkpoint(call, false, &answer);
    if (code != EX_OK)
        return code;
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return EX_OSERR;
    code = visit_all(call, owned, answer);
    curl_global_cleanup();
    int kept = owned->audit.seen ? keep_seen(call, owned->audit.seen) : EX_OK;
    return code != EX_OK ? code : kept;
}
