/* SPDX-License-Identifier: Apache-2.0 */
/* When a role may be started again: see supervisor.h. */
#include "base/clock.h"
#include "base/log.h"
#include "server/role.h"
#include "server/supervisor/supervisor.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define STABLE_MS 10000 /* who lived that long starts with a clean sheet */
#define CONFIG_BACKOFF_MIN_MS 5000
#define CONFIG_BACKOFF_MAX_MS 60000

struct post *post_of(struct supervisor *s, enum ipc_role kind, unsigned index) {
    return kind == IPC_ROLE_SIGNER ? &s->signers[index] : &s->posts[kind];
}

static void step(void *arg) {
    plan_step(arg);
}

static void each(struct supervisor *s, void (*fn)(struct supervisor *s, struct post *post)) {
    for (size_t i = 0; i <= IPC_ROLE_LAST; i++)
        fn(s, &s->posts[i]);
    for (size_t i = 0; i < CONF_TOKENS_MAX; i++)
        fn(s, &s->signers[i]);
}

static void init(struct supervisor *s, struct post *post) {
    post->retry = (struct loop_timer){.fn = step, .arg = s};
}

void post_init(struct supervisor *s) {
    each(s, init);
}

static void deinit(struct supervisor *s, struct post *post) {
    loop_timer_stop(s->loop, &post->retry);
}

void post_deinit(struct supervisor *s) {
    each(s, deinit);
}

static void forgive(struct supervisor *s, struct post *post) {
    (void)s;
    post->failures = 0;
    post->config = false;
    post->held = false;
    post->not_before = 0;
}

void post_forgive(struct supervisor *s) {
    each(s, forgive);
}

bool post_may_start(const struct post *post) {
    return !post->held && clock_mono_ms() >= post->not_before;
}

void post_hold_back(struct supervisor *s, struct post *post, int64_t delay_ms) {
    post->not_before = clock_mono_ms() + delay_ms;
    if (loop_timer_set(s->loop, &post->retry, post->not_before))
        log_error("no memory for a timer");
}

static int64_t doubled(int64_t first, int64_t last, unsigned times) {
    int64_t delay = first;
    for (unsigned i = 0; i < times && delay < last; i++)
        delay *= 2;
    return delay < last ? delay : last;
}

void post_failed(struct supervisor *s, struct post *post, int64_t lived_ms, bool config) {
    int64_t delay = 0;
    if (lived_ms >= STABLE_MS)
        post->failures = 0;
    unsigned before = post->failures++;
    post->config = config;
    if (config)
        delay = doubled(CONFIG_BACKOFF_MIN_MS, CONFIG_BACKOFF_MAX_MS, before);
    else if (before > 0)
        delay = doubled(BACKOFF_MIN_MS, BACKOFF_MAX_MS, before - 1);
    post_hold_back(s, post, delay);
}

void post_start(struct supervisor *s, enum ipc_role kind, unsigned index) {
    enum tm_err err = child_spawn(s, kind, index);
    if (err) {
        log_error("%s cannot be started: %s", role_name(kind), tm_err_name(err));
        post_hold_back(s, post_of(s, kind, index), BACKOFF_MAX_MS);
    }
}
