/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets that outlive the processes serving them: see supervisor.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/privileges.h"
#include "server/supervisor/supervisor.h"

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */
#define ADMIN_BACKLOG 64
#define ADMIN_MODE 0660

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* conf/ has seen to it that the text is an address. */
static socklen_t make_address(const char *text, uint64_t port, union address *ret) {
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons((uint16_t)port);
        return sizeof ret->v4;
    }
    (void)inet_pton(AF_INET6, text, &ret->v6.sin6_addr);
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_port = htons((uint16_t)port);
    return sizeof ret->v6;
}

static bool set_options(int fd, int family) {
    static const int on = 1, off = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
        return false;
    /* "::" is IPv4 too, whatever the system's default. */
    return family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
}

static enum tm_err listen_tcp(const char *text, uint64_t port, int *ret_fd, unsigned *ret_port) {
    union address address;
    socklen_t n = make_address(text, port, &address);
    AUTO_FD int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !set_options(fd, address.any.sa_family) || bind(fd, &address.any, n) ||
        listen(fd, BACKLOG) || getsockname(fd, &address.any, &n)) {
        log_error("cannot listen on %s port %u: %s", text, (unsigned)port, strerror(errno));
        return TM_EIO;
    }
    *ret_port =
        ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    *ret_fd = TAKE_FD(fd);
    return TM_OK;
}

/* Removes a socket file that a dead process left; one that answers is another server's. */
static enum tm_err clear_path(const struct sockaddr_un *address) {
    struct stat st;
    if (lstat(address->sun_path, &st))
        return TM_OK;
    AUTO_FD int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!S_ISSOCK(st.st_mode) || probe < 0 ||
        connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ||
        errno != ECONNREFUSED) {
        log_error("%s is in use", address->sun_path);
        return TM_EEXISTS;
    }
    (void)unlink(address->sun_path);
    return TM_OK;
}

/* Operators reach the socket through the group of the user that we serve as. */
static enum tm_err give_to_group(const char *path, const char *user) {
    uid_t uid;
    gid_t gid;
    if (geteuid() != 0 || !user || !user[0])
        return TM_OK;
    enum tm_err err = privileges_user(user, &uid, &gid);
    if (!err && lchown(path, uid, gid)) {
        log_error("%s: %s", path, strerror(errno));
        err = TM_EIO;
    }
    return err;
}

static enum tm_err listen_admin(const char *path, const char *user, int *ret_fd) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        log_error("%s is too long for a socket", path);
        return TM_ELIMIT;
    }
    memcpy(address.sun_path, path, strlen(path));
    enum tm_err err = clear_path(&address);
    if (err)
        return err;
    AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t before = umask((mode_t)~ADMIN_MODE & 0777); /* never wider, not even for a moment */
    bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    (void)umask(before);
    if (!bound || listen(fd, ADMIN_BACKLOG)) {
        log_error("cannot listen on %s: %s", path, strerror(errno));
        return TM_EIO;
    }
    err = give_to_group(path, user);
    if (!err)
        *ret_fd = TAKE_FD(fd);
    return err;
}

static enum tm_err duplicate(int fd, int *ret_fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return TM_EIO;
    *ret_fd = copy;
    return TM_OK;
}

static enum tm_err open_tcp(const struct conf *conf, const struct conf *old_conf,
                            const struct sockets *old, struct sockets *sockets) {
    const struct conf_listen *listen = &conf->listen;
    bool same = old && old_conf->listen.port == listen->port &&
                strcmp(old_conf->listen.address, listen->address) == 0;
    if (!same)
        return listen_tcp(listen->address, listen->port, &sockets->tcp, &sockets->port);
    sockets->port = old->port;
    return duplicate(old->tcp, &sockets->tcp);
}

static enum tm_err open_status(const struct conf *conf, const struct conf *old_conf,
                               const struct sockets *old, struct sockets *sockets) {
    const struct conf_status *status = &conf->status;
    if (!status->url)
        return TM_OK;
    bool same = old && old->status >= 0 && old_conf->status.port == status->port &&
                strcmp(old_conf->status.address, status->address) == 0;
    if (!same)
        return listen_tcp(status->address, status->port, &sockets->status, &sockets->status_port);
    sockets->status_port = old->status_port;
    return duplicate(old->status, &sockets->status);
}

static enum tm_err open_metrics(const struct conf *conf, const struct conf *old_conf,
                                const struct sockets *old, struct sockets *sockets) {
    const struct conf_metrics *metrics = &conf->metrics;
    if (!metrics->enabled)
        return TM_OK;
    bool same = old && old->metrics >= 0 && old_conf->metrics.port == metrics->port &&
                strcmp(old_conf->metrics.address, metrics->address) == 0;
    if (!same)
        return listen_tcp(metrics->address, metrics->port, &sockets->metrics,
                          &sockets->metrics_port);
    sockets->metrics_port = old->metrics_port;
    return duplicate(old->metrics, &sockets->metrics);
}

static enum tm_err open_admin(const struct conf *conf, const struct sockets *old,
                              struct sockets *sockets) {
    if (old && strcmp(old->admin_path, conf->core.admin_socket) == 0)
        return duplicate(old->admin, &sockets->admin);
    return listen_admin(conf->core.admin_socket, conf->process.user, &sockets->admin);
}

enum tm_err sockets_open(const struct conf *conf, const struct conf *old_conf,
                         const struct sockets *old, struct sockets *ret) {
    struct sockets sockets = SOCKETS_NONE;
    sockets.admin_path = strdup(conf->core.admin_socket);
    if (!sockets.admin_path)
        return TM_ENOMEM;
    enum tm_err err = open_admin(conf, old, &sockets);
    if (!err)
        err = open_tcp(conf, old_conf, old, &sockets);
    if (!err)
        err = open_status(conf, old_conf, old, &sockets);
    if (!err)
        err = open_metrics(conf, old_conf, old, &sockets);
    if (err) {
        bool fresh = sockets.admin >= 0 && (!old || strcmp(old->admin_path, sockets.admin_path));
        sockets_close(&sockets, fresh);
        return err;
    }
    *ret = sockets;
    return TM_OK;
}

void sockets_close(struct sockets *sockets, bool unlink_admin) {
    if (unlink_admin && sockets->admin_path)
        (void)unlink(sockets->admin_path);
    if (sockets->tcp >= 0)
        (void)close(sockets->tcp);
    if (sockets->admin >= 0)
        (void)close(sockets->admin);
    if (sockets->status >= 0)
        (void)close(sockets->status);
    if (sockets->metrics >= 0)
        (void)close(sockets->metrics);
    free(sockets->admin_path);
    *sockets = SOCKETS_NONE;
}

int sockets_of(const struct sockets *sockets, enum ipc_role kind) {
    switch (kind) {
    case IPC_ROLE_FRONT:
        return sockets->tcp;
    case IPC_ROLE_CORE:
        return sockets->admin;
    case IPC_ROLE_STATUS:
        return sockets->status;
    case IPC_ROLE_METRICS:
        return sockets->metrics;
    case IPC_ROLE_SUPERVISOR:
    case IPC_ROLE_SIGNER:
    case IPC_ROLE_BRIDGE:
    case IPC_ROLE_TLSCERT:
    case IPC_ROLE_UPSTREAM:
        break;
    }
    return -1;
}
