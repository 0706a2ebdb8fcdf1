/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/assignment.h. */
#include "ca/assignment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ca/hash.h"
#include "ca/pem.h"

#define HASH_TEXT (2 * CA_HASH_SIZE + 1)
#define LINE_MAX_OCTETS (IPC_NAME_MAX + 2 * HASH_TEXT + 2)
#define NAME_MAX_OCTETS 16 /* of a parameter */

/* ---- from files ---- */

static enum tm_err load(const char *path, struct bytes *ret, char text[IPC_TEXT_MAX + 1]) {
    return path ? ca_pem_load(path, ret, text) : TM_OK;
}

static enum tm_err hash_all(const struct ca_issuer *issuer, struct bytes old_with_new,
                            struct bytes new_with_old, struct ca_assigned *ret) {
    const struct bytes parts[] = {issuer->der, issuer->chain, old_with_new, new_with_old};
    struct ca_hasher *hasher = NULL;
    enum tm_err err = ca_hasher_new(&hasher);
    if (!err)
        err = ca_hash(hasher, parts, 1, ret->certificate);
    if (!err)
        err = ca_hash(hasher, parts, sizeof parts / sizeof parts[0], ret->trust);
    ca_hasher_free(hasher);
    return err;
}

enum tm_err ca_assigned_make(const struct ca_issuer *issuer, const char *old_with_new,
                             const char *new_with_old, struct ca_assigned *ret,
                             char text[IPC_TEXT_MAX + 1]) {
    struct bytes old_der = {0}, new_der = {0};
    enum tm_err err = load(old_with_new, &old_der, text);
    if (!err)
        err = load(new_with_old, &new_der, text);
    if (!err) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "its certificates cannot be hashed");
        TEXT_SET(ret->name, issuer->name);
        err = hash_all(issuer, old_der, new_der, ret);
    }
    free((void *)(uintptr_t)old_der.p);
    free((void *)(uintptr_t)new_der.p);
    return err;
}

/* The first stays; the others stand in the order of their names. */
enum tm_err ca_assignment_add(struct ca_assignment *assignment, const struct ca_assigned *issuer) {
    size_t at = assignment->count;
    for (size_t i = 0; i < assignment->count; i++)
        if (strcmp(assignment->issuers[i].name, issuer->name) == 0)
            return TM_OK;
    if (at == CA_ASSIGNED_MAX)
        return TM_ELIMIT;
    for (; at > 1 && strcmp(assignment->issuers[at - 1].name, issuer->name) > 0; at--)
        assignment->issuers[at] = assignment->issuers[at - 1];
    assignment->issuers[at] = *issuer;
    assignment->count++;
    return TM_OK;
}

/* ---- as text ---- */

enum tm_err ca_assignment_print(const struct ca_assignment *assignment, struct buf *out) {
    if (!assignment->count)
        return TM_EINVAL;
    for (size_t i = 0; i < assignment->count; i++) {
        const struct ca_assigned *issuer = &assignment->issuers[i];
        char certificate[HASH_TEXT], trust[HASH_TEXT], line[LINE_MAX_OCTETS + 2];
        if (hex_encode(BYTES_OF(issuer->certificate), certificate, sizeof certificate) ||
            hex_encode(BYTES_OF(issuer->trust), trust, sizeof trust))
            return TM_EINVAL;
        (void)snprintf(line, sizeof line, "%s %s %s\n", issuer->name, certificate, trust);
        buf_put(out, bytes_str(line));
    }
    return out->full ? TM_ELIMIT : TM_OK;
}

static bool read_hash(const char *text, uint8_t ret[CA_HASH_SIZE]) {
    char one[HASH_TEXT] = "";
    size_t n;
    (void)strncat(one, text, HASH_TEXT - 1);
    return strspn(one, "0123456789abcdef") == HASH_TEXT - 1 &&
           !hex_decode(one, ret, CA_HASH_SIZE, &n) && n == CA_HASH_SIZE;
}

/* "NAME HASH HASH", of exactly that length. */
static bool read_line(const char *line, struct ca_assigned *ret) {
    size_t n = strcspn(line, " ");
    const char *certificate = line + n + 1, *trust = certificate + HASH_TEXT;
    if (n == 0 || n > IPC_NAME_MAX || strlen(line) != n + 2 * HASH_TEXT || trust[-1] != ' ')
        return false;
    *ret = (struct ca_assigned){0};
    memcpy(ret->name, line, n);
    return read_hash(certificate, ret->certificate) && read_hash(trust, ret->trust);
}

bool ca_assigned_valid(const char *line) {
    struct ca_assigned issuer;
    return read_line(line, &issuer);
}

static bool take_line(struct bytes *in, struct ca_assigned *ret) {
    char line[LINE_MAX_OCTETS + 1];
    const uint8_t *end = memchr(in->p, '\n', in->n);
    size_t n = end ? (size_t)(end - in->p) : sizeof line;
    if (n >= sizeof line || memchr(in->p, '\0', n))
        return false;
    memcpy(line, in->p, n);
    line[n] = '\0';
    *in = (struct bytes){in->p + n + 1, in->n - n - 1};
    return read_line(line, ret);
}

enum tm_err ca_assignment_parse(struct bytes text, struct ca_assignment *ret) {
    uint8_t memory[CA_AGREED_VALUE_MAX];
    struct buf again = BUF_ON(memory);
    struct ca_assignment read = {0};
    struct ca_assigned issuer;
    struct bytes rest = text;
    while (rest.n)
        if (!take_line(&rest, &issuer) || ca_assignment_add(&read, &issuer))
            return TM_EPARSE;
    if (ca_assignment_print(&read, &again) || !bytes_equal(buf_bytes(&again), text))
        return TM_EPARSE;
    *ret = read;
    return TM_OK;
}

enum tm_err ca_assignment_of(const struct ca_act_params *params, struct buf *out) {
    const char *line = ca_act_param(params, CA_ASSIGNMENT_SIGNS);
    if (!line)
        return TM_ENOTFOUND;
    for (size_t i = 1; line && i <= CA_ASSIGNED_MAX; i++) {
        char name[NAME_MAX_OCTETS];
        buf_put(out, bytes_str(line));
        buf_put(out, bytes_str("\n"));
        (void)snprintf(name, sizeof name, CA_ASSIGNMENT_ALSO, i);
        line = ca_act_param(params, name);
    }
    return out->full ? TM_ELIMIT : TM_OK;
}
