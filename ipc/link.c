/* SPDX-License-Identifier: Apache-2.0 */
/* Links: SOCK_SEQPACKET with a bounded queue, on a loop or blocking. A message may hold a secret or
 * a private key: none stays in a buffer here once it was sent or taken. */
#include "ipc/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/messages.h"

#define ENVELOPE 3    /* octets that every message has: type and version */
#define READ_BURST 64 /* messages read before other descriptors get their turn */

/* Room for two, because that is what fits in the alignment of one anyway: a packet with more
 * than one descriptor is recognised and refused instead of leaking the second. */
union fd_control {
    struct cmsghdr align;
    char room[CMSG_SPACE(2 * sizeof(int))];
};

struct queued {
    struct queued *next;
    int fd;
    size_t n;
    uint8_t octets[];
};

struct ipc_link {
    struct loop *loop;
    struct loop_fd *watch; /* NULL while paused with the other end gone */
    int fd;
    bool paused;
    bool closing;   /* ipc_link_close was called from a handler of this link */
    bool reporting; /* a handler of this link runs */
    const struct ipc_link_events *events;
    void *arg;
    struct queued *first, **last;
    size_t queued, queue_max;
    uint8_t out[IPC_MESSAGE_MAX];
    uint8_t in[IPC_MESSAGE_MAX];
};

static void link_ready(void *arg, uint32_t events);

static uint32_t wanted_events(const struct ipc_link *link) {
    return (link->paused ? 0U : EPOLLIN) | (link->first ? EPOLLOUT : 0U);
}

enum tm_err ipc_link_open(struct loop *loop, int fd, size_t queue_max,
                          const struct ipc_link_events *events, void *arg,
                          struct ipc_link **ret_link) {
    AUTO_FD int owned = fd;
    AUTO_MEM struct ipc_link *link = malloc(sizeof *link);
    if (!link)
        return TM_ENOMEM;
    /* Not calloc: the two buffers are written before they are read. */
    memset(link, 0, offsetof(struct ipc_link, out));
    link->loop = loop;
    link->fd = fd;
    link->queue_max = queue_max;
    link->events = events;
    link->arg = arg;
    link->last = &link->first;
    enum tm_err err = loop_add(loop, fd, wanted_events(link), link_ready, link, &link->watch);
    if (err)
        return err;
    (void)TAKE_FD(owned);
    *ret_link = TAKE(link);
    return TM_OK;
}

static void drop_first(struct ipc_link *link) {
    struct queued *message = link->first;
    link->first = message->next;
    if (!link->first)
        link->last = &link->first;
    link->queued--;
    if (message->fd >= 0)
        (void)close(message->fd);
    bytes_wipe(message->octets, message->n);
    free(message);
}

static void link_free(struct ipc_link *link) {
    while (link->first)
        drop_first(link);
    free(link);
}

void ipc_link_close(struct ipc_link *link) {
    if (!link || link->closing)
        return;
    loop_remove(link->watch);
    (void)close(link->fd);
    link->watch = NULL;
    link->closing = true;
    if (!link->reporting)
        link_free(link);
}

/* One packet, with one descriptor unless fd is -1. TM_EAGAIN when the kernel's buffer is full. */
static enum tm_err send_packet(int to, struct bytes packet, int fd, int flags) {
    struct iovec iov = {(void *)(uintptr_t)packet.p, packet.n};
    union fd_control control = {0};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = control.room;
        header.msg_controllen = CMSG_SPACE(sizeof fd);
        struct cmsghdr *part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(part), &fd, sizeof fd);
    }
    ssize_t n;
    do
        n = sendmsg(to, &header, flags | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return TM_OK;
    /* ENOBUFS and ETOOMANYREFS pass too: they are the kernel's limits of the moment. */
    if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
        return TM_EAGAIN;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return TM_ECLOSED;
    log_error("cannot send a message: %s", strerror(errno));
    return TM_EIO;
}

static enum tm_err enqueue(struct ipc_link *link, struct bytes packet, int *fd) {
    if (link->queued >= link->queue_max)
        return TM_EFULL;
    struct queued *message = malloc(sizeof *message + packet.n);
    if (!message)
        return TM_ENOMEM;
    message->next = NULL;
    message->fd = TAKE_FD(*fd);
    message->n = packet.n;
    memcpy(message->octets, packet.p, packet.n);
    *link->last = message;
    link->last = &message->next;
    link->queued++;
    return link->watch ? loop_change(link->watch, wanted_events(link)) : TM_OK;
}

enum tm_err ipc_link_send_fd(struct ipc_link *link, const struct codec_schema *schema,
                             const void *obj, int fd) {
    AUTO_FD int owned = fd;
    if (link->closing)
        return TM_ECLOSED;
    struct buf out = BUF_ON(link->out);
    enum tm_err err = codec_encode(schema, obj, &out);
    if (err)
        return err;
    err = link->first ? TM_EAGAIN : send_packet(link->fd, buf_bytes(&out), owned, MSG_DONTWAIT);
    if (err == TM_EAGAIN)
        err = enqueue(link, buf_bytes(&out), &owned);
    bytes_wipe(link->out, out.n);
    return err;
}

enum tm_err ipc_link_send(struct ipc_link *link, const struct codec_schema *schema,
                          const void *obj) {
    return ipc_link_send_fd(link, schema, obj, -1);
}

enum tm_err ipc_link_pause(struct ipc_link *link, bool paused) {
    link->paused = paused;
    if (link->watch)
        return loop_change(link->watch, wanted_events(link));
    if (paused || link->closing)
        return TM_OK;
    return loop_add(link->loop, link->fd, wanted_events(link), link_ready, link, &link->watch);
}

static void report_closed(struct ipc_link *link) {
    loop_remove(link->watch);
    link->watch = NULL;
    link->paused = true;
    link->events->closed(link->arg, link);
}

/* Sends what was queued. Errors end here: reading reports the end of the other side. */
static void flush_queue(struct ipc_link *link) {
    while (link->first) {
        struct queued *message = link->first;
        struct bytes packet = {message->octets, message->n};
        if (send_packet(link->fd, packet, message->fd, MSG_DONTWAIT) == TM_EAGAIN)
            break;
        drop_first(link);
    }
    if (loop_change(link->watch, wanted_events(link)))
        report_closed(link);
}

/* The one descriptor of a packet, -1 for none, -2 when there were more (they are closed). */
static int received_fd(struct msghdr *header) {
    int found = -1;
    bool many = (header->msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            many = many || found >= 0;
            if (found >= 0)
                (void)close(fd);
            else
                found = fd;
        }
    }
    if (!many)
        return found;
    if (found >= 0)
        (void)close(found);
    return -2;
}

/* Reads one packet and hands it on. false: nothing more to read now, or the link is closed. */
static bool read_one(struct ipc_link *link) {
    struct iovec iov = {link->in, sizeof link->in};
    union fd_control control;
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = sizeof control.room};
    ssize_t n = recvmsg(link->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    int fd = n < 0 ? -1 : received_fd(&header);
    if (n < ENVELOPE || fd == -2 || (header.msg_flags & MSG_TRUNC)) {
        if (fd >= 0)
            (void)close(fd);
        report_closed(link);
        return false;
    }
    link->events->message(link->arg, link, (struct bytes){link->in, (size_t)n}, fd);
    bytes_wipe(link->in, (size_t)n);
    return !link->closing && !link->paused;
}

static void link_ready(void *arg, uint32_t events) {
    struct ipc_link *link = arg;
    link->reporting = true;
    if ((events & EPOLLOUT) && link->first)
        flush_queue(link);
    if (link->paused && link->watch && (events & (EPOLLHUP | EPOLLERR))) {
        /* The end cannot be masked in epoll and would spin; what the other side sent
         * before it is still there to be read when the link is resumed. */
        loop_remove(link->watch);
        link->watch = NULL;
    }
    for (int i = 0; i < READ_BURST && !link->closing && !link->paused && read_one(link); i++)
        ;
    link->reporting = false;
    if (link->closing)
        link_free(link);
}

enum tm_err ipc_pair(int ret_fds[2]) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        log_error("cannot create a socket pair: %s", strerror(errno));
        return TM_EIO;
    }
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return TM_OK;
}

/* Waits until fd is ready for `events` or the deadline (monotonic ms, -1 = none) passed. */
static enum tm_err wait_fd(int fd, short events, int64_t deadline) {
    struct pollfd ready = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = deadline < 0 ? -1 : deadline - clock_mono_ms();
        if (deadline >= 0 && left < 0)
            left = 0;
        int n = poll(&ready, 1, (int)left);
        if (n > 0)
            return TM_OK;
        if (n == 0)
            return TM_ETIMEOUT;
        if (errno != EINTR) {
            log_error("poll failed: %s", strerror(errno));
            return TM_EIO;
        }
    }
}

/* Takes the descriptor of a packet that has arrived out of its header. Another packet than was
 * promised is dropped with it. */
static enum tm_err take_packet(struct msghdr *header, int *ret_fd) {
    int fd = ret_fd ? received_fd(header) : -1;
    if (fd == -2)
        return TM_EPARSE;
    if (header->msg_flags & MSG_TRUNC) {
        if (fd >= 0)
            (void)close(fd);
        return TM_ELIMIT;
    }
    if (ret_fd)
        *ret_fd = fd;
    return TM_OK;
}

static enum tm_err receive(int from, uint8_t *buf, size_t cap, int timeout_ms,
                           struct bytes *ret_message, int *ret_fd) {
    int64_t deadline = timeout_ms < 0 ? -1 : clock_mono_ms() + timeout_ms;
    int flags = MSG_CMSG_CLOEXEC | (timeout_ms < 0 ? 0 : MSG_DONTWAIT);
    for (;;) {
        /* Try first, then wait: several threads may be woken for one packet. */
        union fd_control control;
        struct iovec iov = {buf, cap};
        struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
        if (ret_fd) {
            header.msg_control = control.room;
            header.msg_controllen = sizeof control.room;
        }
        ssize_t n = recvmsg(from, &header, flags);
        if (n > 0) {
            enum tm_err err = take_packet(&header, ret_fd);
            if (!err)
                *ret_message = (struct bytes){buf, (size_t)n};
            return err;
        }
        if (n == 0 || errno == ECONNRESET)
            return TM_ECLOSED;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN) {
            log_error("cannot receive a message: %s", strerror(errno));
            return TM_EIO;
        }
        enum tm_err err = wait_fd(from, POLLIN, deadline);
        if (err)
            return err;
    }
}

enum tm_err ipc_receive(int fd, uint8_t *buf, size_t cap, int timeout_ms,
                        struct bytes *ret_message) {
    return receive(fd, buf, cap, timeout_ms, ret_message, NULL);
}

enum tm_err ipc_receive_fd(int fd, uint8_t *buf, size_t cap, int timeout_ms,
                           struct bytes *ret_message, int *ret_fd) {
    return receive(fd, buf, cap, timeout_ms, ret_message, ret_fd);
}

enum tm_err ipc_send(int fd, const struct codec_schema *schema, const void *obj) {
    uint8_t octets[IPC_MESSAGE_MAX];
    struct buf out = BUF_ON(octets);
    enum tm_err err = codec_encode(schema, obj, &out);
    if (err)
        return err;
    while ((err = send_packet(fd, buf_bytes(&out), -1, 0)) == TM_EAGAIN) {
        err = wait_fd(fd, POLLOUT, -1);
        if (err)
            return err;
    }
    return err;
}
