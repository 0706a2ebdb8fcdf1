/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepares devices through the administration socket (ipc/admin.h), many at once, so that the
 * server's group commit makes it quick. Not thread-safe.
 */
#ifndef TOUCHMARK_BENCH_PREPARE_H
#define TOUCHMARK_BENCH_PREPARE_H

#include "bench/pool.h"
#include "ipc/admin.h"

/* Sends one request per device of the pool and waits for all answers. DEVICE_SECRET puts
 * the secret into the device. `state` is for DEVICE_TRANSITION, else NULL. TM_EDENIED: the
 * server refused, its sentence is in `text`. */
MUST_USE enum tm_err bench_prepare(const char *admin_socket, const char *tenant,
                                   enum ipc_admin_verb verb, const char *state,
                                   struct bench_pool *pool, char text[IPC_TEXT_MAX + 1]);

#endif
