/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer's check of checkpoints: see pkcs11/ticket.h. Whatever a core asks for, the audit log's
 * key signs checkpoints of its own log, and nothing else.
 */
#include <string.h>

#include "audit/note.h"
#include "audit/tree.h"
#include "pkcs11/ticket.h"

enum tm_err hsm_checkpoint_ticket_check(const struct hsm_rules *rules,
                                        const struct ipc_checkpoint_ticket *ticket,
                                        struct hsm_permit *ret, char text[IPC_TEXT_MAX + 1]) {
    struct audit_checkpoint checkpoint;
    if (!rules->origin)
        return hsm_ticket_refuse(text, "the audit log's key is not here");
    if (audit_checkpoint_parse(ticket->content, &checkpoint) || checkpoint.extensions.n ||
        !checkpoint.size || checkpoint.size > AUDIT_SIZE_MAX)
        return hsm_ticket_refuse(text,
                                 "not a checkpoint as it is made here (c2sp.org/tlog-checkpoint)");
    if (!bytes_equal(checkpoint.origin, bytes_str(rules->origin)))
        return hsm_ticket_refuse(text, "the origin is another log's");
    *ret = (struct hsm_permit){
        .checkpoint = true, .message = ticket->content, .tree = {.size = checkpoint.size}};
    memcpy(ret->tree.root, checkpoint.root.octets, sizeof ret->tree.root);
    return TM_OK;
}
