/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves of operators and of products: see auditor.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auditor/auditor.h"

enum { THERE = 1, GONE };

/* What is gone is not looked for; unless the registry was read meanwhile it must not be there. */
static void set(struct auditor *a, uint64_t sequence, struct auditor_entry *entry, bool there) {
    auditor_set_state(entry, sequence, a->registry_from, there ? THERE : GONE);
    if (!there)
        entry->states |= 1;
}

static void operator_name(const struct ca_leaf *leaf, char ret[2 * IPC_NAME_MAX + 2]) {
    (void)snprintf(ret, 2 * IPC_NAME_MAX + 2, "%s/%s", leaf->tenant, leaf->operator_name);
}

void auditor_replay_person(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf) {
    char name[2 * IPC_NAME_MAX + 2];
    if (leaf->event != CA_EVENT_OPERATOR)
        return;
    operator_name(leaf, name);
    struct auditor_entry *entry = auditor_entry(&a->operators, name);
    if (!entry)
        abort();
    set(a, sequence, entry, strcmp(leaf->reason, "removed") != 0);
}

void auditor_judge_operator(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf) {
    char name[2 * IPC_NAME_MAX + 2];
    operator_name(leaf, name);
    if (!a->from && !auditor_known(&a->operators, name))
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "leaf %" PRIu64 " names operator %s, and no leaf has added that one", sequence,
                     name);
}

/* "SKU: hash HEX", or "SKU: there is no such product any more". */
void auditor_replay_product(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf) {
    char sku[IPC_NAME_MAX + 1];
    size_t n = strcspn(leaf->reason, ":"), read = 0;
    if (leaf->event != CA_EVENT_PRODUCT || n >= sizeof sku)
        return;
    memcpy(sku, leaf->reason, n);
    sku[n] = '\0';
    struct auditor_entry *entry = auditor_entry(&a->products, sku);
    if (!entry)
        abort();
    const char *hash = strstr(leaf->reason + n, ": hash ");
    set(a, sequence, entry, hash != NULL);
    if (hash && (hex_decode(hash + 7, entry->fingerprint, sizeof entry->fingerprint, &read) ||
                 read != sizeof entry->fingerprint))
        auditor_find(&a->report, AUDITOR_REGISTRY, "leaf %" PRIu64 " names no hash of product %s",
                     sequence, sku);
}
