/* SPDX-License-Identifier: Apache-2.0 */
/* Trust anchors: which sets are good ones, and what cacerts answers make of them. */
#include "verify_fixture.h"

#include "client/anchors.h"

#define DEV "Environment dev"
#define OFFERED_MAX 24    /* certificates of an answer that are looked at */
#define SIGNATURES_MAX 64 /* checked for one answer */

/* Roots with a name of their own each; issuing CAs below the first and the second. */
static struct vf_party root(unsigned number) {
    static const char *const names[] = {"RSA Root", "Root 1", "Root 2", "Root 3", "Root 4"};
    assert_in_range(number, 0, 4);
    return (struct vf_party){names[number], DEV, vf_key(number)};
}
/* The same CA with another key: roots of one name. */
static struct vf_party same_root(unsigned number) {
    return (struct vf_party){"The Root", DEV, vf_key(number)};
}
static struct vf_party issuing(unsigned number) {
    return (struct vf_party){number == 1 ? "Issuing 1" : "Issuing 2", NULL, vf_key(10 + number)};
}
static const struct vf_options issuing_options = {.basic_constraints =
                                                      "critical,CA:TRUE,pathlen:0"};

static struct bytes issue(struct vf *vf, struct vf_party subject, struct vf_party issuer) {
    return vf_issue(vf, &subject, &issuer, VF_PLAIN);
}

static struct bytes issue_with(struct vf *vf, struct vf_party subject, struct vf_party issuer,
                               struct vf_options options) {
    return vf_issue(vf, &subject, &issuer, options);
}

static struct bytes self(struct vf *vf, unsigned number) {
    return issue(vf, root(number), root(number));
}

static struct bytes self_with(struct vf *vf, unsigned number, struct vf_options options) {
    return issue_with(vf, root(number), root(number), options);
}

static struct bytes ca_below(struct vf *vf, unsigned number) {
    return issue_with(vf, issuing(number), root(number), issuing_options);
}

static struct vf_options lasting(int64_t from_ms, int64_t to_ms) {
    return (struct vf_options){.from_ms = from_ms, .to_ms = to_ms};
}

/* ---- what is a set ---- */

static enum tm_err check(struct vf *vf, const char *unit, struct bytes set) {
    return tm_anchors_check(&vf->crypto, unit, set);
}

static void test_check(void **state) {
    struct vf *vf = *state;
    struct vf_party device = {"pump-17", NULL, vf_key(20)};
    struct bytes good = self(vf, 1), ca = ca_below(vf, 1);
    struct bytes leaf = vf_leaf(vf, &device, &device, VF_PLAIN);
    struct bytes zero = {(const uint8_t *)"\0", 1}, empty = {(const uint8_t *)"\x30\x00", 2};
    assert_int_equal(check(vf, NULL, good), TM_OK);
    assert_int_equal(check(vf, NULL, VF_SET(vf, ca, self(vf, 2), self(vf, 0), good)), TM_OK);
    assert_int_equal(check(vf, NULL, (struct bytes){0}), TM_EDENIED);
    assert_int_equal(check(vf, NULL, ca), TM_EDENIED);
    assert_int_equal(check(vf, NULL, VF_SET(vf, good, leaf)), TM_EDENIED);
    assert_int_equal(check(vf, NULL, leaf), TM_EDENIED);
    assert_int_equal(check(vf, NULL, VF_SET(vf, good, zero)), TM_EPARSE);
    assert_int_equal(check(vf, NULL, VF_SET(vf, empty, good)), TM_EPARSE);
    assert_int_equal(check(vf, NULL, (struct bytes){good.p, good.n - 1}), TM_EPARSE);
}

static void test_check_signature(void **state) {
    struct vf *vf = *state;
    struct bytes forged = self_with(vf, 1, (struct vf_options){.signer = vf_key(9)});
    assert_int_equal(check(vf, NULL, forged), TM_EDENIED);
    assert_int_equal(check(vf, NULL, VF_SET(vf, forged, self(vf, 2))), TM_OK);
    vf->broken = TM_ETOKEN;
    assert_int_equal(check(vf, NULL, self(vf, 1)), TM_ETOKEN);
}

static void test_check_unit(void **state) {
    struct vf *vf = *state;
    struct vf_party other = {"Root 1", "Environment prod", vf_key(5)};
    struct vf_party none = {"Environment dev", NULL, vf_key(6)}; /* as CN it says nothing */
    struct vf_party longer = {"Root 1", "Environment development", vf_key(7)};
    struct bytes good = self(vf, 1);
    assert_int_equal(check(vf, DEV, VF_SET(vf, good, ca_below(vf, 1))), TM_OK);
    assert_int_equal(check(vf, DEV, issue(vf, other, other)), TM_EDENIED);
    assert_int_equal(check(vf, DEV, VF_SET(vf, good, issue(vf, other, other))), TM_EDENIED);
    assert_int_equal(check(vf, DEV, issue(vf, none, none)), TM_EDENIED);
    assert_int_equal(check(vf, DEV, issue(vf, longer, longer)), TM_EDENIED);
    assert_int_equal(check(vf, NULL, VF_SET(vf, good, issue(vf, other, other))), TM_OK);
    assert_int_equal(check(vf, "Environment prod", issue(vf, other, other)), TM_OK);
}

static void test_check_limits(void **state) {
    struct vf *vf = *state;
    struct vf_party small = {"Root", NULL, vf_key(1)};
    struct bytes good = issue(vf, small, small), parts[TM_SET_MAX + 1];
    for (size_t i = 0; i < TM_SET_MAX + 1; i++)
        parts[i] = good;
    assert_int_equal(check(vf, NULL, vf_join(vf, parts, TM_SET_MAX)), TM_OK);
    assert_int_equal(check(vf, NULL, vf_join(vf, parts, TM_SET_MAX + 1)), TM_ELIMIT);
    good = self(vf, VF_RSA);
    for (size_t i = 0; i < TM_SET_MAX; i++)
        parts[i] = good;
    size_t fit = TM_ANCHORS_MAX / good.n;
    assert_in_range(fit, 1, TM_SET_MAX - 1);
    assert_int_equal(check(vf, NULL, vf_join(vf, parts, fit)), TM_OK);
    assert_int_equal(check(vf, NULL, vf_join(vf, parts, fit + 1)), TM_ELIMIT);
}

/* ---- updates ---- */

struct result {
    struct bytes set;
    bool changed;
};

static struct result update_at(struct vf *vf, int64_t wall_ms, struct bytes held,
                               struct bytes offered) {
    static const char before[] = "before";
    uint8_t memory[TM_ANCHORS_MAX + sizeof before];
    struct buf out = BUF_ON(memory);
    struct result result = {.changed = false};
    buf_put(&out, BYTES_OF(before));
    vf->verified = 0;
    assert_int_equal(
        tm_anchors_update(&vf->crypto, wall_ms, DEV, held, offered, &out, &result.changed), TM_OK);
    assert_in_range(vf->verified, 0, SIGNATURES_MAX);
    assert_memory_equal(memory, before, sizeof before);
    result.set = vf_keep(vf, (struct bytes){memory + sizeof before, out.n - sizeof before});
    /* Whatever came in, a set comes out. */
    assert_int_equal(check(vf, DEV, result.set), TM_OK);
    return result;
}

static struct bytes changed_at(struct vf *vf, int64_t wall_ms, struct bytes held,
                               struct bytes offered) {
    struct result result = update_at(vf, wall_ms, held, offered);
    assert_true(result.changed);
    return result.set;
}

static struct bytes update(struct vf *vf, struct bytes held, struct bytes offered) {
    return changed_at(vf, VF_NOW, held, offered);
}

static void assert_unchanged_at(struct vf *vf, int64_t wall_ms, struct bytes held,
                                struct bytes offered) {
    struct result result = update_at(vf, wall_ms, held, offered);
    assert_bytes_equal(result.set, held);
    assert_false(result.changed);
}

static void assert_unchanged(struct vf *vf, struct bytes held, struct bytes offered) {
    assert_unchanged_at(vf, VF_NOW, held, offered);
}

/* Does a device's certificate by this CA, which `set` may have, lead to an anchor of the set? */
static bool trusts(struct vf *vf, int64_t wall_ms, struct bytes set, struct vf_party ca) {
    struct vf_party device = {"pump-17", NULL, vf_key(20)};
    struct bytes leaf = vf_leaf(vf, &device, &ca, lasting(-VF_YEAR, 100 * VF_YEAR));
    char text[TM_TEXT_MAX];
    enum tm_err err = tm_verify_path(&vf->crypto, wall_ms, set, leaf, text);
    assert_true(err == TM_OK || err == TM_EDENIED);
    return !err;
}

static void test_same_again(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1), ca = ca_below(vf, 1);
    assert_unchanged(vf, one, one);
    assert_unchanged(vf, VF_SET(vf, one, ca), VF_SET(vf, one, ca));
    assert_unchanged(vf, VF_SET(vf, one, ca), VF_SET(vf, one, ca, ca, one));
    /* The order of an answer, a SET in DER, says nothing. */
    assert_unchanged(vf, VF_SET(vf, one, ca), VF_SET(vf, ca, one));
    assert_unchanged_at(vf, 0, VF_SET(vf, one, ca), VF_SET(vf, one, ca));
    assert_bytes_equal(update(vf, VF_SET(vf, one, ca, one), VF_SET(vf, one, ca)),
                       VF_SET(vf, one, ca));
}

static void test_ca_certificates(void **state) {
    struct vf *vf = *state;
    struct vf_party below = {"Below", NULL, vf_key(15)}, device = {"pump", NULL, vf_key(20)};
    struct bytes one = self(vf, 1), ca = issue(vf, issuing(1), root(1));
    struct bytes low = issue(vf, below, issuing(1)), foreign = ca_below(vf, 2);
    struct bytes leaf = vf_leaf(vf, &device, &below, VF_PLAIN);
    struct bytes expired = issue_with(vf, issuing(1), root(1), lasting(-2 * VF_DAY, -VF_DAY));
    struct bytes junk = {(const uint8_t *)"\x30\x03\x02\x01\x05", 5};
    /* The lower one stands first: what it needs comes later. */
    assert_bytes_equal(update(vf, one, VF_SET(vf, low, junk, foreign, leaf, expired, ca, one)),
                       VF_SET(vf, one, ca, low));
    /* A CA that the answer does not have any more is withdrawn. */
    assert_bytes_equal(update(vf, VF_SET(vf, one, ca, low), one), one);
    /* Two certificates of one CA may be two ways to an anchor: both stay. */
    struct bytes renewed = issue_with(vf, issuing(1), root(1), lasting(0, 20 * VF_YEAR));
    assert_bytes_equal(update(vf, one, VF_SET(vf, one, ca, renewed)), VF_SET(vf, one, ca, renewed));
}

/* An answer of somebody else takes nothing away. */
static void test_nothing_useful(void **state) {
    struct vf *vf = *state;
    struct bytes held = VF_SET(vf, self(vf, 1), ca_below(vf, 1));
    assert_unchanged(vf, held, (struct bytes){0});
    assert_unchanged(vf, held, VF_SET(vf, self(vf, 2), ca_below(vf, 2)));
    assert_unchanged(vf, held, (struct bytes){(const uint8_t *)"\x30\x00\x05", 3});
}

/* ---- rollovers ---- */

static void test_rollover(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1), two = self(vf, 2), ca = ca_below(vf, 2);
    struct bytes new_with_old = issue(vf, root(2), root(1));
    struct bytes old_with_new = issue(vf, root(1), root(2));
    struct bytes answer = VF_SET(vf, ca, new_with_old, old_with_new, two, one);
    struct bytes set = update(vf, one, answer);
    assert_bytes_equal(set, VF_SET(vf, one, two, ca));
    assert_true(trusts(vf, VF_NOW, set, issuing(2)));
    assert_false(trusts(vf, VF_NOW, one, issuing(2)));
    assert_unchanged(vf, set, answer);
    /* A server that has done with the old root: it stays until it expires. */
    assert_unchanged(vf, set, VF_SET(vf, two, ca));
    assert_bytes_equal(update(vf, VF_SET(vf, one, ca_below(vf, 1)), answer), set);
}

static void test_rollover_from_rsa(void **state) {
    struct vf *vf = *state;
    struct bytes old = self(vf, VF_RSA), new = self(vf, 1);
    struct bytes set = update(vf, old, VF_SET(vf, issue(vf, root(1), root(VF_RSA)), new));
    assert_bytes_equal(set, VF_SET(vf, old, new));
}

static void test_rollover_of_one_name(void **state) {
    struct vf *vf = *state;
    struct bytes one = issue(vf, same_root(1), same_root(1));
    struct bytes two = issue(vf, same_root(2), same_root(2));
    struct bytes new_with_old = issue(vf, same_root(2), same_root(1));
    struct bytes old_with_new = issue(vf, same_root(1), same_root(2));
    assert_bytes_equal(update(vf, one, VF_SET(vf, old_with_new, two, new_with_old)),
                       VF_SET(vf, one, two));
    assert_unchanged(vf, one, VF_SET(vf, one, two));
    assert_unchanged(vf, one, VF_SET(vf, one, two, old_with_new));
    /* A root that issues to devices itself: no CA may follow below it, nor below its successor. */
    struct bytes last = issue_with(vf, same_root(2), same_root(1), issuing_options);
    struct bytes last_root = issue_with(vf, same_root(2), same_root(2), issuing_options);
    assert_bytes_equal(update(vf, one, VF_SET(vf, last_root, last)), VF_SET(vf, one, last_root));
}

/* A new root alone, or with something that is not the word of an anchor. */
static void test_not_vouched_for(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1), two = self(vf, 2), ca = issue(vf, issuing(1), root(1));
    struct vf_party thief = root(1), other_key = {"Root 2", DEV, vf_key(9)};
    thief.key = vf_key(9);
    struct bytes held = VF_SET(vf, one, ca);
    assert_unchanged(vf, one, VF_SET(vf, one, two));
    assert_unchanged(vf, one, VF_SET(vf, one, two, issue(vf, root(2), thief)));
    assert_unchanged(vf, one, VF_SET(vf, one, two, issue(vf, root(2), root(3)), self(vf, 3)));
    assert_unchanged(vf, one, VF_SET(vf, one, two, issue(vf, root(1), root(2))));
    /* For this name, but another key: a CA certificate and no voucher. */
    struct bytes for_other_key = issue(vf, other_key, root(1));
    assert_bytes_equal(update(vf, one, VF_SET(vf, one, two, for_other_key)),
                       VF_SET(vf, one, for_other_key));
    struct vf_party other_name = {"Root 3", DEV, vf_key(2)};
    struct bytes for_other_name = issue(vf, other_name, root(1));
    assert_bytes_equal(update(vf, one, VF_SET(vf, one, two, for_other_name)),
                       VF_SET(vf, one, for_other_name));
    /* By a CA below the anchor: no trust anchor, though a CA like others. */
    struct bytes by_ca = issue(vf, root(2), issuing(1));
    assert_bytes_equal(update(vf, held, VF_SET(vf, held, two, by_ca)), VF_SET(vf, held, by_ca));
    assert_unchanged(vf, one, VF_SET(vf, one, two, by_ca));
    /* NewWithOld that makes no CA, or is over. */
    static const struct vf_options no_ca = {.basic_constraints = "CA:FALSE"};
    assert_unchanged(vf, one, VF_SET(vf, one, two, issue_with(vf, root(2), root(1), no_ca)));
    assert_unchanged(
        vf, one,
        VF_SET(vf, one, two, issue_with(vf, root(2), root(1), lasting(-2 * VF_DAY, -VF_DAY))));
}

/* An issuing CA whose key is stolen signs itself as a root: it does not outlive its certificate. */
static void test_issuing_ca_as_root(void **state) {
    struct vf *vf = *state;
    struct vf_party ca = {"Issuing", DEV, vf_key(11)};
    struct bytes one = self(vf, 1);
    struct bytes certificate = issue_with(vf, ca, root(1), issuing_options);
    struct bytes held = VF_SET(vf, one, certificate);
    assert_unchanged(vf, held, VF_SET(vf, held, issue(vf, ca, ca)));
    assert_unchanged(vf, held, VF_SET(vf, held, issue_with(vf, ca, ca, issuing_options)));
    /* Nor does it speak for a root under its own name. */
    struct vf_party again = {"Issuing", DEV, vf_key(12)};
    struct bytes key_change = issue(vf, again, ca); /* a CA certificate, no more */
    assert_bytes_equal(update(vf, held, VF_SET(vf, held, key_change, issue(vf, again, again))),
                       VF_SET(vf, held, key_change));
}

static void test_new_root_damaged(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1), voucher = issue(vf, root(2), root(1));
    struct bytes forged = self_with(vf, 2, (struct vf_options){.signer = vf_key(9)});
    struct bytes expired = self_with(vf, 2, lasting(-2 * VF_DAY, -VF_DAY));
    static const struct vf_options no_sign = {.key_usage = "critical,cRLSign"};
    /* The voucher is a good CA certificate, whatever became of the root. */
    struct bytes expect = VF_SET(vf, one, voucher);
    assert_bytes_equal(update(vf, one, VF_SET(vf, one, forged, voucher)), expect);
    assert_bytes_equal(update(vf, one, VF_SET(vf, one, expired, voucher)), expect);
    assert_bytes_equal(update(vf, one, VF_SET(vf, one, self_with(vf, 2, no_sign), voucher)),
                       expect);
}

static void test_other_environment(void **state) {
    struct vf *vf = *state;
    struct vf_party other = {"Root 2", "Environment prod", vf_key(2)};
    struct vf_party none = {"Root 2", NULL, vf_key(2)};
    struct vf_party ca = {"Issuing prod", NULL, vf_key(12)};
    struct bytes one = self(vf, 1);
    assert_unchanged(
        vf, one,
        VF_SET(vf, one, issue(vf, other, other), issue(vf, other, root(1)), issue(vf, ca, other)));
    assert_unchanged(vf, one, VF_SET(vf, issue(vf, none, root(1)), one, issue(vf, none, none)));
}

static size_t members(struct bytes set) {
    struct der element;
    size_t count = 0;
    for (; set.n > 0; count++)
        assert_int_equal(der_next(&set, &element), TM_OK);
    return count;
}

static bool has(struct bytes set, struct bytes certificate) {
    struct der element;
    while (set.n > 0 && !der_next(&set, &element))
        if (bytes_equal(element.whole, certificate))
            return true;
    return false;
}

/* Three rollovers while the device was off, whatever the order of the certificates. */
static void test_rollovers_in_a_row(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1), two = self(vf, 2), three = self(vf, 3), four = self(vf, 4);
    struct bytes ca = issue(vf, issuing(2), root(4));
    struct bytes answer[] = {four,
                             ca,
                             issue(vf, root(4), root(3)),
                             three,
                             issue(vf, root(3), root(2)),
                             two,
                             issue(vf, root(2), root(1))};
    const size_t n = sizeof answer / sizeof answer[0];
    for (size_t turn = 0; turn < 2 * n; turn++) {
        struct bytes order[sizeof answer / sizeof answer[0]];
        for (size_t i = 0; i < n; i++)
            order[i] = answer[(turn < n ? turn + i : 2 * n - i + turn) % n];
        struct bytes set = update(vf, one, vf_join(vf, order, n));
        assert_int_equal(members(set), 5);
        assert_true(has(set, one) && has(set, two) && has(set, three) && has(set, four));
        assert_true(has(set, ca));
        assert_true(trusts(vf, VF_NOW, set, issuing(2)));
    }
}

/* A root between is not offered. With a name of its own its NewWithOld cannot be told from the
 * certificate of a CA below the first root, which may not make roots; it leads on all the same. */
static void test_missing_root_between(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1), three = self(vf, 3);
    struct bytes to_two = issue(vf, root(2), root(1)), to_three = issue(vf, root(3), root(2));
    struct bytes set = update(vf, one, VF_SET(vf, three, to_three, to_two));
    assert_bytes_equal(set, VF_SET(vf, one, to_two, to_three));
    assert_true(trusts(vf, VF_NOW, set, root(3)));
}

/* The CA kept its name: then a NewWithOld is self-issued, and none but the root can have made it.
 */
static void test_missing_root_of_one_name(void **state) {
    struct vf *vf = *state;
    struct bytes one = issue(vf, same_root(1), same_root(1));
    struct bytes four = issue(vf, same_root(4), same_root(4));
    struct bytes to_two = issue(vf, same_root(2), same_root(1));
    struct bytes to_three = issue(vf, same_root(3), same_root(2));
    struct bytes to_four = issue(vf, same_root(4), same_root(3));
    struct bytes set = update(vf, one, VF_SET(vf, to_four, four, to_three, to_two));
    assert_int_equal(members(set), 4);
    assert_true(has(set, one) && has(set, four) && has(set, to_two) && has(set, to_three));
    assert_unchanged(vf, one, VF_SET(vf, one, to_four, four, to_three));
}

/* The same root with a longer life: its own key vouches for it. */
static void test_root_issued_again(void **state) {
    struct vf *vf = *state;
    struct bytes one = self_with(vf, 1, lasting(0, VF_YEAR));
    struct bytes again = self_with(vf, 1, lasting(0, 20 * VF_YEAR));
    struct bytes set = update(vf, one, again);
    assert_bytes_equal(set, VF_SET(vf, one, again));
    assert_bytes_equal(changed_at(vf, VF_NOW + 2 * VF_YEAR, set, again), again);
}

/* ---- time ---- */

static void test_expired_anchor(void **state) {
    struct vf *vf = *state;
    struct bytes one = self_with(vf, 1, lasting(0, VF_YEAR));
    struct bytes two = self_with(vf, 2, lasting(0, 3 * VF_YEAR));
    struct bytes held = VF_SET(vf, one, two);
    assert_unchanged_at(vf, VF_NOW + VF_YEAR, held, held);
    assert_bytes_equal(changed_at(vf, VF_NOW + VF_YEAR + 1, held, held), two);
    assert_bytes_equal(changed_at(vf, VF_NOW + 2 * VF_YEAR, held, two), two);
    /* Without a clock nothing is dropped, and when all are over neither: a clock may be wrong. */
    assert_unchanged_at(vf, 0, held, two);
    assert_unchanged_at(vf, VF_NOW + 4 * VF_YEAR, held, held);
    assert_unchanged_at(vf, VF_NOW + 4 * VF_YEAR, held, VF_SET(vf, held, ca_below(vf, 1)));
}

/* The key of an expired anchor vouches for nothing any more. */
static void test_expired_voucher(void **state) {
    struct vf *vf = *state;
    struct bytes one = self_with(vf, 1, lasting(0, VF_YEAR)), two = self(vf, 2);
    struct bytes three = self(vf, 3), voucher = issue(vf, root(3), root(1));
    struct bytes held = VF_SET(vf, one, two), answer = VF_SET(vf, two, three, voucher);
    assert_bytes_equal(changed_at(vf, VF_NOW + 2 * VF_YEAR, held, answer), two);
    assert_unchanged_at(vf, VF_NOW + 2 * VF_YEAR, one, answer);
    assert_bytes_equal(changed_at(vf, VF_NOW, held, answer), VF_SET(vf, held, three));
    assert_bytes_equal(changed_at(vf, 0, held, answer), VF_SET(vf, held, three));
}

/* The old root is over, but the new one has certified its key for longer: what it issued still has
 * a path, by OldWithNew. */
static void test_old_with_new(void **state) {
    struct vf *vf = *state;
    int64_t later = VF_NOW + 2 * VF_YEAR;
    struct bytes one = self_with(vf, 1, lasting(0, VF_YEAR)), two = self(vf, 2);
    struct bytes old_with_new = issue(vf, root(1), root(2)), ca = ca_below(vf, 1);
    struct bytes held = VF_SET(vf, one, two), answer = VF_SET(vf, two, ca, old_with_new);
    assert_bytes_equal(update(vf, held, answer), VF_SET(vf, held, ca));
    struct bytes set = changed_at(vf, later, held, answer);
    assert_bytes_equal(set, VF_SET(vf, two, old_with_new, ca));
    assert_true(trusts(vf, later, set, issuing(1)));
}

/* Handed out before its first day: taken, and trusted from that day on. */
static void test_future_root(void **state) {
    struct vf *vf = *state;
    struct vf_options later = lasting(VF_YEAR, 20 * VF_YEAR);
    struct bytes one = self(vf, 1), two = self_with(vf, 2, later);
    struct bytes voucher = issue_with(vf, root(2), root(1), later);
    struct bytes set = update(vf, one, VF_SET(vf, one, two, voucher));
    assert_bytes_equal(set, VF_SET(vf, one, two));
    assert_false(trusts(vf, VF_NOW, set, root(2)));
    assert_true(trusts(vf, VF_NOW + VF_YEAR, set, root(2)));
}

/* ---- bounds ---- */

/* `held` remains good: nothing was appended, and the buf is as good as before. */
static void assert_fails(struct vf *vf, struct bytes held, struct bytes offered, size_t cap,
                         enum tm_err expect) {
    uint8_t memory[2 * TM_ANCHORS_MAX];
    struct buf out = {memory, cap, 0, false};
    bool changed = true;
    buf_put_u8(&out, 0x5a);
    vf->verified = 0;
    assert_int_equal(tm_anchors_update(&vf->crypto, VF_NOW, DEV, held, offered, &out, &changed),
                     expect);
    assert_int_equal(out.n, 1);
    assert_int_equal(memory[0], 0x5a);
    assert_false(out.full);
    assert_true(changed);
    assert_in_range(vf->verified, 0, SIGNATURES_MAX);
}

static struct bytes cas_below(struct vf *vf, unsigned number, size_t count) {
    struct bytes parts[OFFERED_MAX];
    assert_in_range(count, 1, OFFERED_MAX);
    for (unsigned i = 0; i < count; i++)
        parts[i] =
            issue_with(vf, issuing(1), root(number),
                       (struct vf_options){.serial = i + 1, .key_id = "", .issuer_key_id = ""});
    return vf_join(vf, parts, count);
}

static void test_too_many(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1), most = cas_below(vf, 1, TM_SET_MAX - 1);
    assert_bytes_equal(update(vf, one, most), VF_SET(vf, one, most));
    assert_fails(vf, one, cas_below(vf, 1, TM_SET_MAX), 2 * TM_ANCHORS_MAX, TM_ELIMIT);
    /* What is of no use does not count, up to what is looked at. */
    struct bytes useless = cas_below(vf, 2, OFFERED_MAX - 1);
    assert_unchanged(vf, one, VF_SET(vf, useless, one));
    assert_fails(vf, one, VF_SET(vf, useless, one, one), 2 * TM_ANCHORS_MAX, TM_ELIMIT);
}

static void test_too_long(void **state) {
    struct vf *vf = *state;
    struct bytes old = self(vf, VF_RSA);
    size_t fit = (TM_ANCHORS_MAX - old.n) / (cas_below(vf, VF_RSA, 1).n + 1);
    struct bytes most = cas_below(vf, VF_RSA, fit);
    assert_in_range(fit, 1, TM_SET_MAX - 2);
    assert_bytes_equal(update(vf, old, most), VF_SET(vf, old, most));
    assert_fails(vf, old, cas_below(vf, VF_RSA, fit + 1), 2 * TM_ANCHORS_MAX, TM_ELIMIT);
}

static void test_small_memory(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1), two = self(vf, 2), voucher = issue(vf, root(2), root(1));
    struct bytes ca = ca_below(vf, 1), answer = VF_SET(vf, ca, two, voucher);
    uint8_t memory[TM_ANCHORS_MAX];
    size_t all = one.n + two.n + ca.n;
    for (size_t cap = 1; cap <= all; cap++)
        assert_fails(vf, one, answer, cap, TM_ELIMIT);
    struct buf out = {memory, all, 0, false};
    bool changed = false;
    assert_int_equal(tm_anchors_update(&vf->crypto, VF_NOW, DEV, one, answer, &out, &changed),
                     TM_OK);
    assert_int_equal(out.n, all);
    assert_true(changed);
    /* What is held may be all that there is to write. */
    assert_fails(vf, one, (struct bytes){0}, one.n, TM_ELIMIT);
}

static void test_crypto_fails(void **state) {
    struct vf *vf = *state;
    struct bytes one = self(vf, 1);
    vf->broken = TM_ETOKEN;
    assert_fails(vf, one, VF_SET(vf, one, ca_below(vf, 1)), 2 * TM_ANCHORS_MAX, TM_ETOKEN);
}

/* All of one name, certifying each other, some of them with the anchor's name too: work is bounded,
 * and what is held stays good. */
static void test_hostile_answer(void **state) {
    struct vf *vf = *state;
    struct bytes one = issue(vf, same_root(1), same_root(1)), parts[OFFERED_MAX];
    for (unsigned i = 0; i < OFFERED_MAX; i++) {
        struct vf_options options = {.serial = i + 1, .key_id = "", .issuer_key_id = ""};
        parts[i] =
            issue_with(vf, same_root(5 + i % 4), same_root(5 + (i + 1 + i / 4) % 4), options);
    }
    assert_fails(vf, one, vf_join(vf, parts, OFFERED_MAX), 2 * TM_ANCHORS_MAX, TM_ELIMIT);
    assert_int_equal(vf->verified, SIGNATURES_MAX);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, vf_setup, vf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_check),
        TEST(test_check_signature),
        TEST(test_check_unit),
        TEST(test_check_limits),
        TEST(test_same_again),
        TEST(test_ca_certificates),
        TEST(test_nothing_useful),
        TEST(test_rollover),
        TEST(test_rollover_from_rsa),
        TEST(test_rollover_of_one_name),
        TEST(test_not_vouched_for),
        TEST(test_issuing_ca_as_root),
        TEST(test_new_root_damaged),
        TEST(test_other_environment),
        TEST(test_rollovers_in_a_row),
        TEST(test_missing_root_between),
        TEST(test_missing_root_of_one_name),
        TEST(test_root_issued_again),
        TEST(test_expired_anchor),
        TEST(test_expired_voucher),
        TEST(test_old_with_new),
        TEST(test_future_root),
        TEST(test_too_many),
        TEST(test_too_long),
        TEST(test_small_memory),
        TEST(test_crypto_fails),
        TEST(test_hostile_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
