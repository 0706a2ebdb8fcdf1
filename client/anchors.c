/* SPDX-License-Identifier: Apache-2.0 */
/* Trust anchors: see client/anchors.h. */
#include "client/anchors.h"

#include "client/verify_path.h"
#include "pki/name.h"

/* Signature checks for one answer. A rollover takes two, a CA certificate three or four. */
#define SIGNATURES_MAX 64
/* Certificates of an answer that are looked at. */
#define OFFERED_MAX (2 * TM_SET_MAX)

static bool has_unit(const struct tm_facts *facts, const char *unit) {
    return !unit || tm_name_has(facts->subject, PKI_OID_ORGANIZATIONAL_UNIT, unit);
}

static enum tm_err check_one(struct tm_search *search, const char *unit,
                             const struct tm_facts *facts, bool *found) {
    if (tm_facts_not_ca(facts))
        return TM_EDENIED;
    enum tm_err err = tm_search_self_signed(search, facts);
    if (err)
        return err == TM_ECRYPTO ? TM_OK : err;
    *found = true;
    return has_unit(facts, unit) ? TM_OK : TM_EDENIED;
}

enum tm_err tm_anchors_check(const struct tm_crypto *crypto, const char *unit, struct bytes set) {
    struct tm_search search = {.crypto = crypto, .signatures_left = TM_SET_MAX};
    struct tm_facts facts;
    bool found = false;
    size_t count = 0;
    enum tm_err err;
    if (set.n > TM_ANCHORS_MAX)
        return TM_ELIMIT;
    while (!(err = tm_facts_next(&set, &facts))) {
        if (++count > TM_SET_MAX)
            return TM_ELIMIT;
        err = check_one(&search, unit, &facts, &found);
        if (err)
            return err;
    }
    if (err != TM_ENOTFOUND)
        return err;
    return found ? TM_OK : TM_EDENIED;
}

struct update {
    struct tm_search search; /* how a path is looked for; its budget is that of the whole update */
    const char *unit;
    struct bytes held, offered;
    struct buf *out;
    size_t start;         /* of the new set in out */
    size_t count;         /* certificates in it */
    struct bytes anchors; /* at its start, when they are complete */
};

static struct bytes so_far(const struct update *update) {
    return (struct bytes){update->out->p + update->start, update->out->n - update->start};
}

/* TM_EPARSE is no end. */
static bool next_facts(struct bytes *rest, struct tm_facts *ret) {
    enum tm_err err;
    while ((err = tm_facts_next(rest, ret)) == TM_EPARSE)
        continue;
    return !err;
}

static bool contains(struct bytes set, struct bytes certificate) {
    struct der element;
    while (set.n > 0 && !der_next(&set, &element))
        if (bytes_equal(element.whole, certificate))
            return true;
    return false;
}

static size_t count_of(struct bytes set) {
    struct der element;
    size_t count = 0;
    while (set.n > 0 && !der_next(&set, &element))
        count++;
    return count;
}

static enum tm_err append(struct update *update, const struct tm_facts *facts) {
    size_t size = so_far(update).n + facts->whole.n;
    if (update->count == TM_SET_MAX || size > TM_ANCHORS_MAX)
        return TM_ELIMIT;
    buf_put(update->out, facts->whole);
    update->count++;
    return update->out->full ? TM_ELIMIT : TM_OK;
}

static bool is_sound(const struct update *update, const struct tm_facts *facts) {
    return !tm_facts_not_ca(facts) && !tm_search_not_valid(&update->search, facts);
}

static enum tm_err keep_held_anchors(struct update *update) {
    struct bytes rest = update->held;
    struct tm_facts facts;
    while (next_facts(&rest, &facts)) {
        if (tm_search_not_valid(&update->search, &facts) || contains(so_far(update), facts.whole))
            continue;
        enum tm_err err = tm_search_self_signed(&update->search, &facts);
        if (!err)
            err = append(update, &facts);
        if (err && err != TM_ECRYPTO)
            return err;
    }
    return TM_OK;
}

static bool same_key_and_name(const struct tm_facts *a, const struct tm_facts *b) {
    return bytes_equal(a->spki, b->spki) && pki_name_equal(a->subject, b->subject);
}

/* May this certificate be one of a key rollover? One with another issuer's name looks like that of
 * any CA below a root; pathLenConstraint 0 tells an issuing CA, which must not make itself a trust
 * anchor. */
static bool may_vouch(const struct update *update, const struct tm_facts *facts) {
    return is_sound(update, facts) && (facts->path_len != 0 || tm_facts_self_issued(facts));
}

/* Is there an offered certificate for the new root that leads to an anchor without the help of any
 * CA below one? TM_ENOTFOUND: no. */
static enum tm_err find_voucher(struct update *update, const struct tm_facts *root) {
    struct bytes rest = update->offered;
    struct tm_facts facts;
    struct tm_search *search = &update->search;
    search->anchors = so_far(update);
    search->others = update->offered;
    search->rollover = true;
    while (next_facts(&rest, &facts)) {
        if (!same_key_and_name(root, &facts) || !may_vouch(update, &facts))
            continue;
        enum tm_err err = tm_search_path(search, &facts);
        if (err != TM_ENOTFOUND)
            return err;
    }
    return TM_ENOTFOUND;
}

/* TM_ENOTFOUND: it is no new anchor. */
static enum tm_err add_if_vouched(struct update *update, const struct tm_facts *facts) {
    if (!tm_facts_self_issued(facts) || !is_sound(update, facts) ||
        !has_unit(facts, update->unit) || contains(so_far(update), facts->whole))
        return TM_ENOTFOUND;
    enum tm_err err = find_voucher(update, facts);
    if (!err)
        err = tm_search_self_signed(&update->search, facts);
    if (err)
        return err == TM_ECRYPTO ? TM_ENOTFOUND : err;
    return append(update, facts);
}

/* Is there another certificate for its name and key? */
static bool is_among(const struct tm_facts *facts, struct bytes certificates, bool self_issued) {
    struct tm_facts other;
    while (next_facts(&certificates, &other))
        if (same_key_and_name(&other, facts) && (!self_issued || tm_facts_self_issued(&other)))
            return true;
    return false;
}

/* With the anchor of the same key and name a certificate of its rollover is of no use, and one for
 * another environment's root would let in that environment. */
static bool is_wanted(const struct update *update, const struct tm_facts *facts) {
    if (!is_sound(update, facts) || is_among(facts, update->anchors, false))
        return false;
    return has_unit(facts, update->unit) || !is_among(facts, update->offered, true);
}

/* TM_ENOTFOUND: it does not lead to an anchor by what is in the set. */
static enum tm_err add_if_leading(struct update *update, const struct tm_facts *facts) {
    if (contains(so_far(update), facts->whole) || !is_wanted(update, facts))
        return TM_ENOTFOUND;
    /* A self-signed one would be an anchor in the set, whoever else certified its key. */
    enum tm_err err = tm_search_self_signed(&update->search, facts);
    if (err != TM_ECRYPTO)
        return err ? err : TM_ENOTFOUND;
    update->search.anchors = so_far(update);
    update->search.others = (struct bytes){0};
    err = tm_search_path(&update->search, facts);
    return err ? err : append(update, facts);
}

/* Offers each certificate to `add` until it takes none: what was added may help another, in
 * whatever order they stand. */
static enum tm_err add_all(struct update *update,
                           enum tm_err (*add)(struct update *, const struct tm_facts *)) {
    size_t before;
    do {
        struct bytes rest = update->offered;
        struct tm_facts facts;
        before = update->count;
        while (next_facts(&rest, &facts)) {
            enum tm_err err = add(update, &facts);
            if (err && err != TM_ENOTFOUND)
                return err;
        }
    } while (update->count > before);
    return TM_OK;
}

static bool offers_any(const struct update *update) {
    struct bytes rest = update->offered;
    struct der element;
    while (rest.n > 0 && !der_next(&rest, &element))
        if (contains(so_far(update), element.whole))
            return true;
    return false;
}

static enum tm_err make_set(struct update *update) {
    enum tm_err err = keep_held_anchors(update);
    if (!err)
        err = add_all(update, add_if_vouched);
    update->anchors = so_far(update);
    if (!err)
        err = add_all(update, add_if_leading);
    return err;
}

static bool same_set(struct bytes a, struct bytes b) {
    struct der element;
    if (count_of(a) != count_of(b))
        return false;
    while (a.n > 0 && !der_next(&a, &element))
        if (!contains(b, element.whole))
            return false;
    return true;
}

/* Nothing of the answer is for this device: what is held stays as it is. */
static enum tm_err keep_held(struct update *update) {
    update->out->n = update->start;
    buf_put(update->out, update->held);
    return update->out->full ? TM_ELIMIT : TM_OK;
}

enum tm_err tm_anchors_update(const struct tm_crypto *crypto, int64_t wall_ms, const char *unit,
                              struct bytes held, struct bytes offered, struct buf *out,
                              bool *ret_changed) {
    struct update update = {.search = {.crypto = crypto,
                                       .wall_ms = wall_ms,
                                       .future = true,
                                       .signatures_left = SIGNATURES_MAX},
                            .unit = unit,
                            .held = held,
                            .offered = offered,
                            .out = out,
                            .start = out->n};
    enum tm_err err = count_of(offered) > OFFERED_MAX ? TM_ELIMIT : make_set(&update);
    if (!err && !offers_any(&update))
        err = keep_held(&update);
    if (err) {
        out->n = update.start;
        out->full = false;
        return err;
    }
    *ret_changed = !same_set(held, so_far(&update));
    return TM_OK;
}
