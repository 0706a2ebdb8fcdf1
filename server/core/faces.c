/* SPDX-License-Identifier: Apache-2.0 */
/* Links to the faces: requests in, answers out. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/core/core.h"
#include "server/core/ocsp.h"
#include "server/core/publish.h"
#include "server/core/station.h"
#include "server/core/tls_key.h"

struct face {
    struct core_faces *faces;
    struct face *next;
    enum ipc_role role;
    unsigned index;
    struct ipc_link *link;
};

struct core_faces {
    struct loop *loop;
    const struct core_setup *setup;
    struct ca_service *service;
    struct core_events *events;
    struct core_publish *publish;
    struct core_ocsp *ocsp;
    struct core_tls *tls;
    struct core_station *station;
    size_t queue;
    struct face *first;
};

void core_links_remove(struct core_links *links, const struct ipc_link *link) {
    for (size_t i = 0; i < links->count; i++)
        if (links->items[i] == link) {
            links->count--;
            memmove(&links->items[i], &links->items[i + 1],
                    (links->count - i) * sizeof links->items[0]);
            return;
        }
}

void core_links_add(struct core_links *links, struct ipc_link *link) {
    if (links->count == CORE_LINKS_MAX)
        core_links_remove(links, links->items[0]);
    links->items[links->count++] = link;
}

static void face_free(struct face *face) {
    struct face **at = &face->faces->first;
    while (*at != face)
        at = &(*at)->next;
    *at = face->next;
    ca_service_forget(face->faces->service, face);
    core_events_unlink(face->faces->events, face->link);
    core_publish_unlink(face->faces->publish, face->link);
    core_ocsp_unlink(face->faces->ocsp, face->link);
    core_tls_unlink(face->faces->tls, face->link);
    core_station_unlink(face->faces->station, face->link);
    ipc_link_close(face->link);
    free(face);
}

static void send_reply(void *arg, const struct ipc_reply *reply) {
    struct face *face = arg;
    enum tm_err err = ipc_link_send(face->link, &ipc_reply_schema, reply);
    if (err && err != TM_ECLOSED)
        log_line(LOG_LEVEL_WARN, reply->id, "answer not delivered to the face: %s",
                 tm_err_name(err));
}

/* An answer belongs to its own kind of face: only touchmarkd's helper speaks for touchmarkd. */
static bool origin_fits(const struct face *face, uint8_t origin) {
    return (face->role == IPC_ROLE_FRONT && origin == IPC_ORIGIN_HTTPS) ||
           (face->role == IPC_ROLE_BRIDGE && origin == IPC_ORIGIN_MQTT) ||
           (face->role == IPC_ROLE_TLSCERT && origin == IPC_ORIGIN_LOCAL);
}

static bool take_enroll(struct face *face, struct bytes message) {
    struct ipc_enroll enroll;
    if (codec_decode(&ipc_enroll_schema, message, &enroll) || !origin_fits(face, enroll.origin))
        return false;
    ca_service_enroll(face->faces->service, &enroll, send_reply, face);
    return true;
}

static bool take_refused(struct face *face, struct bytes message) {
    struct ipc_refused refused;
    if (codec_decode(&ipc_refused_schema, message, &refused) || !origin_fits(face, refused.origin))
        return false;
    ca_service_refused(face->faces->service, &refused);
    return true;
}

/* A birth proves nothing, so the answer is what anybody may see. */
static bool take_birth(struct face *face, struct bytes message) {
    uint8_t room[IPC_CMC_MAX];
    struct buf buf = BUF_ON(room);
    struct ipc_birth birth;
    struct ipc_offer offer;
    if (face->role != IPC_ROLE_BRIDGE || codec_decode(&ipc_birth_schema, message, &birth))
        return false;
    ca_service_birth(face->faces->service, &birth, &buf, &offer);
    enum tm_err err = ipc_link_send(face->link, &ipc_offer_schema, &offer);
    if (err && err != TM_ECLOSED)
        log_line(LOG_LEVEL_WARN, birth.id, "offer not delivered to the bridge: %s",
                 tm_err_name(err));
    return true;
}

static bool take_event_ack(const struct face *face, struct bytes message) {
    struct ipc_event_ack ack;
    return face->role == IPC_ROLE_BRIDGE && !codec_decode(&ipc_event_ack_schema, message, &ack) &&
           core_events_ack(face->faces->events, ack.sequence);
}

static bool take_published(const struct face *face, struct bytes message) {
    struct ipc_published published;
    return face->role == IPC_ROLE_STATUS &&
           !codec_decode(&ipc_published_schema, message, &published) &&
           core_publish_acknowledged(face->faces->publish, &published);
}

static bool take_ocsp_ask(const struct face *face, struct bytes message) {
    struct ipc_ocsp_ask ask;
    return face->role == IPC_ROLE_STATUS && !codec_decode(&ipc_ocsp_ask_schema, message, &ask) &&
           core_ocsp_asked(face->faces->ocsp, face->link, &ask);
}

static bool take_tls_ask(const struct face *face, struct bytes message) {
    struct ipc_tls_ask ask;
    return !codec_decode(&ipc_tls_ask_schema, message, &ask) &&
           core_tls_asked(face->faces->tls, face->role, face->link, &ask);
}

static bool take_station_ask(const struct face *face, struct bytes message) {
    struct ipc_station_ask ask;
    if (face->role != IPC_ROLE_FRONT || codec_decode(&ipc_station_ask_schema, message, &ask))
        return false;
    core_station_asked(face->faces->station, face->link, &ask);
    return true;
}

static bool take(struct face *face, struct bytes message) {
    switch (codec_peek(message)) {
    case IPC_TYPE_ENROLL:
        return take_enroll(face, message);
    case IPC_TYPE_REFUSED:
        return take_refused(face, message);
    case IPC_TYPE_BIRTH:
        return take_birth(face, message);
    case IPC_TYPE_EVENT_ACK:
        return take_event_ack(face, message);
    case IPC_TYPE_PUBLISHED:
        return take_published(face, message);
    case IPC_TYPE_OCSP_ASK:
        return take_ocsp_ask(face, message);
    case IPC_TYPE_TLS_ASK:
        return take_tls_ask(face, message);
    case IPC_TYPE_STATION_ASK:
        return take_station_ask(face, message);
    default:
        return false;
    }
}

static void face_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct face *face = arg;
    (void)link;
    bool understood = fd < 0 && take(face, message);
    if (fd >= 0)
        (void)close(fd);
    if (understood)
        return;
    log_error("face %d-%u sent what is no request (type 0x%04x); its link is closed",
              (int)face->role, face->index, codec_peek(message));
    face_free(face);
}

static void face_closed(void *arg, struct ipc_link *link) {
    (void)link;
    face_free(arg);
}

static const struct ipc_link_events face_events = {face_message, face_closed};

enum tm_err core_faces_new(const struct core_faces_config *config, struct core_faces **ret_faces) {
    struct core_faces *faces = calloc(1, sizeof *faces);
    if (!faces)
        return TM_ENOMEM;
    *faces = (struct core_faces){config->loop,    config->setup, config->service, config->events,
                                 config->publish, config->ocsp,  config->tls,     config->station,
                                 config->queue,   NULL};
    *ret_faces = faces;
    return TM_OK;
}

void core_faces_free(struct core_faces *faces) {
    if (!faces)
        return;
    while (faces->first)
        face_free(faces->first);
    free(faces);
}

static void link_status(struct core_faces *faces, struct ipc_link *link) {
    core_publish_link(faces->publish, link);
    core_ocsp_link(faces->ocsp, link);
}

void core_faces_linked(struct core_faces *faces, enum ipc_role peer, unsigned index, int fd) {
    struct face *face = calloc(1, sizeof *face);
    if (!face) {
        (void)close(fd);
        return;
    }
    face->faces = faces;
    face->role = peer;
    face->index = index;
    face->next = faces->first;
    size_t queue = faces->queue + faces->setup->label_count + CORE_EVENTS_WINDOW + 16;
    enum tm_err err = ipc_link_open(faces->loop, fd, queue, &face_events, face, &face->link);
    if (err) {
        log_error("link to face %d-%u: %s", (int)peer, index, tm_err_name(err));
        free(face);
        return;
    }
    faces->first = face;
    if (peer == IPC_ROLE_FRONT && core_catalog_send(faces->setup, 1, face->link))
        face_free(face);
    else if (peer == IPC_ROLE_BRIDGE)
        core_events_link(faces->events, face->link);
    else if (peer == IPC_ROLE_STATUS)
        link_status(faces, face->link);
}

size_t core_faces_count(const struct core_faces *faces, enum ipc_role role) {
    size_t n = 0;
    for (const struct face *face = faces->first; face; face = face->next)
        n += face->role == role;
    return n;
}

void core_faces_pause(struct core_faces *faces) {
    for (struct face *face = faces->first; face; face = face->next)
        if (ipc_link_pause(face->link, true))
            log_warn("link to face %d-%u could not be paused", (int)face->role, face->index);
}
