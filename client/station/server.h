/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The station's own identity and what it asks the server with it: EST as a registration authority,
 * and the operations of docs/stations.md. A server that does not answer, or says "later", is asked
 * again for as long as the configuration has patience; every request may be sent again. One thread.
 */
#ifndef TOUCHMARK_STATION_SERVER_H
#define TOUCHMARK_STATION_SERVER_H

#include <jansson.h>

#include "base/auto.h"
#include "client/station/options.h"
#include "client/station/outcome.h"

AUTO_DEFINE(json_t, json_decref)

struct station_server;

/* Opens the station's key and certificate. OUTCOME_DENIED: there is no certificate in use, or
 * records that are damaged; OUTCOME_UNREACHABLE: the key store cannot be used now, or another
 * process has it. *conf must outlive it. stop_fd: what can be read from it ends all waiting. */
enum outcome station_server_open(const struct station_conf *conf, int stop_fd,
                                 struct station_server **ret, struct why *ret_why);
void station_server_close(struct station_server *server); /* NULL-safe */

/* The configuration of the station's own certificate, as the agent takes it; it borrows from *conf
 * and from `status`, the path of the status file. */
struct agent_conf;
struct agent_conf station_agent_conf(const struct station_conf *conf, char *status);

/* The CA certificates under a label: DER, one after the other, appended. */
enum outcome station_server_cacerts(struct station_server *server, const char *label,
                                    struct buf *out, struct why *ret_why);
/* A certificate for the request: DER, appended. OUTCOME_REFUSED: the server says no. */
enum outcome station_server_enroll(struct station_server *server, const char *label,
                                   struct bytes csr, struct buf *out, struct why *ret_why);

/* One operation; `request` is taken. *ret is the answer's object. *ret_status: the HTTP status.
 * OUTCOME_REFUSED: any 4xx but 401, which is OUTCOME_DENIED. */
enum outcome station_server_call(struct station_server *server, const char *operation,
                                 json_t *request, json_t **ret, long *ret_status,
                                 struct why *ret_why);

#endif
