/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status role put together: what says which certificates are good, over plain HTTP. It serves
 * what lies in status.dir from the start, and then what a core publishes; it holds no secret.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/front/descriptors.h"
#include "server/role.h"
#include "server/status/http.h"
#include "server/status/publisher.h"

#define OCSP_OCTETS_MAX ((size_t)64 << 20)
#define OCSP_ASKING_MAX 256
/* What a core publishes at once: beyond that it waits until some of it is on disk. */
#define PUBLICATIONS_MAX 64
#define LINK_QUEUE (OCSP_ASKING_MAX + 2 * PUBLICATIONS_MAX)
#define FRESH_MIN_MS 1000

struct status {
    struct role *role;
    struct conf_status_url url;
    struct status_table table;
    struct status_shelf *shelf;
    struct status_publisher *publisher;
    struct status_ocsp *ocsp;
    struct status_http http;
    struct ipc_link *core; /* NULL: the core is away */
    unsigned core_number;  /* of its link */
    bool paused;           /* the core publishes faster than the disk takes it */
};

/* ---- what is published ---- */

static void serve(struct status *status, const char *name, struct status_item *item) {
    if (status_table_put(&status->table, name, item))
        log_error("no memory to serve %s", name);
}

static enum tm_err expect(void *arg, const char *name) {
    struct status *status = arg;
    return status_table_put(&status->table, name, NULL);
}

static void loaded(void *arg, const char *name, struct status_item *item) {
    log_info("%s is there, number %" PRIu64, name, item->number);
    serve(arg, name, item);
}

static void pause_core(struct status *status, bool paused) {
    if (status->core && status->paused != paused && ipc_link_pause(status->core, paused) == TM_OK)
        status->paused = paused;
}

/* Only to the core that sent it. */
static void acknowledge(struct status *status, const struct status_publication *publication) {
    struct ipc_published message = {.good = !publication->err,
                                    .number = publication->publish.number};
    TEXT_SET(message.issuer, publication->publish.issuer);
    TEXT_SET(message.object, publication->publish.object);
    if (publication->err)
        TEXT_SET(message.text,
                 publication->text[0] ? publication->text : tm_err_name(publication->err));
    if (!status->core || publication->link != status->core_number)
        return;
    enum tm_err err = ipc_link_send(status->core, &ipc_published_schema, &message);
    if (err && err != TM_ECLOSED)
        log_error("the core could not be told what is published: %s", tm_err_name(err));
}

static void published(void *arg, struct status_publication *publication) {
    struct status *status = arg;
    const struct ipc_publish *publish = &publication->publish;
    if (publication->err) {
        log_error("%s of %s, number %" PRIu64 ", is not published: %s", publish->object,
                  publish->issuer, publish->number,
                  publication->text[0] ? publication->text : tm_err_name(publication->err));
    } else {
        log_info("%s is published, number %" PRIu64, publication->name, publish->number);
        serve(status, publication->name, TAKE(publication->item));
    }
    acknowledge(status, publication);
    if (status_publisher_pending(status->publisher) < PUBLICATIONS_MAX)
        pause_core(status, false);
}

/* ---- from the core ---- */

static bool take_publish(struct status *status, struct bytes message, int fd) {
    struct ipc_publish publish;
    if (fd < 0)
        return false;
    if (codec_decode(&ipc_publish_schema, message, &publish)) {
        (void)close(fd);
        return false;
    }
    if (status_publisher_submit(status->publisher, &publish, status->core_number, fd))
        log_error("no memory for what the core publishes");
    if (status_publisher_pending(status->publisher) >= PUBLICATIONS_MAX)
        pause_core(status, true);
    return true;
}

static bool take_answer(struct status *status, struct bytes message) {
    struct ipc_ocsp_answer answer;
    if (codec_decode(&ipc_ocsp_answer_schema, message, &answer))
        return false;
    status_ocsp_answer(status->ocsp, &answer);
    return true;
}

static bool take_drop(struct status *status, struct bytes message) {
    struct ipc_ocsp_drop drop;
    if (codec_decode(&ipc_ocsp_drop_schema, message, &drop) || drop.serial_n > sizeof drop.serial)
        return false;
    status_ocsp_drop(status->ocsp, &drop);
    return true;
}

static bool take(struct status *status, struct bytes message, int fd) {
    uint16_t type = codec_peek(message);
    if (type == IPC_TYPE_PUBLISH)
        return take_publish(status, message, fd);
    if (fd >= 0)
        (void)close(fd); /* nothing else has one */
    if (type == IPC_TYPE_OCSP_ANSWER)
        return take_answer(status, message);
    return type == IPC_TYPE_OCSP_DROP && take_drop(status, message);
}

static void core_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    (void)link;
    if (!take(arg, message, fd))
        log_error("the core sent what cannot be read (type %#x)", codec_peek(message));
}

static void lose_core(struct status *status) {
    if (!status->core)
        return;
    ipc_link_close(status->core);
    status->core = NULL;
    status->paused = false;
    status_ocsp_link(status->ocsp, NULL);
}

static void core_closed(void *arg, struct ipc_link *link) {
    (void)link;
    log_warn("the core is gone; what is there goes on being served");
    lose_core(arg);
}

static const struct ipc_link_events core_events = {core_message, core_closed};

static void linked(struct role *role, enum ipc_role peer, unsigned peer_index, int fd) {
    struct status *status = role->self;
    (void)peer_index;
    if (peer != IPC_ROLE_CORE) {
        log_error("the status role needs no link to role %d", (int)peer);
        (void)close(fd);
        return;
    }
    lose_core(status);
    status->core_number++;
    if (ipc_link_open(role->loop, fd, LINK_QUEUE, &core_events, status, &status->core))
        log_error("cannot open the link to the core");
    else
        status_ocsp_link(status->ocsp, status->core);
}

/* ---- start and end ---- */

static void answered(void *arg, struct status_ask *ask, struct status_item *item,
                     struct bytes error) {
    (void)arg;
    status_http_answered(ask, item, error);
}

static void drained(void *arg) {
    struct status *status = arg;
    role_exit(status->role);
}

static void drain(struct role *role) {
    struct status *status = role->self;
    front_plain_drain(status->http.server, role->conf->process.drain_timeout, role->stopping);
}

static enum tm_err load(struct status *status) {
    const struct conf *conf = status->role->conf;
    enum tm_err err = conf_status_url_parse(conf->status.url, &status->url);
    if (!err)
        err = role_drop(status->role); /* its files belong to the user that it serves as */
    if (!err)
        err = status_names_due(conf, expect, status);
    if (!err)
        err = status_shelf_open(conf->status.dir, &status->shelf);
    return err ? err : status_shelf_load(status->shelf, loaded, status);
}

static enum tm_err open_parts(struct status *status) {
    struct role *role = status->role;
    const struct conf_status *conf = &role->conf->status;
    const struct status_ocsp_config ocsp = {.loop = role->loop,
                                            .octets_max = OCSP_OCTETS_MAX,
                                            .asking_max = OCSP_ASKING_MAX,
                                            .timeout_ms = role->conf->listen.reply_timeout,
                                            .answered = answered,
                                            .arg = status};
    enum tm_err err = status_ocsp_new(&ocsp, &status->ocsp);
    if (err)
        return err;
    status->http = (struct status_http){.base = status->url.path,
                                        .fresh_ms = conf->crl_delay > FRESH_MIN_MS ? conf->crl_delay
                                                                                   : FRESH_MIN_MS,
                                        .asking_ms = ocsp.timeout_ms,
                                        .table = &status->table,
                                        .ocsp = status->ocsp,
                                        .drained = drained,
                                        .arg = status};
    return status_http_open(&status->http, role->loop, role->listen_fd,
                            front_descriptors_for(conf->max_connections, 1));
}

enum tm_err status_start(struct role *role) {
    struct status *status = calloc(1, sizeof *status);
    if (!status)
        return TM_ENOMEM;
    status->role = role;
    role->self = status;
    role->linked = linked;
    role->drain = drain;
    enum tm_err err = role->conf->status.url ? load(status) : TM_EPARSE;
    if (!err)
        err = open_parts(status);
    if (err)
        return err;
    err = role_ready(role);
    /* Its thread is made inside the sandbox, which is for each thread. */
    return err ? err
               : status_publisher_new(role->loop, status->shelf, published, status,
                                      &status->publisher);
}

void status_stop(struct role *role) {
    struct status *status = role->self;
    if (!status)
        return;
    status_publisher_free(status->publisher);
    front_plain_close(status->http.server);
    status_ocsp_free(status->ocsp);
    ipc_link_close(status->core);
    status_shelf_close(status->shelf);
    status_table_deinit(&status->table);
    free(status);
    role->self = NULL;
}
