/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves as changes of a registry: see auditor.h. A leaf that names a device and a state it came to
 * is a transition; those of certificates name the serial. What changed while the registry was being
 * read may be in it as before or as after.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auditor/auditor.h"
#include "ca/lifecycle.h"
#include "store/records.h"

/* The device that a leaf is about. False: none. */
static bool device_name(const struct ca_leaf *leaf, char ret[2 * IPC_NAME_MAX + 2]) {
    (void)snprintf(ret, 2 * IPC_NAME_MAX + 2, "%s/%s", leaf->tenant, leaf->device);
    return leaf->tenant[0] && leaf->device[0];
}

/* The device's entry; NULL: the leaf brings none into a state. */
static struct auditor_entry *move_device(struct auditor *a, uint64_t sequence,
                                         const struct ca_leaf *leaf) {
    char name[2 * IPC_NAME_MAX + 2];
    if (!leaf->to_state || !device_name(leaf, name))
        return NULL;
    struct auditor_entry *entry = auditor_entry(&a->devices, name);
    if (!entry)
        abort();
    bool known = entry->state || !a->from;
    if (known && leaf->from_state && entry->state != leaf->from_state)
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "leaf %" PRIu64 " moves %s from %s, and it was %s", sequence, name,
                     ca_state_name((enum ca_state)leaf->from_state),
                     entry->state ? ca_state_name((enum ca_state)entry->state) : "not there");
    auditor_set_state(entry, sequence, a->registry_from, leaf->to_state);
    return entry;
}

static struct auditor_entry *certificate_of(struct auditor *a, const struct ca_leaf *leaf) {
    char serial[2 * CA_SERIAL_MAX + 1];
    struct auditor_entry *entry = NULL;
    if (!hex_encode((struct bytes){leaf->serial.octets, leaf->serial.n}, serial, sizeof serial))
        entry = auditor_entry(&a->certificates, serial);
    if (!entry)
        abort();
    return entry;
}

static void add_certificate(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf,
                            enum ca_cert_status status) {
    struct auditor_entry *entry = certificate_of(a, leaf);
    char owner[2 * IPC_NAME_MAX + 2];
    if (entry->state)
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "leaf %" PRIu64 " records serial %s again, after leaf %" PRIu64, sequence,
                     entry->name, entry->leaf);
    (void)device_name(leaf, owner);
    free(entry->owner);
    entry->owner = strdup(owner);
    memcpy(entry->fingerprint, leaf->fingerprint, CA_HASH_SIZE);
    auditor_set_state(entry, sequence, a->registry_from, (uint8_t)status);
}

static void revoke(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf) {
    struct auditor_entry *entry = certificate_of(a, leaf);
    if (!entry->state && !a->from)
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "leaf %" PRIu64 " revokes serial %s, which no leaf has issued", sequence,
                     entry->name);
    auditor_set_state(entry, sequence, a->registry_from, CA_CERT_REVOKED);
}

/* What was signed is counted over the whole log, whatever of it the registry is as old as. */
void auditor_replay(struct auditor *a, uint64_t sequence, struct bytes octets) {
    struct ca_leaf leaf;
    if (codec_decode(&store_leaf_schema, octets, &leaf)) {
        auditor_find(&a->report, AUDITOR_LOG, "leaf %" PRIu64 " is no audit leaf", sequence);
        return;
    }
    auditor_replay_key(a, &leaf);
    if (sequence >= a->registry_to)
        return; /* later than the registry */
    auditor_replay_job(a, sequence, &leaf, move_device(a, sequence, &leaf));
    auditor_replay_person(a, sequence, &leaf);
    auditor_replay_product(a, sequence, &leaf);
    if (leaf.event == CA_EVENT_ISSUED)
        add_certificate(a, sequence, &leaf, CA_CERT_ACTIVE);
    else if (leaf.event == CA_EVENT_BURNED)
        add_certificate(a, sequence, &leaf, CA_CERT_BURNED);
    else if (leaf.event == CA_EVENT_REVOKED && leaf.serial.n)
        revoke(a, sequence, &leaf);
}
