/* SPDX-License-Identifier: Apache-2.0 */
/* The core role's life: see core.h. */
#include "server/core/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/core/acts.h"
#include "server/core/alarm.h"
#include "server/core/assignments.h"
#include "server/core/ceilings.h"
#include "server/core/checkpoint.h"
#include "server/core/index.h"
#include "server/core/issuers.h"
#include "server/core/key_uses.h"
#include "server/core/metrics.h"
#include "server/core/ocsp.h"
#include "server/core/products.h"
#include "server/core/profiles.h"
#include "server/core/publish.h"
#include "server/core/restored.h"
#include "server/core/station.h"
#include "server/core/tls_key.h"
#include "server/core/worker.h"
#include "store/store.h"

#define TICK_MS 100
#define LEAF_VERSION "touchmark " TOUCHMARK_VERSION

/* Links that arrive before recovery is done wait here. */
#define EARLY_LINKS_MAX 256
struct early_link {
    enum ipc_role peer;
    unsigned index;
    int fd;
};

struct core {
    struct role *role;
    struct core_setup setup;
    struct core_products products;
    struct core_assignments assignments;
    struct core_ceilings ceilings;
    struct core_restored restored;
    struct ca_service_config config;
    struct ca_store *store;
    struct ca_wrap *wrap; /* NULL: none is configured */
    struct ca_service *service;
    struct ca_jobs *jobs;
    struct core_station *station;
    struct ca_registry registry;
    struct core_worker *worker; /* of the publisher */
    struct core_worker *walker; /* of acts: revocation does not wait for a filter */
    struct core_acts acts;
    struct ca_withdrawals withdrawals; /* that acts make */
    struct core_publish *publish;      /* NULL: there is no status service */
    struct core_ocsp *ocsp;            /* NULL: as before */
    struct core_tls *tls;              /* NULL: the TLS server's key is on no token */
    struct core_signer *signer;
    struct core_key_uses *uses;
    struct core_alarm alarm;
    struct core_checkpoint *checkpoint; /* NULL: no checkpoints are signed */
    struct core_upstream *upstream;     /* NULL: no issuer's key is elsewhere */
    struct core_events *events;         /* NULL: no bridge wants any */
    struct core_faces *faces;
    struct core_index *index;
    struct core_admin *admin;
    struct loop_timer tick;
    bool recovered;
    bool draining;
    int64_t drain_until;
    struct early_link early[EARLY_LINKS_MAX];
    size_t early_count;
    struct ca_leaf started;
    struct ca_batch started_batch;
};

/* ---- links ---- */

static void linked(struct role *role, enum ipc_role peer, unsigned peer_index, int fd) {
    struct core *core = role->self;
    if (peer == IPC_ROLE_SIGNER) {
        core_signer_linked(core->signer, peer_index, fd);
        return;
    }
    if (peer == IPC_ROLE_UPSTREAM) {
        core_upstream_linked(core->upstream, fd);
        return;
    }
    if (core->recovered) {
        core_faces_linked(core->faces, peer, peer_index, fd);
        return;
    }
    if (core->early_count == EARLY_LINKS_MAX) {
        (void)close(fd);
        return;
    }
    core->early[core->early_count++] = (struct early_link){peer, peer_index, fd};
}

static void serve_early_links(struct core *core) {
    for (size_t i = 0; i < core->early_count; i++)
        core_faces_linked(core->faces, core->early[i].peer, core->early[i].index,
                          core->early[i].fd);
    core->early_count = 0;
}

/* The supervisor ends the signer and starts another. */
static void distrust_signer(void *arg, unsigned token) {
    struct core *core = arg;
    struct ipc_control control = {
        .verb = IPC_CONTROL_DISTRUST, .peer = IPC_ROLE_SIGNER, .peer_index = (uint16_t)token};
    if (ipc_link_send(core->role->control, &ipc_control_schema, &control))
        log_error("the supervisor could not be told to restart the signer");
}

static void signer_alarm(void *arg, const char *text) {
    struct core *core = arg;
    core_alarm_raise(&core->alarm, text);
}

static void job_alarm(void *arg, const char *text) {
    struct core *core = arg;
    core_alarm_raise(&core->alarm, text);
}

static bool ask_reload(void *arg) {
    struct core *core = arg;
    const struct ipc_control control = {.verb = IPC_CONTROL_RELOAD};
    return !ipc_link_send(core->role->control, &ipc_control_schema, &control);
}

static void reload_refused(struct role *role, const char *text) {
    struct core *core = role->self;
    core_admin_reload_refused(core->admin, text);
}

static void measure(struct role *role, struct metrics_answer *answer) {
    const struct core *core = role->self;
    const struct core_metrics metrics = {.store = core->store,
                                         .service = core->service,
                                         .setup = &core->setup,
                                         .restored = &core->restored,
                                         .signer = core->signer,
                                         .upstream = core->upstream,
                                         .faces = core->faces,
                                         .events = core->events,
                                         .publish = core->publish,
                                         .checkpoint = core->checkpoint,
                                         .index = core->index,
                                         .jobs = core->jobs,
                                         .admin = core->admin,
                                         .conf = &role->conf->core,
                                         .recovered = core->recovered,
                                         .draining = core->draining};
    core_metrics_add(&metrics, answer);
}

/* ---- draining and the tick ---- */

static bool drained(struct core *core) {
    bool idle = ca_service_active(core->service) == 0;
    bool counted = core_key_uses_settle(core->uses), settled = core_events_settle(core->events);
    if (idle && counted && settled)
        return true;
    if (clock_mono_ms() < core->drain_until)
        return false;
    if (!idle)
        log_warn("%zu requests are given up; recovery settles them",
                 ca_service_active(core->service));
    return true;
}

static void tick(void *arg) {
    struct core *core = arg;
    ca_service_tick(core->service);
    core_signer_tick(core->signer);
    core_key_uses_tick(core->uses);
    core_upstream_tick(core->upstream);
    core_events_tick(core->events);
    if (!core->draining)
        core_checkpoint_tick(core->checkpoint);
    if (!core->draining)
        ca_jobs_tick(core->jobs);
    ca_acts_tick(core->acts.acts);
    core_index_tick(core->index);
    core_admin_tick(core->admin);
    if (!core->draining && !core->restored.held) {
        core_publish_tick(core->publish);
        core_ocsp_tick(core->ocsp);
    }
    if (core->draining && drained(core)) {
        role_exit(core->role);
        return;
    }
    if (loop_timer_set(core->role->loop, &core->tick, clock_mono_ms() + TICK_MS))
        log_error("no timer");
}

static void drain(struct role *role) {
    struct core *core = role->self;
    core->draining = true;
    core->drain_until = clock_mono_ms() + role->conf->process.drain_timeout;
    core_faces_pause(core->faces);
    core_admin_reload_begun(core->admin);
    tick(core);
}

/* ---- start ---- */

static void store_failed(void *arg, const char *text) {
    (void)arg;
    log_error("store: %s; the core restarts and recovers", text);
    _exit(ROLE_EXIT_FAILED);
}

static enum tm_err open_store(struct core *core) {
    const struct conf *conf = core->role->conf;
    struct store_config config = {.path = conf->core.store,
                                  .environment = conf_environment_name(conf),
                                  .map_size = conf->core.map_size,
                                  .max_map_size = conf->core.max_map_size,
                                  .queue_max = conf->core.queue * 3 + 64,
                                  .fatal = store_failed,
                                  .arg = core};
    char text[IPC_TEXT_MAX + 1] = "";
    enum tm_err err = store_open(core->role->loop, &config, &core->store, text);
    if (err)
        log_error("store: %s", text);
    else
        err = core_index_new(core->role->loop, core->store, conf->core.store,
                             conf->core.max_map_size, &core->index);
    return err;
}

/* The key file must be of the user that all later cores are, too. */
static enum tm_err open_wrap(struct core *core) {
    const char *path = core->role->conf->core.wrap_key;
    char text[IPC_TEXT_MAX + 1] = "";
    if (!path)
        return TM_OK;
    enum tm_err err = role_drop(core->role);
    if (err)
        return err;
    err = ca_wrap_open(path, &core->wrap, text);
    if (err)
        log_error("core.wrap_key: %s", text);
    return err;
}

/* Leaves become durable by way of the loop: after each of its rounds there may be some. */
static void after_round(void *arg) {
    core_events_pump(arg);
}

static enum tm_err open_events(struct core *core) {
    const struct conf_mqtt *mqtt = &core->role->conf->mqtt;
    if (!mqtt->broker || !mqtt->events)
        return TM_OK;
    enum tm_err err = core_events_new(core->store, &core->events);
    if (!err)
        loop_after_round(core->role->loop, after_round, core->events);
    return err;
}

static void revoked(void *arg, const struct ca_certificate *certificate) {
    struct core *core = arg;
    core_publish_revoked(core->publish, certificate);
    core_ocsp_revoked(core->ocsp, certificate);
}

static enum tm_err open_status(struct core *core) {
    const struct conf_status *conf = &core->role->conf->status;
    if (!conf->url)
        return TM_OK;
    const struct core_publish_config publish = {.store = core->store,
                                                .service = core->service,
                                                .signer = core_signer_interface(core->signer),
                                                .worker = core->worker,
                                                .setup = &core->setup,
                                                .conf = conf,
                                                .now_ms = clock_wall_ms};
    const struct core_ocsp_config ocsp = {.store = core->store,
                                          .service = core->service,
                                          .signer = core->signer,
                                          .setup = &core->setup,
                                          .conf = conf,
                                          .held = &core->restored.held,
                                          .now_ms = clock_wall_ms};
    enum tm_err err = core_publish_new(&publish, &core->publish);
    return err ? err : core_ocsp_new(&ocsp, &core->ocsp);
}

static enum tm_err open_acts(struct core *core) {
    core->registry = (struct ca_registry){.store = core->store,
                                          .wrap = core->wrap,
                                          .products = &core->products.all,
                                          .now_ms = clock_wall_ms,
                                          .revoked = revoked,
                                          .arg = core};
    const struct core_acts_config config = {.loop = core->role->loop,
                                            .store = core->store,
                                            .worker = core->walker,
                                            .registry = &core->registry,
                                            .service = core->service,
                                            .jobs = core->jobs,
                                            .withdrawals = &core->withdrawals,
                                            .setup = &core->setup,
                                            .environment = conf_environment_name(core->role->conf),
                                            .now_ms = clock_wall_ms};
    const struct core_restored_config restored = {.loop = core->role->loop,
                                                  .store = core->store,
                                                  .registry = &core->registry,
                                                  .setup = &core->setup,
                                                  .publish = core->publish,
                                                  .now_ms = clock_wall_ms};
    enum tm_err err = core_acts_open(&config, &core->acts);
    return err ? err : core_restored_open(&core->restored, &restored, core->acts.acts);
}

static enum tm_err open_faces(struct core *core) {
    const struct core_faces_config config = {.loop = core->role->loop,
                                             .setup = &core->setup,
                                             .service = core->service,
                                             .events = core->events,
                                             .publish = core->publish,
                                             .ocsp = core->ocsp,
                                             .tls = core->tls,
                                             .station = core->station,
                                             .queue = core->role->conf->core.queue};
    return core_faces_new(&config, &core->faces);
}

static enum tm_err open_upstream(struct core *core) {
    const struct conf *conf = core->role->conf;
    return conf_has_issuer_of(conf, CONF_ISSUER_EST)
               ? core_upstream_new(core->role->loop, conf, &core->setup, &core->upstream)
               : TM_OK;
}

static bool reserved(void *arg, const char *device) {
    const struct core *core = arg;
    return core_cloud_reserves(core->acts.cloud, device);
}

static enum tm_err open_checkpoint(struct core *core) {
    const struct core_checkpoint_config config = {.store = core->store,
                                                  .signer = core_signer_interface(core->signer),
                                                  .restored = &core->restored,
                                                  .alarm = &core->alarm,
                                                  .audit = &core->setup.audit,
                                                  .conf = &core->role->conf->audit,
                                                  .now_ms = clock_wall_ms};
    return core->setup.audit.on ? core_checkpoint_new(&config, &core->checkpoint) : TM_OK;
}

static enum tm_err open_jobs(struct core *core) {
    const struct ca_jobs_config config = {.store = core->store,
                                          .registry = &core->registry,
                                          .now_ms = clock_wall_ms,
                                          .alarm = job_alarm,
                                          .arg = core};
    enum tm_err err = ca_jobs_new(&config, &core->jobs);
    return err ? err : ca_jobs_load(core->jobs);
}

static enum tm_err open_station(struct core *core) {
    const struct core_station_config config = {.loop = core->role->loop,
                                               .store = core->store,
                                               .service = core->service,
                                               .jobs = core->jobs,
                                               .setup = &core->setup,
                                               .withdrawals = &core->withdrawals,
                                               .shift_ms = core->role->conf->core.shift,
                                               .now_ms = clock_wall_ms};
    return core_station_new(&config, &core->station);
}

static enum tm_err open_service(struct core *core) {
    const struct conf *conf = core->role->conf;
    enum tm_err err = open_upstream(core);
    if (!err)
        err = open_jobs(core);
    if (err)
        return err;
    core->config =
        (struct ca_service_config){.labels = core->setup.labels,
                                   .label_count = core->setup.label_count,
                                   .server = core->setup.has_server ? &core->setup.server : NULL,
                                   .server_names = conf->tls.names,
                                   .queue = conf->core.queue,
                                   .wrap = core->wrap,
                                   .jobs = core->jobs,
                                   .products = &core->products.all,
                                   .upstream = core_upstream_interface(core->upstream),
                                   .refusals_per_second = (uint32_t)conf->core.refusals_per_second,
                                   .request_timeout_ms = conf->core.request_timeout,
                                   .now_ms = clock_wall_ms,
                                   .withdrawals = &core->withdrawals,
                                   .held = &core->restored.held,
                                   .reserved = reserved,
                                   .reserved_arg = core};
    const struct core_key_uses_config uses = {.store = core->store,
                                              .setup = &core->setup,
                                              .interval_ms = CORE_KEY_USES_MS,
                                              .now_ms = clock_wall_ms};
    err = core_key_uses_new(&uses, &core->uses);
    if (err)
        return err;
    const struct core_signer_config signer = {.loop = core->role->loop,
                                              .setup = &core->setup,
                                              .queue = conf->core.queue,
                                              .uses = core->uses,
                                              .distrust = distrust_signer,
                                              .alarm = signer_alarm,
                                              .arg = core};
    core->alarm = (struct core_alarm){.store = core->store, .now_ms = clock_wall_ms};
    err = core_signer_new(&signer, &core->signer);
    for (size_t i = 0; i < core->setup.token_count && !err; i++)
        core_signer_limit(core->signer, i, core_ceiling_held(&core->ceilings, i, CORE_CEILING_RATE),
                          core_ceiling_held(&core->ceilings, i, CORE_CEILING_TOTAL));
    if (!err)
        err = ca_service_new(&core->config, core->store, core_signer_interface(core->signer),
                             &core->service);
    if (!err)
        err = open_events(core);
    if (!err)
        err = core_worker_new(core->role->loop, &core->worker);
    if (!err)
        err = core_worker_new(core->role->loop, &core->walker);
    if (!err)
        err = open_station(core);
    if (!err)
        err = open_status(core);
    if (!err && core->setup.has_tls_key)
        err = core_tls_new(core->signer, &core->tls);
    if (!err)
        err = open_acts(core);
    if (!err)
        err = open_checkpoint(core);
    return err ? err : open_faces(core);
}

static enum tm_err open_admin(struct core *core) {
    const struct conf *conf = core->role->conf;
    if (core->role->listen_fd < 0)
        return TM_OK;
    struct core_admin_config config = {
        .store = core->store,
        .registry = &core->registry,
        .service = core->service,
        .acts = &core->acts,
        .jobs = core->jobs,
        .stations = core_station_stations(core->station),
        .setup = &core->setup,
        .products = &core->products.all,
        .assignments = &core->assignments,
        .ceilings = &core->ceilings,
        .restored = &core->restored,
        .checkpoint = core->checkpoint,
        .signer = core->signer,
        .upstream = core->upstream,
        .faces = core->faces,
        .events = core->events,
        .publish = core->publish,
        .ocsp = core->ocsp,
        .index = core->index,
        .bridge = conf->mqtt.broker != NULL,
        .environment = conf_environment_name(conf),
        .default_tenant = core->setup.tenant_count ? core->setup.tenants[0].name : "",
        .now_ms = clock_wall_ms,
        .started_ms = clock_wall_ms(),
        .reload = ask_reload,
        .reload_arg = core};
    return core_admin_new(core->role->loop, core->role->listen_fd, &config, &core->admin);
}

/* The start is in the audit before anything is served. */
static void started_durable(struct ca_batch *batch, enum tm_err result) {
    struct core *core = batch->arg;
    enum tm_err err = result ? result : open_admin(core);
    if (!err)
        err = role_ready(core->role);
    if (!err)
        err = ca_acts_resume(core->acts.acts);
    if (err) {
        log_error("the core cannot serve: %s", tm_err_name(err));
        _exit(ROLE_EXIT_FAILED);
    }
    core->recovered = true;
    serve_early_links(core);
    tick(core);
}

/* Which trust it is, and the consent to keys in files where that is needed. */
static void name_start(const struct conf *conf, char ret[IPC_TEXT_MAX + 1]) {
    bool consent = conf->environment == CONF_ENV_PROD && conf->softhsm_in_prod;
    (void)snprintf(ret, IPC_TEXT_MAX + 1, LEAF_VERSION ", environment %s%s",
                   conf_environment_name(conf), consent ? ", softhsm_in_prod" : "");
}

static void products_bound(void *arg, enum tm_err result) {
    struct core *core = arg;
    core->started = (struct ca_leaf){
        .event = CA_EVENT_STARTED, .time_ms = clock_wall_ms(), .actor = "touchmarkd"};
    name_start(core->role->conf, core->started.reason);
    core->started_batch =
        (struct ca_batch){.count = 1,
                          .changes = {{.kind = CA_ADD_LEAF, .u.leaf = &core->started}},
                          .done = started_durable,
                          .arg = core};
    enum tm_err err = result ? result : core->store->ops->submit(core->store, &core->started_batch);
    if (err) {
        log_error("recovery: %s", tm_err_name(err));
        _exit(ROLE_EXIT_FAILED);
    }
}

static void profiles_bound(void *arg, enum tm_err result) {
    struct core *core = arg;
    if (result)
        products_bound(core, result);
    else
        core_products_bind(&core->products, core->store, clock_wall_ms(), products_bound, core);
}

static void issuers_bound(void *arg, enum tm_err result) {
    struct core *core = arg;
    if (result == TM_EDENIED)
        _exit(ROLE_EXIT_CONFIG);
    if (result)
        profiles_bound(core, result);
    else
        core_profiles_bind(&core->setup, core->store, clock_wall_ms(), profiles_bound, core);
}

static void ceilings_bound(void *arg, enum tm_err result) {
    struct core *core = arg;
    if (result)
        issuers_bound(core, result);
    else
        core_issuers_bind(&core->setup, core->store, clock_wall_ms(), issuers_bound, core);
}

static void assignments_bound(void *arg, enum tm_err result) {
    struct core *core = arg;
    if (result)
        ceilings_bound(core, result);
    else
        core_agreed_bind(core->ceilings.items, core->ceilings.count, core->store, clock_wall_ms(),
                         ceilings_bound, core);
}

static void recovered(void *arg, enum tm_err result) {
    struct core *core = arg;
    if (result)
        assignments_bound(core, result);
    else
        core_agreed_bind(core->assignments.items, core->assignments.count, core->store,
                         clock_wall_ms(), assignments_bound, core);
}

enum tm_err core_start(struct role *role) {
    struct core *core = calloc(1, sizeof *core);
    if (!core)
        return TM_ENOMEM;
    core->role = role;
    core->tick = (struct loop_timer){.fn = tick, .arg = core};
    role->self = core;
    role->linked = linked;
    role->drain = drain;
    role->reload_refused = reload_refused;
    role->measure = measure;
    enum tm_err err = core_setup_load(role->conf, &core->setup);
    if (!err)
        err = core_products_load(role->conf, &core->setup, &core->products);
    if (!err)
        err = open_store(core);
    if (!err)
        err = core_assignments_judge(role->conf, &core->setup, core->store, clock_wall_ms(),
                                     &core->assignments);
    if (!err)
        err = core_ceilings_judge(role->conf, &core->setup, core->store, clock_wall_ms(),
                                  &core->ceilings);
    if (!err)
        err = core_restored_look(&role->conf->status, &core->setup, core->store, &core->restored);
    if (!err)
        err = open_wrap(core);
    if (!err)
        err = open_service(core);
    if (!err)
        err = ca_service_recover(core->service, recovered, core);
    return err;
}

void core_stop(struct role *role) {
    struct core *core = role->self;
    if (!core)
        return;
    loop_timer_stop(role->loop, &core->tick);
    loop_after_round(role->loop, NULL, NULL);
    if (core->service && ca_service_active(core->service))
        _exit(0); /* given up after the drain timeout: recovery settles what is open */
    core_worker_free(core->worker);
    core_worker_free(core->walker);
    core_station_stop(core->station);
    core_publish_stop(core->publish);
    core_acts_stop(&core->acts);
    core_index_free(core->index);
    store_close(core->store);
    core_admin_free(core->admin);
    core_faces_free(core->faces);
    core_events_free(core->events);
    core_signer_free(core->signer);
    core_key_uses_free(core->uses);
    core_upstream_free(core->upstream);
    core_ocsp_free(core->ocsp);
    core_tls_free(core->tls);
    core_checkpoint_free(core->checkpoint);
    core_publish_free(core->publish);
    core_acts_free(&core->acts);
    core_station_free(core->station);
    ca_service_free(core->service);
    ca_jobs_free(core->jobs);
    ca_wrap_free(core->wrap);
    core_restored_free(&core->restored);
    core_assignments_free(&core->assignments);
    core_products_free(&core->products);
    core_setup_free(&core->setup);
    free(core);
    role->self = NULL;
}
