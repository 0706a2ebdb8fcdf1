/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link: one SOCK_SEQPACKET socket between two processes, on a loop. One
 * message per packet, at most IPC_MESSAGE_MAX octets. Sending never blocks: what
 * the kernel does not take now is queued, up to the stated bound. A link belongs
 * to its loop's thread.
 */
#ifndef TOUCHMARK_IPC_LINK_H
#define TOUCHMARK_IPC_LINK_H

#include <stdbool.h>

#include "base/codec.h"
#include "base/loop.h"

struct ipc_link;

struct ipc_link_events {
    /* A message arrived; `message` is valid during the call. `fd` came with it, or
     * is -1; the callee owns it. The callee may close the link. */
    void (*message)(void *arg, struct ipc_link *link, struct bytes message, int fd);
    /* The other end is gone, or sent what cannot be a message. Called once; the
     * callee calls ipc_link_close. */
    void (*closed)(void *arg, struct ipc_link *link);
};

/* Takes fd over (also on failure). queue_max: messages kept when the kernel's
 * buffer is full. `events` must live as long as the link. */
MUST_USE enum tm_err ipc_link_open(struct loop *loop, int fd, size_t queue_max,
                                   const struct ipc_link_events *events, void *arg,
                                   struct ipc_link **ret_link);
void ipc_link_close(struct ipc_link *link); /* NULL-safe; drops what is queued */

/* Encodes and sends obj. TM_EFULL when the queue is full, TM_ECLOSED when the
 * other end is gone (`closed` follows from the loop), TM_ELIMIT when over a bound. */
MUST_USE enum tm_err ipc_link_send(struct ipc_link *link, const struct codec_schema *schema,
                                   const void *obj);
/* The same with one descriptor, which is closed here once it is sent or dropped. */
MUST_USE enum tm_err ipc_link_send_fd(struct ipc_link *link, const struct codec_schema *schema,
                                      const void *obj, int fd);

/* Stops and starts reading: back-pressure. A new link reads. */
MUST_USE enum tm_err ipc_link_pause(struct ipc_link *link, bool paused);

/* A connected pair, both ends close-on-exec. */
MUST_USE enum tm_err ipc_pair(int ret_fds[2]);

/* Blocking versions for programs and threads without a loop. buf is the caller's,
 * at least IPC_MESSAGE_MAX octets. timeout_ms -1 waits for ever. TM_ECLOSED at the
 * end, TM_ETIMEOUT, TM_ELIMIT for a packet that was longer than cap. Several
 * threads may receive from and send to one socket at once: packets stay whole. */
MUST_USE enum tm_err ipc_receive(int fd, uint8_t *buf, size_t cap, int timeout_ms,
                                 struct bytes *ret_message);
/* The same with one descriptor, which is the caller's; -1: none came. Without this, what comes is
 * closed unseen. TM_EPARSE: more than one came; they are closed. */
MUST_USE enum tm_err ipc_receive_fd(int fd, uint8_t *buf, size_t cap, int timeout_ms,
                                    struct bytes *ret_message, int *ret_fd);
MUST_USE enum tm_err ipc_send(int fd, const struct codec_schema *schema, const void *obj);

#endif
