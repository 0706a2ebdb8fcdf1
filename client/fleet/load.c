/* SPDX-License-Identifier: Apache-2.0 */
/* Devices by HTTPS against a real server: see client/fleet/load.h. */
#include "client/fleet/load.h"

#include <openssl/pem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "client/fleet/unit.h"
#include "client/port/curl.h"
#include "client/port/openssl.h"
#include "client/port/run.h"

AUTO_DEFINE(FILE, fclose)
AUTO_DEFINE(X509, X509_free)

/* What the threads share: who is next, and what was seen. */
struct crowd {
    const struct fleet_load *load;
    int64_t end_mono_ms;
    atomic_size_t next;
    atomic_size_t done, enrolled, renewed, failures;
    pthread_mutex_t lock; /* over `text` */
    char text[TM_TEXT_MAX];
};

/* ---- input ---- */

void fleet_logins_free(struct fleet_login *logins, size_t count) {
    if (logins)
        bytes_wipe(logins, count * sizeof *logins);
    free(logins);
}

/* realloc would leave secrets behind. */
static bool grow(struct fleet_login **logins, size_t count, size_t room) {
    struct fleet_login *more = calloc(room, sizeof *more);
    if (!more)
        return false;
    if (count)
        memcpy(more, *logins, count * sizeof *more);
    fleet_logins_free(*logins, count);
    *logins = more;
    return true;
}

enum tm_err fleet_logins_read(FILE *in, struct fleet_login **ret_logins, size_t *ret_count) {
    struct fleet_login *logins = NULL;
    size_t count = 0, room = 0;
    char id[TM_DEVICE_ID_MAX + 1], secret[FLEET_SECRET_MAX + 1];
    int read;
    while ((read = fscanf(in, "%64s %128s", id, secret)) == 2) {
        if (count == room) {
            room = room ? 2 * room : 64;
            if (!grow(&logins, count, room)) {
                fleet_logins_free(logins, count);
                return TM_ENOMEM;
            }
        }
        memcpy(logins[count].id, id, sizeof id);
        memcpy(logins[count++].secret, secret, sizeof secret);
    }
    bytes_wipe(secret, sizeof secret);
    if (read != EOF || count == 0) {
        fleet_logins_free(logins, count);
        return TM_EPARSE;
    }
    *ret_logins = logins;
    *ret_count = count;
    return TM_OK;
}

enum tm_err fleet_anchors_read(const char *path, struct buf *out) {
    AUTO(FILE) file = fopen(path, "r");
    size_t before = out->n;
    while (file) {
        AUTO(X509) certificate = PEM_read_X509(file, NULL, NULL, NULL);
        uint8_t *der = NULL;
        int n = certificate ? i2d_X509(certificate, &der) : 0;
        if (n <= 0)
            break;
        buf_put(out, (struct bytes){der, (size_t)n});
        OPENSSL_free(der);
    }
    return out->n == before || out->full ? TM_ENOTFOUND : TM_OK;
}

/* ---- one device ---- */

static enum tm_err put_secret(struct fleet_unit *unit, struct fleet_login *login) {
    uint8_t octets[TM_DEVICE_ID_MAX + 1 + FLEET_SECRET_MAX];
    struct buf credential = BUF_ON(octets);
    buf_put(&credential, bytes_str(login->id));
    buf_put_u8(&credential, 0);
    buf_put(&credential, bytes_str(login->secret));
    enum tm_err err = unit->storage.write(unit, TM_ITEM_BOOTSTRAP, buf_bytes(&credential));
    bytes_wipe(octets, sizeof octets);
    bytes_wipe(login->secret, sizeof login->secret);
    return err;
}

static enum tm_err make_device(struct fleet_unit *unit, struct fleet_login *login,
                               const struct tm_config *config, struct bytes anchors) {
    fleet_unit_tables(unit);
    enum tm_err err = put_secret(unit, login);
    if (!err)
        err = tm_device_provision(config, &unit->keys, &unit->storage, tm_openssl_crypto(),
                                  unit->work, sizeof unit->work, anchors, (struct bytes){NULL, 0});
    return err ? err
               : tm_device_init(&unit->device, config, &unit->keys, &unit->storage,
                                tm_openssl_crypto(), unit->work, sizeof unit->work);
}

static void note(struct crowd *crowd, const struct tm_event *event) {
    switch (event->kind) {
    case TM_EVENT_ENROLLED:
        crowd->enrolled++;
        return;
    case TM_EVENT_RENEWED:
        crowd->renewed++;
        return;
    case TM_EVENT_FAILED:
    case TM_EVENT_DISCARDED:
    case TM_EVENT_STRANDED:
        crowd->failures++;
        (void)pthread_mutex_lock(&crowd->lock);
        TEXT_SET(crowd->text, event->text);
        (void)pthread_mutex_unlock(&crowd->lock);
        return;
    case TM_EVENT_RECOVERED:
    case TM_EVENT_ROLLED_BACK:
    case TM_EVENT_ANCHORS:
    case TM_EVENT_BOOTSTRAP_ERASED:
        return;
    }
}

static void sleep_until(int64_t mono_ms, int64_t now_ms) {
    int64_t ms = mono_ms > now_ms ? mono_ms - now_ms : 0;
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Runs the device until `kind` is told of `slot`, or the time is over. */
static enum tm_err run_until(struct crowd *crowd, struct tm_device *device, struct tm_curl *curl,
                             enum tm_event_kind kind, enum tm_slot slot) {
    for (;;) {
        struct tm_step step;
        enum tm_err err = tm_run(device, tm_curl_transport(curl), tm_clock_now, &step);
        int64_t now = tm_clock_now().mono_ms;
        if (err)
            return err;
        if (step.kind == TM_STEP_TELL) {
            note(crowd, &step.event);
            if (step.event.kind == kind && step.event.slot == slot)
                return TM_OK;
        } else if (step.until_mono_ms >= crowd->end_mono_ms) {
            return TM_ETIMEOUT;
        } else {
            sleep_until(step.until_mono_ms, now);
        }
        if (now >= crowd->end_mono_ms)
            return TM_ETIMEOUT;
    }
}

static enum tm_err live(struct crowd *crowd, struct fleet_unit *unit, struct fleet_login *login) {
    const struct fleet_load *load = crowd->load;
    struct tm_config config = {.device_id = login->id,
                               .idevid_label = load->idevid_label,
                               .ldevid_label = load->ldevid_label,
                               .backoff_min_s = 1,
                               .backoff_max_s = 10};
    struct tm_curl_config server = {
        .url = load->url, .keys = &unit->keys, .storage = &unit->storage};
    struct tm_curl *curl;
    enum tm_err err = make_device(unit, login, &config, load->anchors);
    if (!err)
        err = tm_curl_open(&server, &curl);
    if (err)
        return err;
    err = run_until(crowd, &unit->device, curl, TM_EVENT_ENROLLED,
                    load->ldevid_label ? TM_SLOT_CURRENT : TM_SLOT_IDEVID);
    for (unsigned i = 0; !err && load->ldevid_label && i < load->renewals; i++) {
        tm_device_renew(&unit->device);
        err = run_until(crowd, &unit->device, curl, TM_EVENT_RENEWED, TM_SLOT_CURRENT);
    }
    tm_curl_close(curl);
    return err;
}

/* ---- all of them ---- */

static void *work(void *arg) {
    struct crowd *crowd = arg;
    struct fleet_unit *unit = malloc(sizeof *unit);
    size_t i;
    while (unit && (i = crowd->next++) < crowd->load->count &&
           tm_clock_now().mono_ms < crowd->end_mono_ms) {
        memset(unit, 0, sizeof *unit);
        if (!live(crowd, unit, &crowd->load->logins[i]))
            crowd->done++;
        fleet_unit_free(unit);
    }
    free(unit);
    return NULL;
}

static void report(struct crowd *crowd, int64_t ms) {
    size_t certificates = crowd->enrolled + crowd->renewed;
    (void)printf("devices: %zu of %zu as far as they were to come\n", (size_t)crowd->done,
                 crowd->load->count);
    (void)printf("certificates: %zu enrolled, %zu renewed in %.2f s, %.0f/s\n",
                 (size_t)crowd->enrolled, (size_t)crowd->renewed, (double)ms / 1000,
                 (double)certificates * 1000 / (double)(ms > 0 ? ms : 1));
    (void)printf("tries that failed: %zu%s%s\n", (size_t)crowd->failures,
                 crowd->text[0] ? ", the last: " : "", crowd->text);
}

bool fleet_load_run(const struct fleet_load *load) {
    pthread_t threads[64];
    unsigned started = 0;
    int64_t start = tm_clock_now().mono_ms;
    struct crowd crowd = {.load = load,
                          .end_mono_ms = start + (int64_t)load->seconds * 1000,
                          .lock = PTHREAD_MUTEX_INITIALIZER};
    while (started < load->threads && !pthread_create(&threads[started], NULL, work, &crowd))
        started++;
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    report(&crowd, tm_clock_now().mono_ms - start);
    return crowd.done == load->count;
}
