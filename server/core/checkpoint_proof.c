/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs under the checkpoints that there are: see checkpoint.h. */
#include "server/core/checkpoint_internal.h"

static const struct ca_checkpoint *covering(const struct core_checkpoint *c, uint64_t sequence) {
    const struct ca_checkpoint *rows[] = {&c->cosigned.row, &c->signed_.row};
    for (size_t i = 0; i < 2; i++)
        if (rows[i]->version && rows[i]->size > sequence)
            return rows[i];
    return NULL;
}

enum tm_err core_checkpoint_receipt(struct core_checkpoint *c, uint64_t sequence, struct buf *out) {
    struct ca_store *store = c->config.store;
    const struct audit_nodes nodes = checkpoint_nodes(c);
    const struct ca_checkpoint *row = covering(c, sequence);
    uint8_t octets[AUDIT_LEAF_MAX];
    struct buf leaf = BUF_ON(octets);
    if (!row)
        return TM_ENOTFOUND;
    struct audit_receipt receipt = {.index = sequence, .checkpoint = row->note};
    enum tm_err err = store->ops->leaf_octets(store, sequence, &leaf);
    if (!err)
        err = audit_inclusion_make(&nodes, sequence, row->size, &receipt.proof);
    receipt.leaf = buf_bytes(&leaf);
    return err ? err : audit_receipt_put(out, &receipt);
}

enum tm_err core_checkpoint_addition(struct core_checkpoint *c, uint64_t old, struct buf *out) {
    const struct audit_nodes nodes = checkpoint_nodes(c);
    const struct ca_checkpoint *row = &c->signed_.row;
    struct audit_addition addition = {.old = old, .checkpoint = row->note};
    if (!row->version)
        return TM_ENOTFOUND;
    enum tm_err err = audit_consistency_make(&nodes, old, row->size, &addition.proof);
    return err ? err : audit_addition_put(out, &addition);
}
