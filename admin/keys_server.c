/* SPDX-License-Identifier: Apache-2.0 */
/* touchmarkd asked and waited for: see keys_internal.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "admin/keys_internal.h"
#include "base/auto.h"
#include "base/clock.h"
#include "ipc/link.h"

#define REPLY_MS 30000
#define RELOAD_MS 60000
#define PAUSE_MS 20

AUTO_DEFINE(json_t, json_decref)

__attribute__((format(printf, 3, 4))) static enum tm_err
fault(enum tm_err err, char error[CONF_ERROR_MAX], const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error, CONF_ERROR_MAX, format, args);
    va_end(args);
    return err;
}

static enum tm_err reach(const char *path, int *ret_fd, char error[CONF_ERROR_MAX]) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return fault(TM_EINVAL, error, "the path of the socket is too long: %s", path);
    (void)strcpy(address.sun_path, path);
    AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address))
        return fault(TM_ECLOSED, error, "touchmarkd does not answer at %s: %s", path,
                     strerror(errno));
    *ret_fd = TAKE_FD(fd);
    return TM_OK;
}

enum tm_err keys_ask(const char *socket_path, const struct ipc_admin_request *request,
                     json_t **ret_answer, char error[CONF_ERROR_MAX]) {
    AUTO_FD int fd = -1;
    AUTO_MEM uint8_t *packet = malloc(IPC_MESSAGE_MAX);
    struct ipc_admin_reply reply;
    struct bytes message;
    enum tm_err err =
        packet ? reach(socket_path, &fd, error) : fault(TM_ENOMEM, error, "out of memory");
    if (err)
        return err;
    err = ipc_send(fd, &ipc_admin_request_schema, request);
    if (!err)
        err = ipc_receive(fd, packet, IPC_MESSAGE_MAX, REPLY_MS, &message);
    if (!err)
        err = codec_decode(&ipc_admin_reply_schema, message, &reply);
    if (err)
        return fault(err, error, "no answer from touchmarkd (%s)", tm_err_name(err));
    if (!reply.ok)
        return fault(TM_EDENIED, error, "%s", reply.text);
    json_t *answer = json_loadb((const char *)reply.json.p, reply.json.n, 0, NULL);
    if (!answer)
        return fault(TM_EPARSE, error, "touchmarkd's answer cannot be read");
    *ret_answer = answer;
    return TM_OK;
}

/* When the core that answers began, and whether all its tokens are ready, or some. */
static enum tm_err ask_status(const char *socket_path, char started[CLOCK_TEXT_MAX],
                              bool *ret_ready, bool *ret_partly, char error[CONF_ERROR_MAX]) {
    const struct ipc_admin_request request = {.verb = IPC_ADMIN_STATUS};
    AUTO(json_t) answer = NULL;
    enum tm_err err = keys_ask(socket_path, &request, &answer, error);
    if (err)
        return err;
    const char *when = json_string_value(json_object_get(answer, "started"));
    const char *signer = json_string_value(json_object_get(answer, "signer"));
    (void)snprintf(started, CLOCK_TEXT_MAX, "%s", when ? when : "");
    *ret_ready = !signer || strcmp(signer, "ready") == 0; /* none: there is no token */
    *ret_partly = signer && strcmp(signer, "partly") == 0;
    return TM_OK;
}

/* The old core may still answer for a while, and in between nobody does. A token that is out for
 * reasons of its own is waited for, too, but does not make the reload a failure. */
static enum tm_err await_successor(const char *socket_path, const char *before,
                                   char error[CONF_ERROR_MAX]) {
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    int64_t until = clock_mono_ms() + RELOAD_MS;
    bool serves = false;
    while (clock_mono_ms() < until) {
        char started[CLOCK_TEXT_MAX];
        bool ready = false, partly = false;
        enum tm_err err = ask_status(socket_path, started, &ready, &partly, error);
        bool successor = !err && strcmp(started, before) != 0;
        if (successor && ready)
            return TM_OK;
        serves = successor && partly;
        (void)nanosleep(&pause, NULL);
    }
    if (serves)
        return TM_OK;
    return fault(TM_ETIMEOUT, error, "touchmarkd does not serve with it: see its log");
}

enum tm_err keys_reload(const char *socket_path, const char *issuer, const char *reason,
                        char error[CONF_ERROR_MAX]) {
    struct ipc_admin_request request = {.verb = IPC_ADMIN_RELOAD};
    char started[CLOCK_TEXT_MAX];
    bool ready, partly;
    AUTO(json_t) answer = NULL;
    enum tm_err err = ask_status(socket_path, started, &ready, &partly, error);
    if (err)
        return err;
    TEXT_SET(request.issuer, issuer);
    TEXT_SET(request.reason, reason);
    err = keys_ask(socket_path, &request, &answer, error);
    return err ? err : await_successor(socket_path, started, error);
}

enum tm_err keys_reload_by_signal(const struct conf *conf, const char *socket_path,
                                  char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *path = NULL;
    long pid = 0;
    if (asprintf(&path, "%s/touchmarkd.pid", conf->process.run_dir) < 0) {
        path = NULL;
        return fault(TM_ENOMEM, error, "out of memory");
    }
    FILE *file = fopen(path, "re");
    bool good = file && fscanf(file, "%ld", &pid) == 1 && pid > 1;
    if (file)
        (void)fclose(file);
    if (!good || kill((pid_t)pid, SIGHUP))
        return fault(TM_EIO, error, "%s: touchmarkd cannot be told", path);
    return await_successor(socket_path, "", error);
}

enum tm_err keys_name_free(const char *socket_path, const char *issuer, const char *spki_sha256,
                           char error[CONF_ERROR_MAX]) {
    struct ipc_admin_request request = {.verb = IPC_ADMIN_KEYS};
    AUTO(json_t) answer = NULL;
    TEXT_SET(request.issuer, issuer);
    enum tm_err err = keys_ask(socket_path, &request, &answer, error);
    if (err)
        return err == TM_EDENIED ? TM_OK : err;
    const char *known = json_string_value(json_object_get(answer, "spki_sha256"));
    if (known && strcmp(known, spki_sha256) == 0)
        return TM_OK;
    return fault(TM_EEXISTS, error,
                 "the server knows the name %s with another key; a name is one key's for ever",
                 issuer);
}

enum tm_err keys_shown(const char *socket_path, const char *issuer, char error[CONF_ERROR_MAX]) {
    struct ipc_admin_request request = {.verb = IPC_ADMIN_KEYS};
    AUTO(json_t) answer = NULL;
    TEXT_SET(request.issuer, issuer);
    enum tm_err err = keys_ask(socket_path, &request, &answer, error);
    if (err)
        return err;
    if (json_object_get(answer, "upstream"))
        return TM_OK; /* its key is elsewhere */
    if (!json_is_true(json_object_get(answer, "token")))
        return fault(TM_EDENIED, error,
                     "the token holds no key labelled \"%s\" that is the one in the certificate",
                     json_string_value(json_object_get(answer, "key_label")));
    if (json_is_false(json_object_get(answer, "ocsp_token")))
        return fault(TM_EDENIED, error, "the token holds no key labelled \"%s\" for OCSP",
                     json_string_value(json_object_get(answer, "ocsp_key_label")));
    return TM_OK;
}
