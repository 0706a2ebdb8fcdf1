/* SPDX-License-Identifier: Apache-2.0 */
/* A request to the core over the administration socket, and its replies on the terminal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <openssl/pem.h>

#include "admin/command.h"
#include "admin/render.h"
#include "base/auto.h"
#include "conf/conf.h"
#include "ipc/link.h"

#define REPLY_MS 30000
#define WALK_MS (3600 * 1000) /* what takes time in proportion to the store */
#define PAGE_ROWS 200

typedef struct conf conf_t;
AUTO_DEFINE(json_t, json_decref)
AUTO_DEFINE(conf_t, conf_close)

struct exchange {
    struct admin_call *call;
    int fd;
    json_t *rows;    /* of the page at hand */
    json_t **answer; /* takes the last reply instead of the terminal; NULL: the terminal does */
    const struct admin_taker *taker; /* takes rows instead of the terminal; NULL: it does */
    uint8_t packet[IPC_MESSAGE_MAX];
};

static int refused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return ADMIN_EXIT_REFUSED;
}

/* The address of the core: --socket, or what the configuration says. */
static int find_socket(const struct admin_call *call, struct sockaddr_un *ret) {
    struct conf conf = {0};
    AUTO(conf_t) owned = &conf;
    char error[CONF_ERROR_MAX];
    const char *path = call->socket;
    if (!path && conf_open_file(call->conf, owned, error)) {
        fprintf(stderr, "touchmark: %s\n", error);
        return EX_CONFIG;
    }
    path = path ? path : conf.core.admin_socket;
    if (strlen(path) >= sizeof(ret->sun_path)) {
        fprintf(stderr, "touchmark: the path of the socket is too long: %s\n", path);
        return EX_USAGE;
    }
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)strcpy(ret->sun_path, path);
    return EX_OK;
}

static int reach(const struct sockaddr_un *address, int *ret_fd) {
    AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address))) {
        fprintf(stderr, "touchmark: touchmarkd does not answer at %s: %s\n", address->sun_path,
                strerror(errno));
        return EX_UNAVAILABLE;
    }
    *ret_fd = TAKE_FD(fd);
    return EX_OK;
}

static int lost(enum tm_err err) {
    fprintf(stderr, "touchmark: no answer from touchmarkd (%s)\n", tm_err_name(err));
    return EX_UNAVAILABLE;
}

static int patience(uint8_t verb) {
    bool walks = verb == IPC_ADMIN_STORE_CHECK || verb == IPC_ADMIN_REVOKE_PREVIEW ||
                 verb == IPC_ADMIN_ACT_PROPOSE;
    return walks ? WALK_MS : REPLY_MS;
}

static int receive(struct exchange *x, struct ipc_admin_reply *ret) {
    int timeout = patience(x->call->request.verb);
    struct bytes message;
    enum tm_err err = ipc_receive(x->fd, x->packet, sizeof(x->packet), timeout, &message);
    if (!err)
        err = codec_decode(&ipc_admin_reply_schema, message, ret);
    return err ? lost(err) : EX_OK;
}

int admin_put_row(void *out, struct bytes json) {
    return fprintf(out, "%.*s\n", (int)json.n, (const char *)json.p) < 0 ? EX_IOERR : EX_OK;
}

static int print_pem(struct bytes der) {
    if (der.n == 0)
        return refused("this serial was burned: there is no certificate");
    return PEM_write(stdout, PEM_STRING_X509, "", der.p, (long)der.n) > 0 ? EX_OK : EX_IOERR;
}

/* The core makes secrets of hex digits, so they need no escaping. Straight to the descriptor,
 * so that no copy stays in stdio's buffer. */
static int print_secret(const struct admin_call *call, struct bytes secret) {
    char text[2 * (IPC_NAME_MAX + IPC_SECRET_MAX)];
    const char *user = call->request.device, *p = (const char *)secret.p;
    int n = call->json
                ? snprintf(text, sizeof(text), "{\"user\":\"%s\",\"secret\":\"%.*s\"}\n", user,
                           (int)secret.n, p)
                : snprintf(text, sizeof(text), "user=%s\nsecret=%.*s\n", user, (int)secret.n, p);
    ssize_t written = write(STDOUT_FILENO, text, (size_t)n);
    bytes_wipe(text, sizeof(text));
    return written == n ? EX_OK : EX_IOERR;
}

static json_t *parse(struct bytes json) {
    return json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
}

int admin_row_read(struct bytes json, json_t **ret_row) {
    json_t *row = parse(json);
    if (!row)
        return lost(TM_EPARSE);
    *ret_row = row;
    return EX_OK;
}

static int take_row(struct exchange *x, struct bytes json) {
    if (x->taker)
        return x->taker->row(x->taker->arg, json);
    if (x->call->json)
        return admin_put_row(stdout, json);
    if (json_array_append_new(x->rows, parse(json)))
        return lost(TM_EPARSE);
    return EX_OK;
}

/* The last reply: of a single answer, or the end of a page. */
static int print_answer(const struct exchange *x, const struct ipc_admin_reply *reply) {
    if (x->answer) {
        *x->answer = parse(reply->json);
        return *x->answer ? EX_OK : lost(TM_EPARSE);
    }
    if (reply->secret.n > 0)
        return print_secret(x->call, reply->secret);
    if (x->call->pem)
        return print_pem(reply->der);
    if (reply->json.n == 0)
        return EX_OK;
    if (x->call->json)
        return admin_put_row(stdout, reply->json);
    AUTO(json_t) object = parse(reply->json);
    if (!object)
        return lost(TM_EPARSE);
    admin_render_object(object, stdout);
    return EX_OK;
}

/* Receives replies until the page is over; rows are printed even if a refusal follows them. The end
 * borrows from the packet. */
static int receive_page(struct exchange *x, struct ipc_admin_reply *ret_end, size_t *ret_rows) {
    int code = EX_OK;
    size_t rows = 0;
    ret_end->more = 1;
    while (code == EX_OK && ret_end->more) {
        code = receive(x, ret_end);
        if (code == EX_OK && ret_end->more && ++rows)
            code = take_row(x, ret_end->json);
    }
    admin_render_table(x->rows, stdout);
    (void)json_array_clear(x->rows);
    *ret_rows = rows;
    if (code == EX_OK && !ret_end->ok)
        code = refused(ret_end->text);
    return code;
}

/* Is there another page to ask for? One without rows ends a listing, unless what it looked at moved
 * the cursor: so a wrong one cannot ask for ever. */
static bool goes_on(const struct ipc_admin_request *request, const struct ipc_admin_reply *end,
                    size_t rows, uint32_t left) {
    return end->cursor[0] && left > 0 && (rows > 0 || strcmp(end->cursor, request->cursor) != 0);
}

static int end_page(struct exchange *x, const struct ipc_admin_reply *end, size_t rows,
                    uint32_t left, bool *ret_more) {
    bool enough = false;
    *ret_more = goes_on(&x->call->request, end, rows, left);
    if (!x->taker || !x->taker->page)
        return *ret_more ? EX_OK : print_answer(x, end);
    int code = x->taker->page(x->taker->arg, rows, &enough);
    *ret_more = !enough && left > 0;
    return code;
}

static int ask(struct exchange *x) {
    struct ipc_admin_request *request = &x->call->request;
    uint32_t left = x->call->limit ? x->call->limit : UINT32_MAX;
    int code = EX_OK;
    for (bool more = true; more && code == EX_OK;) {
        struct ipc_admin_reply end;
        size_t rows;
        request->limit = left < PAGE_ROWS ? left : PAGE_ROWS;
        enum tm_err err = ipc_send(x->fd, &ipc_admin_request_schema, request);
        if (err)
            return lost(err);
        code = receive_page(x, &end, &rows);
        left -= rows < left ? (uint32_t)rows : left;
        if (code == EX_OK)
            code = end_page(x, &end, rows, left, &more);
        if (code == EX_OK)
            (void)strcpy(request->cursor, end.cursor);
    }
    return code;
}

int admin_connect(const struct admin_call *call, int *ret_fd) {
    struct sockaddr_un address;
    int code = find_socket(call, &address);
    return code == EX_OK ? reach(&address, ret_fd) : code;
}

static int exchange(struct exchange *x) {
    int code = admin_connect(x->call, &x->fd);
    if (code != EX_OK)
        return code;
    x->rows = json_array();
    code = x->rows ? ask(x) : lost(TM_ENOMEM);
    json_decref(x->rows);
    (void)close(x->fd);
    bytes_wipe(x->packet, sizeof(x->packet));
    if (fflush(stdout) && code == EX_OK)
        code = EX_IOERR;
    return code;
}

int admin_request(struct admin_call *call) {
    struct exchange x = {.call = call, .fd = -1};
    return exchange(&x);
}

int admin_each(struct admin_call *call, const struct admin_taker *taker) {
    struct exchange x = {.call = call, .fd = -1, .taker = taker};
    return exchange(&x);
}

int admin_ask(struct admin_call *call, json_t **ret_answer) {
    json_t *answer = NULL;
    struct exchange x = {.call = call, .fd = -1, .answer = &answer};
    int code = exchange(&x);
    if (code == EX_OK && !answer)
        code = lost(TM_EPARSE);
    if (code == EX_OK)
        *ret_answer = answer;
    return code;
}
