/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log and who reads it: see store/checker.h. */
#include "store/checker.h"

#include <inttypes.h>
#include <string.h>

#include "store/group.h"

/* An issued or burned leaf is the one that its serial's record points to: so there is no
 * second one, and none without a record. */
static void check_serial_leaf(struct store_checker *c, const struct ca_leaf *leaf,
                              uint64_t sequence) {
    struct store_name serial = store_serial_name(&leaf->serial);
    struct store_certificate record;
    enum tm_err err = store_find_certificate(c, &leaf->serial, &record);
    const char *event = ca_event_name((enum ca_event)leaf->event);
    if (err == TM_ENOTFOUND)
        store_fault(c, "audit leaf %" PRIu64 " (%s): serial %s is not stored", sequence, event,
                    serial.text);
    else if (!err && store_leaf_event(&record.certificate) != leaf->event)
        store_fault(c, "audit leaf %" PRIu64 " (%s): serial %s is %s", sequence, event, serial.text,
                    ca_cert_status_name((enum ca_cert_status)record.certificate.status));
    else if (!err && record.leaf != sequence + 1)
        store_fault(c, "audit leaf %" PRIu64 " (%s): serial %s has another such leaf", sequence,
                    event, serial.text);
}

static void check_sequence(struct store_checker *c, struct bytes key) {
    struct reader r = {key, 0, false};
    uint64_t sequence = reader_be(&r, 8);
    if (r.bad || reader_left(&r)) {
        store_fault(c, "an audit leaf stands under a key that is no sequence number");
        return;
    }
    if (sequence != c->next_leaf)
        store_fault(c, "audit leaves %" PRIu64 " to %" PRIu64 " are missing", c->next_leaf,
                    sequence - 1);
    c->next_leaf = sequence + 1;
}

void store_check_leaf(struct store_checker *c, struct bytes key, struct bytes value) {
    check_sequence(c, key);
    uint64_t sequence = c->next_leaf - 1;
    struct ca_leaf leaf;
    if (store_unseal(c->reader->hasher, key, value, &store_leaf_schema, &leaf)) {
        store_fault(c, "audit leaf %" PRIu64 ": the record fails its hash", sequence);
        c->tiles.lost = true;
        return;
    }
    if (leaf.event == CA_EVENT_ISSUED || leaf.event == CA_EVENT_BURNED)
        check_serial_leaf(c, &leaf, sequence);
    struct audit_hash node;
    if (store_merkle_append(c->reader->hasher, &c->tree, store_sealed_record(value)) ||
        store_merkle_leaf(c->reader->hasher, store_sealed_record(value), &node))
        store_fault(c, "audit leaf %" PRIu64 " cannot be hashed", sequence);
    else
        store_check_tile_leaf(c, &node);
}

void store_check_tree(struct store_checker *c) {
    struct audit_frontier kept;
    if (store_frontier_read(c->reader->env, c->reader->txn, c->reader->hasher, &kept)) {
        store_fault(c, "the audit tree's frontier fails its hash");
        return;
    }
    if (kept.size != c->tree.size) {
        store_fault(
            c, "the audit tree has %" PRIu64 " leaves by its frontier and %" PRIu64 " sound ones",
            kept.size, c->tree.size);
        return;
    }
    if (kept.count != c->tree.count ||
        memcmp(kept.nodes, c->tree.nodes, kept.count * sizeof kept.nodes[0]) != 0)
        store_fault(c, "the audit tree's frontier is not that of its leaves");
}

/* What nobody has written nobody can have got. */
void store_check_cursor(struct store_checker *c, struct bytes key, struct bytes value) {
    struct store_name consumer = store_device_name(key);
    struct store_cursor cursor;
    if (store_unseal(c->reader->hasher, key, value, &store_cursor_schema, &cursor))
        store_fault(c, "cursor of %s: the record fails its hash", consumer.text);
    else if (cursor.next > c->next_leaf)
        store_fault(c, "cursor of %s: it stands at audit leaf %" PRIu64 " of %" PRIu64,
                    consumer.text, cursor.next, c->next_leaf);
}
