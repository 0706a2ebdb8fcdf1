/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cacerts answers of any octets to any held set: bounded work, a good set stays a good set, and the
 * same answer once more changes nothing.
 *
 * Input: flags, two octets of length, so many octets that are held, then what is offered.
 */
#include <string.h>

#include "client/anchors.h"
#include "client/verify_path.h"
#include "verify_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WITH_TIME 0x01
#define WITH_UNIT 0x02
#define UNIT "Environment dev"
#define NOW_MS INT64_C(1893456000000) /* 2030-01-01 */
#define SIGNATURES_MAX 64             /* checked for one answer */

struct input {
    const struct tm_crypto *crypto;
    struct fuzz_crypto *fuzz;
    int64_t wall_ms;
    const char *unit;
    struct bytes held, offered;
};

static enum tm_err update(const struct input *in, struct bytes held, struct buf *out,
                          bool *ret_changed) {
    size_t before = out->n;
    in->fuzz->verified = 0;
    enum tm_err err =
        tm_anchors_update(in->crypto, in->wall_ms, in->unit, held, in->offered, out, ret_changed);
    require(in->fuzz->verified <= SIGNATURES_MAX);
    require(err == TM_OK || err == TM_ELIMIT);
    require(!out->full && (err == TM_OK || out->n == before));
    return err;
}

static bool contains(struct bytes set, struct bytes certificate) {
    struct der element;
    while (set.n > 0 && !der_next(&set, &element))
        if (bytes_equal(element.whole, certificate))
            return true;
    return false;
}

/* Everything that is new leads to an anchor, and every new anchor is of this environment. */
static void check_new(const struct input *in, struct bytes set) {
    struct tm_facts facts;
    struct bytes rest = set;
    struct tm_search search = {.crypto = in->crypto, .signatures_left = TM_SET_MAX};
    enum tm_err err;
    while ((err = tm_facts_next(&rest, &facts)) != TM_ENOTFOUND) {
        require(err == TM_OK);
        if (contains(in->held, facts.whole))
            continue;
        require(contains(in->offered, facts.whole) && !tm_facts_not_ca(&facts));
        require(!in->wall_ms || in->wall_ms <= facts.not_after_ms);
        if (in->unit && tm_search_self_signed(&search, &facts) == TM_OK)
            require(tm_name_has(facts.subject, PKI_OID_ORGANIZATIONAL_UNIT, in->unit));
    }
}

static void check_again(const struct input *in, struct bytes set) {
    static uint8_t memory[2 * TM_ANCHORS_MAX];
    struct buf out = BUF_ON(memory);
    bool changed = true;
    if (update(in, set, &out, &changed) == TM_OK)
        require(!changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t memory[2 * TM_ANCHORS_MAX];
    struct fuzz_crypto fuzz;
    struct buf out = BUF_ON(memory);
    struct reader r = {.in = {data, size}};
    uint8_t flags = (uint8_t)reader_be(&r, 1);
    struct input in = {.crypto = fuzz_crypto_init(&fuzz),
                       .fuzz = &fuzz,
                       .wall_ms = flags & WITH_TIME ? NOW_MS : 0,
                       .unit = flags & WITH_UNIT ? UNIT : NULL};
    in.held = reader_take(&r, (size_t)reader_be(&r, 2));
    in.offered = reader_take(&r, reader_left(&r));
    bool changed = false;
    if (r.bad)
        return 0;
    enum tm_err sound = tm_anchors_check(in.crypto, in.unit, in.held);
    require(fuzz.verified <= TM_SET_MAX);
    if (update(&in, in.held, &out, &changed) != TM_OK || sound != TM_OK)
        return 0;
    require(tm_anchors_check(in.crypto, in.unit, buf_bytes(&out)) == TM_OK);
    check_new(&in, buf_bytes(&out));
    check_again(&in, buf_bytes(&out));
    return 0;
}
