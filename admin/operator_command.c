/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators of stations. Their secrets are made, or read, and hashed here: the server never sees
 * one before it is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "admin/command.h"
#include "base/auto.h"
#include "ca/operator.h"

AUTO_DEFINE(json_t, json_decref)

static int refused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return ADMIN_EXIT_REFUSED;
}

/* The first line of a file, "-": of standard input. */
static int read_secret(const char *path, char ret[IPC_SECRET_MAX + 1]) {
    bool standard = strcmp(path, "-") == 0;
    AUTO_FD int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    char text[IPC_SECRET_MAX + 2];
    size_t n = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && n < sizeof text) {
        got = read(fd, text + n, sizeof text - n);
        n += got > 0 ? (size_t)got : 0;
        if (memchr(text, '\n', n))
            break;
    }
    const char *end = n ? memchr(text, '\n', n) : NULL;
    size_t length = end ? (size_t)(end - text) : n;
    bool good = got >= 0 && length >= CA_OPERATOR_SECRET_MIN && length <= IPC_SECRET_MAX &&
                !memchr(text, '\0', length);
    if (good) {
        memcpy(ret, text, length);
        ret[length] = '\0';
    }
    bytes_wipe(text, sizeof text);
    if (got < 0) {
        fprintf(stderr, "touchmark: %s: %s\n", path, strerror(errno));
        return EX_NOINPUT;
    }
    return good ? EX_OK : refused("a secret has 8 to 128 octets on one line");
}

static int take_secret(const struct admin_call *call, char ret[IPC_SECRET_MAX + 1]) {
    if (call->secret)
        return read_secret(call->secret, ret);
    return ca_operator_secret(ret) ? refused("no randomness for a secret") : EX_OK;
}

/* Straight to the descriptor, so that no copy stays in stdio's buffer. Hex digits: nothing to
 * escape. */
static int print_secret(const struct admin_call *call, const char *secret) {
    char text[IPC_NAME_MAX + CA_OPERATOR_SECRET_TEXT + 64];
    int n = snprintf(text, sizeof text,
                     call->json ? "{\"operator\":\"%s\",\"secret\":\"%s\"}\n"
                                : "operator=%s\nsecret=%s\n",
                     call->request.officer, secret);
    ssize_t written = write(STDOUT_FILENO, text, (size_t)n);
    bytes_wipe(text, sizeof text);
    return written == n ? EX_OK : EX_IOERR;
}

int admin_operator_add(struct admin_call *call) {
    uint8_t data[CA_OPERATOR_SALT_SIZE + CA_HASH_SIZE];
    char secret[IPC_SECRET_MAX + 1] = "";
    AUTO(json_t) answer = NULL;
    int code = take_secret(call, secret);
    if (code == EX_OK &&
        (RAND_bytes(data, CA_OPERATOR_SALT_SIZE) != 1 ||
         ca_operator_derive(bytes_str(secret), data, data + CA_OPERATOR_SALT_SIZE)))
        code = refused("the secret cannot be hashed");
    call->request.data = BYTES_OF(data);
    if (code == EX_OK)
        code = admin_ask(call, &answer);
    if (code == EX_OK && !call->secret)
        code = print_secret(call, secret);
    bytes_wipe(secret, sizeof secret);
    return code;
}

int admin_operator_remove(struct admin_call *call) {
    AUTO(json_t) answer = NULL;
    TEXT_SET(call->request.state, "removed");
    return admin_ask(call, &answer);
}

int admin_operator_list(struct admin_call *call) {
    TEXT_SET(call->request.state, "list");
    return admin_request(call);
}
