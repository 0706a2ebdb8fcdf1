/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stations at the front (docs/stations.md): paths, heads and sizes of their requests, and the
 * core's answers as HTTP. What a request says is the core's to read. Pure.
 */
#ifndef TOUCHMARK_SERVER_FRONT_STATION_H
#define TOUCHMARK_SERVER_FRONT_STATION_H

#include "est/service/service.h"

/* Is it a path of stations? `ret`: the operation, 0 for one that there is not. */
bool front_station_path(const char *path, uint8_t *ret_operation);

/* Judges a request's head: TM_OK, or TM_EDENIED and `response` says why not. content_length as in
 * est_service_head. request->peer_leaf has to be there. */
MUST_USE enum tm_err front_station_head(const struct est_request *request, uint8_t operation,
                                        int64_t content_length, size_t max_body,
                                        struct est_response *response);
/* What to ask the core; borrows from the request. */
void front_station_ask(const struct est_request *request, uint8_t operation,
                       struct ipc_station_ask *ret);
void front_station_answer(const struct ipc_station_answer *answer, struct est_response *response);
/* Nobody answers now. */
void front_station_unavailable(struct est_response *response);

#endif
