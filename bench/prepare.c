/* SPDX-License-Identifier: Apache-2.0 */
/* One request under way on each of CONNECTIONS sockets: answers need no matching. */
#include "bench/prepare.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/auto.h"
#include "ipc/link.h"

#define CONNECTIONS 32
#define ANSWER_TIMEOUT_MS 30000

struct lane {
    int fd;
    struct bench_device *device; /* that was asked about; NULL = idle */
};

static enum tm_err connect_admin(const char *path, int *ret_fd) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || strlen(path) >= sizeof address.sun_path)
        return TM_EIO;
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return TM_EIO;
    *ret_fd = TAKE_FD(fd);
    return TM_OK;
}

static enum tm_err take_answer(struct lane *lane, char text[IPC_TEXT_MAX + 1]) {
    static uint8_t octets[IPC_MESSAGE_MAX];
    struct bytes message;
    struct ipc_admin_reply reply;
    enum tm_err err = ipc_receive(lane->fd, octets, sizeof octets, ANSWER_TIMEOUT_MS, &message);
    if (err == TM_OK)
        err = codec_decode(&ipc_admin_reply_schema, message, &reply);
    if (err != TM_OK)
        return err;
    if (!reply.ok) {
        memcpy(text, reply.text, IPC_TEXT_MAX + 1);
        return TM_EDENIED;
    }
    if (reply.secret.n > 0 && reply.secret.n < sizeof lane->device->secret) {
        memcpy(lane->device->secret, reply.secret.p, reply.secret.n);
        lane->device->secret[reply.secret.n] = '\0';
        bytes_wipe(octets, sizeof octets);
    }
    lane->device = NULL;
    return TM_OK;
}

static enum tm_err run(struct lane *lanes, struct ipc_admin_request *request,
                       struct bench_pool *pool, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; err == TM_OK && i < pool->count + CONNECTIONS; i++) {
        struct lane *lane = &lanes[i % CONNECTIONS];
        if (lane->device)
            err = take_answer(lane, text);
        if (err != TM_OK || i >= pool->count)
            continue;
        memcpy(request->device, pool->devices[i].id, sizeof request->device);
        err = ipc_send(lane->fd, &ipc_admin_request_schema, request);
        lane->device = &pool->devices[i];
    }
    return err;
}

enum tm_err bench_prepare(const char *admin_socket, const char *tenant, enum ipc_admin_verb verb,
                          const char *state, struct bench_pool *pool, char text[IPC_TEXT_MAX + 1]) {
    struct lane lanes[CONNECTIONS];
    size_t open = 0;
    enum tm_err err = TM_OK;
    struct ipc_admin_request request = {.verb = (uint8_t)verb};
    (void)snprintf(request.tenant, sizeof request.tenant, "%s", tenant);
    (void)snprintf(request.state, sizeof request.state, "%s", state ? state : "");
    (void)snprintf(request.reason, sizeof request.reason, "%s", "load test");
    (void)snprintf(text, IPC_TEXT_MAX + 1, "no answer on %.200s", admin_socket);
    while (err == TM_OK && open < CONNECTIONS) {
        lanes[open].device = NULL;
        err = connect_admin(admin_socket, &lanes[open].fd);
        if (err == TM_OK)
            open++;
    }
    if (err == TM_OK)
        err = run(lanes, &request, pool, text);
    for (size_t i = 0; i < open; i++)
        (void)close(lanes[i].fd);
    return err;
}
