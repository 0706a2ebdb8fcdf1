/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints (c2sp.org/tlog-checkpoint): see audit/note.h. */
#include <stdio.h>

#include "audit/note.h"

enum tm_err audit_checkpoint_parse(struct bytes text, struct audit_checkpoint *ret) {
    struct audit_checkpoint checkpoint;
    struct bytes rest = text, size, root, line;
    if (!audit_line(&rest, &checkpoint.origin) || !checkpoint.origin.n ||
        !audit_line(&rest, &size) || audit_decimal(size, &checkpoint.size) ||
        !audit_line(&rest, &root) || audit_hash_read(root, &checkpoint.root))
        return TM_EPARSE;
    checkpoint.extensions = rest;
    while (rest.n)
        if (!audit_line(&rest, &line) || !line.n)
            return TM_EPARSE;
    *ret = checkpoint;
    return TM_OK;
}

enum tm_err audit_checkpoint_put(struct buf *out, const struct audit_checkpoint *checkpoint) {
    char size[32];
    (void)snprintf(size, sizeof size, "\n%llu\n", (unsigned long long)checkpoint->size);
    buf_put(out, checkpoint->origin);
    buf_put(out, bytes_str(size));
    enum tm_err err = audit_base64_put(out, BYTES_OF(checkpoint->root.octets));
    buf_put_u8(out, '\n');
    buf_put(out, checkpoint->extensions);
    return err || out->full ? TM_ELIMIT : TM_OK;
}

enum tm_err audit_checkpoint_open(struct bytes octets, const struct audit_key *log,
                                  struct audit_note *ret_note, struct audit_checkpoint *ret) {
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    uint64_t time;
    enum tm_err err = audit_note_parse(octets, &note);
    if (!err)
        err = audit_checkpoint_parse(note.text, &checkpoint);
    if (!err && !bytes_equal(checkpoint.origin, bytes_str(log->name)))
        err = TM_EDENIED;
    if (!err)
        err = audit_note_verify(&note, log, &time);
    if (err)
        return err == TM_ELIMIT ? TM_EPARSE : err;
    *ret_note = note;
    *ret = checkpoint;
    return TM_OK;
}
