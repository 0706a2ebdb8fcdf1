/* SPDX-License-Identifier: Apache-2.0 */
/* Which roles talk to which: see supervisor.h. */
#include <unistd.h>

#include "base/log.h"
#include "server/role.h"
#include "server/supervisor/supervisor.h"

static const enum ipc_role pairs[][2] = {
    {IPC_ROLE_FRONT, IPC_ROLE_CORE},  {IPC_ROLE_TLSCERT, IPC_ROLE_CORE},
    {IPC_ROLE_BRIDGE, IPC_ROLE_CORE}, {IPC_ROLE_STATUS, IPC_ROLE_CORE},
    {IPC_ROLE_CORE, IPC_ROLE_SIGNER}, {IPC_ROLE_CORE, IPC_ROLE_UPSTREAM},
};

/* Any process may be asked for its numbers; tlscert lives too short. */
static bool is_asked(enum ipc_role kind) {
    return kind != IPC_ROLE_METRICS && kind != IPC_ROLE_TLSCERT;
}

static bool are_pair(enum ipc_role a, enum ipc_role b) {
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if ((pairs[i][0] == a && pairs[i][1] == b) || (pairs[i][0] == b && pairs[i][1] == a))
            return true;
    return false;
}

static bool is_one(const struct child *a, const struct child *b, enum ipc_role kind) {
    return a->kind == kind || b->kind == kind;
}

static bool fit(const struct child *a, const struct child *b) {
    if (is_one(a, b, IPC_ROLE_METRICS))
        return is_asked(a->kind == IPC_ROLE_METRICS ? b->kind : a->kind);
    if (!are_pair(a->kind, b->kind))
        return false;
    /* A signer refuses for ever what it does not know, so core and signer have to hold the
     * same profiles, and core and upstream the same issuers. A draining core takes nothing new; a
     * draining front waits for its answers. */
    if (is_one(a, b, IPC_ROLE_SIGNER) || is_one(a, b, IPC_ROLE_UPSTREAM))
        return a->generation == b->generation;
    const struct child *core = a->kind == IPC_ROLE_CORE ? a : b;
    return core->state != CHILD_DRAINING;
}

static enum tm_err hand_over(struct child *to, const struct child *peer, int fd) {
    const struct ipc_control link = {
        .verb = IPC_CONTROL_LINK, .peer = (uint8_t)peer->kind, .peer_index = (uint16_t)peer->index};
    if (!to->control) {
        (void)close(fd);
        return TM_ECLOSED;
    }
    return ipc_link_send_fd(to->control, &ipc_control_schema, &link, fd);
}

/* When one of the two cannot take its end, the other sees it closed; and whoever died
 * meanwhile gets a successor, which is linked anew. */
static void link_two(struct child *a, struct child *b) {
    int ends[2];
    enum tm_err err = ipc_pair(ends);
    if (!err) {
        err = hand_over(a, b, ends[0]);
        enum tm_err other = hand_over(b, a, ends[1]);
        err = err ? err : other;
    }
    if (err && err != TM_ECLOSED)
        log_error("%s and %s could not be linked: %s", role_name(a->kind), role_name(b->kind),
                  tm_err_name(err));
}

void links_make(struct supervisor *s, struct child *child) {
    for (struct child *other = s->children; other; other = other->next)
        if (other != child && fit(child, other))
            link_two(child, other);
}
