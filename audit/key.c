/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of logs and witnesses, and how they are written: see audit/note.h. */
#include <stdio.h>
#include <string.h>

#include "audit/note.h"

bool audit_name_good(struct bytes name) {
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == '+')
            return false;
    return name.n > 0 && name.n <= AUDIT_NAME_MAX;
}

enum tm_err audit_key_make(enum audit_key_type type, struct bytes name,
                           const uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE],
                           struct audit_key *ret) {
    struct audit_key key = {.type = (uint8_t)type};
    if (!audit_name_good(name))
        return TM_EINVAL;
    memcpy(key.name, name.p, name.n);
    memcpy(key.public_key, public_key, sizeof key.public_key);
    const uint8_t middle[] = {'\n', key.type};
    const struct bytes parts[] = {name, BYTES_OF(middle), BYTES_OF(key.public_key)};
    struct audit_hash hash;
    enum tm_err err = audit_sha256(parts, 3, &hash);
    if (err)
        return err;
    struct reader r = {BYTES_OF(hash.octets), 0, false};
    key.id = (uint32_t)reader_be(&r, 4);
    *ret = key;
    return TM_OK;
}

/* The part up to the next plus. */
static bool take_part(struct bytes *rest, struct bytes *ret) {
    const uint8_t *plus = rest->n ? memchr(rest->p, '+', rest->n) : NULL;
    if (!plus)
        return false;
    *ret = (struct bytes){rest->p, (size_t)(plus - rest->p)};
    *rest = (struct bytes){plus + 1, rest->n - ret->n - 1};
    return true;
}

enum tm_err audit_vkey_parse(struct bytes text, struct audit_key *ret) {
    uint8_t memory[1 + AUDIT_ED25519_PUBLIC_SIZE + 3];
    struct buf octets = BUF_ON(memory);
    struct bytes name, id;
    struct audit_key key;
    char wanted[16];
    if (!take_part(&text, &name) || !take_part(&text, &id) || audit_base64_read(text, &octets) ||
        octets.n != 1 + AUDIT_ED25519_PUBLIC_SIZE ||
        (memory[0] != AUDIT_KEY_LOG && memory[0] != AUDIT_KEY_WITNESS) ||
        audit_key_make((enum audit_key_type)memory[0], name, memory + 1, &key))
        return TM_EPARSE;
    (void)snprintf(wanted, sizeof wanted, "%08x", (unsigned)key.id);
    if (!bytes_equal(id, bytes_str(wanted)))
        return TM_EPARSE;
    *ret = key;
    return TM_OK;
}

void audit_vkey_write(const struct audit_key *key, char ret[AUDIT_VKEY_MAX]) {
    uint8_t octets[1 + AUDIT_ED25519_PUBLIC_SIZE], memory[64];
    struct buf text = BUF_ON(memory);
    octets[0] = key->type;
    memcpy(octets + 1, key->public_key, AUDIT_ED25519_PUBLIC_SIZE);
    if (audit_base64_put(&text, BYTES_OF(octets))) /* 33 octets make 44 */
        text.n = 0;
    (void)snprintf(ret, AUDIT_VKEY_MAX, "%s+%08x+%.*s", key->name, (unsigned)key->id, (int)text.n,
                   (const char *)memory);
}
