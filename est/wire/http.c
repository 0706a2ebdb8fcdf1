/* SPDX-License-Identifier: Apache-2.0 */
/* Paths (RFC 7030, 3.2.2), media types (RFC 9110, 8.3.1) and Basic credentials (RFC 7617). */
#include "est/wire/http.h"

#include <string.h>
#include <strings.h>

#include "est/wire/base64.h"

#define PREFIX "/.well-known/est"
#define CREDENTIALS_MAX 512 /* user, colon and password */

static const struct {
    enum est_operation operation;
    const char *name;
} operations[] = {
    {EST_CACERTS, "cacerts"},
    {EST_SIMPLEENROLL, "simpleenroll"},
    {EST_SIMPLEREENROLL, "simplereenroll"},
    {EST_FULLCMC, "fullcmc"},
    {EST_SERVERKEYGEN, "serverkeygen"},
    {EST_CSRATTRS, "csrattrs"},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

const char *est_operation_name(enum est_operation op) {
    for (size_t i = 0; i < OPERATIONS; i++)
        if (operations[i].operation == op)
            return operations[i].name;
    return "unknown";
}

static enum tm_err find_operation(const char *name, enum est_operation *ret) {
    for (size_t i = 0; i < OPERATIONS; i++)
        if (strcmp(operations[i].name, name) == 0) {
            *ret = operations[i].operation;
            return TM_OK;
        }
    return TM_ENOTFOUND;
}

bool est_is_operation_name(const char *s) {
    enum est_operation op;
    return find_operation(s, &op) == TM_OK;
}

/* RFC 3986, 2.3: unreserved characters are the same with and without percent-encoding. */
static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

bool est_label_valid(const char *label) {
    size_t n = strlen(label);
    if (n == 0 || n > EST_LABEL_MAX || est_is_operation_name(label))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_unreserved(label[i]))
            return false;
    /* RFC 3986, 6.2.2.3: proxies take dot segments away. */
    return strcmp(label, ".") != 0 && strcmp(label, "..") != 0;
}

/* The part behind the last slash, which is the operation. */
static enum tm_err parse_below(const char *below, struct est_path *ret) {
    struct est_path path = {0};
    const char *slash = strchr(below, '/');
    if (slash) {
        size_t n = (size_t)(slash - below);
        if (n > EST_LABEL_MAX)
            return TM_EPARSE;
        memcpy(path.label, below, n);
        if (!est_label_valid(path.label))
            return TM_EPARSE;
        below = slash + 1;
    }
    if (find_operation(below, &path.operation) != TM_OK)
        return TM_EPARSE;
    *ret = path;
    return TM_OK;
}

enum tm_err est_path_parse(const char *path, struct est_path *ret) {
    size_t n = strlen(PREFIX);
    if (strncmp(path, PREFIX, n) != 0 || (path[n] != '/' && path[n] != '\0'))
        return TM_ENOTFOUND;
    return path[n] == '\0' ? TM_EPARSE : parse_below(path + n + 1, ret);
}

/* The credentials behind "Basic" and its spaces (RFC 9110, 11.4). */
static enum tm_err basic_token(const char *authorization, struct bytes *ret) {
    size_t n = strlen("Basic");
    if (strncasecmp(authorization, "Basic", n) != 0 ||
        (authorization[n] != ' ' && authorization[n] != '\0'))
        return TM_ENOTFOUND;
    const char *token = authorization + n;
    while (*token == ' ')
        token++;
    *ret = bytes_str(token);
    /* One token68: the decoder would skip white space inside. */
    return token[0] == '\0' || strpbrk(token, " \t\r\n") ? TM_EPARSE : TM_OK;
}

/* RFC 7617, 2: "The user-id and password MUST NOT contain any control characters". */
static bool has_control(struct bytes text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] == 0x7f)
            return true;
    return false;
}

/* User names are device IDs, and stand in logs and records: ASCII. */
static bool is_user(struct bytes user) {
    for (size_t i = 0; i < user.n; i++)
        if (user.p[i] >= 0x80)
            return false;
    return user.n > 0 && !has_control(user);
}

static enum tm_err split(struct bytes plain, char *ret_user, size_t user_cap,
                         struct buf *password) {
    const uint8_t *colon = plain.n ? memchr(plain.p, ':', plain.n) : NULL;
    if (!colon)
        return TM_EPARSE;
    struct bytes user = {plain.p, (size_t)(colon - plain.p)};
    struct bytes secret = {colon + 1, plain.n - user.n - 1};
    if (!is_user(user) || has_control(secret))
        return TM_EPARSE;
    if (user.n >= user_cap || password->full || secret.n > password->cap - password->n)
        return TM_ELIMIT;
    memcpy(ret_user, user.p, user.n);
    ret_user[user.n] = '\0';
    buf_put(password, secret);
    return TM_OK;
}

enum tm_err est_basic_parse(const char *authorization, char *ret_user, size_t user_cap,
                            struct buf *password) {
    uint8_t memory[CREDENTIALS_MAX];
    struct buf plain = BUF_ON(memory);
    struct bytes token;
    enum tm_err err = basic_token(authorization, &token);
    if (err == TM_OK)
        err = est_base64_decode(token, &plain);
    if (err == TM_OK)
        err = split(buf_bytes(&plain), ret_user, user_cap, password);
    bytes_wipe(memory, sizeof memory);
    return err;
}
