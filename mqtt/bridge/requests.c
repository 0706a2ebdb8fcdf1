/* SPDX-License-Identifier: Apache-2.0 */
/* Devices' requests that wait for the core, or for its answer. */
#include <stdlib.h>
#include <string.h>

#include "mqtt/bridge/bridge_internal.h"

enum tm_err mqtt_requests_init(struct mqtt_requests *requests, size_t queue) {
    size_t cap = queue + MQTT_REQUESTS_SLACK;
    struct mqtt_request *rows = calloc(cap, sizeof *rows);
    if (!rows)
        return TM_ENOMEM;
    *requests = (struct mqtt_requests){.rows = rows, .cap = cap};
    return TM_OK;
}

void mqtt_requests_deinit(struct mqtt_requests *requests) {
    for (size_t i = 0; i < requests->cap; i++)
        free(requests->rows[i].csr);
    free(requests->rows);
    *requests = (struct mqtt_requests){0};
}

static bool same_device(const struct mqtt_where *a, const struct mqtt_where *b) {
    if (a->node || b->node)
        return a->node == b->node;
    return strcmp(a->device, b->device) == 0;
}

/* A free row; TM_EEXISTS, TM_EFULL. */
static enum tm_err find_place(struct mqtt_requests *requests, const struct mqtt_where *where,
                              struct mqtt_request **ret) {
    struct mqtt_request *place = NULL;
    for (size_t i = 0; i < requests->cap; i++) {
        struct mqtt_request *row = &requests->rows[i];
        if (!row->id)
            place = place ? place : row;
        else if (same_device(&row->where, where))
            return TM_EEXISTS;
    }
    if (!place)
        return TM_EFULL;
    *ret = place;
    return TM_OK;
}

enum tm_err mqtt_requests_add(struct mqtt_requests *requests, const struct mqtt_request *request) {
    struct mqtt_request *row = NULL;
    enum tm_err err = find_place(requests, &request->where, &row);
    if (err)
        return err;
    uint8_t *csr = malloc(request->csr_n ? request->csr_n : 1);
    if (!csr)
        return TM_ENOMEM;
    if (request->csr_n)
        memcpy(csr, request->csr, request->csr_n);
    *row = *request;
    row->csr = csr;
    requests->used++;
    if (row->where.node)
        row->where.node->requested = true;
    return TM_OK;
}

struct mqtt_request *mqtt_requests_find(struct mqtt_requests *requests, uint64_t id) {
    for (size_t i = 0; id && i < requests->cap; i++)
        if (requests->rows[i].id == id)
            return &requests->rows[i];
    return NULL;
}

struct mqtt_request *mqtt_requests_next(struct mqtt_requests *requests, enum mqtt_request_kind kind,
                                        int64_t now) {
    struct mqtt_request *next = NULL;
    if (requests->used == requests->asked)
        return NULL;
    for (size_t i = 0; i < requests->cap; i++) {
        struct mqtt_request *row = &requests->rows[i];
        if (row->id && row->kind == kind && !row->asked && row->due <= now &&
            (!next || row->id < next->id))
            next = row;
    }
    return next;
}

int64_t mqtt_requests_due(const struct mqtt_requests *requests, int64_t now) {
    int64_t due = INT64_MAX;
    if (requests->used == requests->asked)
        return due;
    for (size_t i = 0; i < requests->cap; i++) {
        const struct mqtt_request *row = &requests->rows[i];
        if (row->id && !row->asked && row->due > now && row->due < due)
            due = row->due;
    }
    return due;
}

void mqtt_requests_asked(struct mqtt_requests *requests, struct mqtt_request *request, bool asked) {
    if (request->asked != asked)
        requests->asked += asked ? 1 : (size_t)-1;
    request->asked = asked;
}

void mqtt_requests_remove(struct mqtt_requests *requests, struct mqtt_request *request) {
    mqtt_requests_asked(requests, request, false);
    if (request->where.node)
        request->where.node->requested = false;
    free(request->csr);
    *request = (struct mqtt_request){0};
    requests->used--;
}

void mqtt_requests_again(struct mqtt_requests *requests) {
    for (size_t i = 0; i < requests->cap; i++)
        requests->rows[i].asked = false;
    requests->asked = 0;
}
