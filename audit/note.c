/* SPDX-License-Identifier: Apache-2.0 */
/* Notes and their signatures: see audit/note.h. */
#include "audit/note.h"

#include <stdio.h>
#include <string.h>

#include "pki/chars.h"
#include "pki/der.h"

static const uint8_t dash[] = {0xe2, 0x80, 0x94, ' '}; /* U+2014 and a blank */

bool audit_line(struct bytes *rest, struct bytes *ret_line) {
    const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    if (!end)
        return false;
    size_t n = (size_t)(end - rest->p);
    *ret_line = (struct bytes){rest->p, n};
    *rest = (struct bytes){end + 1, rest->n - n - 1};
    return true;
}

enum tm_err audit_decimal(struct bytes text, uint64_t *ret) {
    uint64_t value = 0;
    if (text.n == 0 || text.n > 20 || (text.n > 1 && text.p[0] == '0'))
        return TM_EPARSE;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' ||
            __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.p[i] - '0'), &value))
            return TM_EPARSE;
    }
    *ret = value;
    return TM_OK;
}

enum tm_err audit_hash_read(struct bytes text, struct audit_hash *ret) {
    uint8_t octets[AUDIT_HASH_SIZE + 1];
    struct buf out = BUF_ON(octets);
    if (audit_base64_read(text, &out) || out.n != AUDIT_HASH_SIZE)
        return TM_EPARSE;
    memcpy(ret->octets, octets, AUDIT_HASH_SIZE);
    return TM_OK;
}

/* ---- the note ---- */

static bool is_text(struct bytes octets) {
    for (size_t i = 0; i < octets.n; i++)
        if (octets.p[i] < ' ' && octets.p[i] != '\n')
            return false;
    uint32_t c;
    enum tm_err err = TM_OK;
    while (!err)
        err = chars_next(DER_UTF8_STRING, &octets, &c);
    return err == TM_ENOTFOUND;
}

/* Where the last empty line is; 0: there is none behind any text. */
static size_t find_gap(struct bytes octets) {
    for (size_t i = octets.n; i >= 2; i--)
        if (octets.p[i - 1] == '\n' && octets.p[i - 2] == '\n')
            return i - 1;
    return 0;
}

enum tm_err audit_note_parse(struct bytes octets, struct audit_note *ret) {
    if (octets.n > AUDIT_NOTE_MAX)
        return TM_ELIMIT;
    size_t gap = find_gap(octets);
    if (!gap || !is_text(octets))
        return TM_EPARSE;
    struct audit_note note = {{octets.p, gap}, {octets.p + gap + 1, octets.n - gap - 1}, 0};
    struct bytes rest = note.signatures;
    struct audit_signature signature;
    enum tm_err err = TM_OK;
    while (!err && note.count <= AUDIT_SIGNATURES_MAX) {
        err = audit_signature_next(&rest, &signature);
        note.count += !err;
    }
    if (err != TM_ENOTFOUND)
        return err ? err : TM_ELIMIT;
    if (!note.count)
        return TM_EPARSE;
    *ret = note;
    return TM_OK;
}

/* ---- signature lines ---- */

/* U+00A0, U+1680, U+2000 to 200A, 2028, 2029, 202F, 205F and U+3000 are the spaces beyond ASCII; as
 * a name that holds one is of no key that is known here, only ASCII's are looked for. */
static bool is_name(struct bytes name) {
    return name.n && !memchr(name.p, ' ', name.n) && !memchr(name.p, '+', name.n);
}

/* Key ID and signature; of a long one, of a kind that is not known here, no more than that. */
static enum tm_err read_octets(struct bytes text, struct audit_signature *ret) {
    uint8_t memory[AUDIT_NOTE_MAX / 4 * 3];
    struct buf out = BUF_ON(memory);
    if (audit_base64_read(text, &out) || out.n < 5)
        return TM_EPARSE;
    struct reader r = {buf_bytes(&out), 0, false};
    ret->key_id = (uint32_t)reader_be(&r, 4);
    ret->n = reader_left(&r);
    size_t kept = ret->n < sizeof ret->octets ? ret->n : sizeof ret->octets;
    memcpy(ret->octets, memory + 4, kept);
    return TM_OK;
}

enum tm_err audit_signature_next(struct bytes *rest, struct audit_signature *ret) {
    struct bytes line, left = *rest;
    struct audit_signature signature = {0};
    if (!left.n)
        return TM_ENOTFOUND;
    if (!audit_line(&left, &line) || line.n <= sizeof dash ||
        memcmp(line.p, dash, sizeof dash) != 0)
        return TM_EPARSE;
    signature.line = (struct bytes){line.p, line.n + 1};
    struct bytes tail = {line.p + sizeof dash, line.n - sizeof dash};
    const uint8_t *blank = memchr(tail.p, ' ', tail.n);
    if (!blank)
        return TM_EPARSE;
    signature.name = (struct bytes){tail.p, (size_t)(blank - tail.p)};
    struct bytes text = {blank + 1, tail.n - signature.name.n - 1};
    if (!is_name(signature.name) || read_octets(text, &signature))
        return TM_EPARSE;
    *rest = left;
    *ret = signature;
    return TM_OK;
}

bool audit_signature_is_by(const struct audit_signature *signature, const struct audit_key *key) {
    return signature->key_id == key->id && bytes_equal(signature->name, bytes_str(key->name));
}

enum tm_err audit_cosigned_put(struct buf *out, uint64_t time, struct bytes text) {
    char head[64];
    (void)snprintf(head, sizeof head, "cosignature/v1\ntime %llu\n", (unsigned long long)time);
    buf_put(out, bytes_str(head));
    buf_put(out, text);
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err verify_cosignature(const struct audit_signature *signature,
                                      const struct audit_key *key, struct bytes text,
                                      uint64_t *ret_time) {
    uint8_t memory[AUDIT_COSIGNED_MAX];
    struct buf message = BUF_ON(memory);
    struct reader r = {BYTES_OF(signature->octets), 0, false};
    uint64_t time = reader_be(&r, 8);
    if (time > INT64_MAX)
        return TM_EPARSE;
    enum tm_err err = audit_cosigned_put(&message, time, text);
    if (!err)
        err = audit_ed25519_verify(key->public_key, buf_bytes(&message), signature->octets + 8);
    if (!err)
        *ret_time = time;
    return err;
}

enum tm_err audit_signature_verify(const struct audit_signature *signature,
                                   const struct audit_key *key, struct bytes text,
                                   uint64_t *ret_time) {
    size_t head = key->type == AUDIT_KEY_WITNESS ? 8 : 0;
    if (signature->n != head + AUDIT_ED25519_SIZE)
        return TM_EPARSE;
    if (head)
        return verify_cosignature(signature, key, text, ret_time);
    enum tm_err err = audit_ed25519_verify(key->public_key, text, signature->octets);
    if (!err)
        *ret_time = 0;
    return err;
}

enum tm_err audit_note_verify(const struct audit_note *note, const struct audit_key *key,
                              uint64_t *ret_time) {
    struct bytes rest = note->signatures;
    struct audit_signature signature;
    enum tm_err found = TM_ENOTFOUND;
    while (!audit_signature_next(&rest, &signature)) {
        if (!audit_signature_is_by(&signature, key))
            continue;
        enum tm_err err = audit_signature_verify(&signature, key, note->text, ret_time);
        if (err)
            return err;
        found = TM_OK;
    }
    return found;
}

enum tm_err audit_signature_put(struct buf *out, const struct audit_key *key, uint64_t time,
                                const uint8_t signature[AUDIT_ED25519_SIZE]) {
    uint8_t memory[4 + 8 + AUDIT_ED25519_SIZE];
    struct buf octets = BUF_ON(memory);
    buf_put_be(&octets, key->id, 4);
    if (key->type == AUDIT_KEY_WITNESS)
        buf_put_be(&octets, time, 8);
    buf_put(&octets, (struct bytes){signature, AUDIT_ED25519_SIZE});
    buf_put(out, BYTES_OF(dash));
    buf_put(out, bytes_str(key->name));
    buf_put_u8(out, ' ');
    enum tm_err err = audit_base64_put(out, buf_bytes(&octets));
    buf_put_u8(out, '\n');
    return err || out->full ? TM_ELIMIT : TM_OK;
}
