/* SPDX-License-Identifier: Apache-2.0 */
/* Building paths: see client/verify_path.h. */
#include "client/verify_path.h"

#include "pki/name.h"

/* Where issuers are looked for: first those whose key identifier is the one named (RFC 5280,
 * 4.2.1.1), then all others, since identifiers are hints and no proof. */
enum phase { NAMED_ANCHORS, NAMED_OTHERS, ANY_ANCHORS, ANY_OTHERS, PHASES };

struct step {
    struct tm_facts facts;
    struct bytes rest; /* of the certificates that may be its issuer */
    unsigned phase;
};

/* path[0] is the certificate itself. */
struct path {
    struct step steps[TM_PATH_MAX + 1];
    size_t depth;
};

static void note(struct tm_search *search, size_t reached, const char *sentence,
                 struct bytes name) {
    if (search->sentence && reached <= search->reached)
        return;
    search->sentence = sentence;
    search->name = name;
    search->reached = reached;
}

enum tm_err tm_search_signed(struct tm_search *search, const struct tm_facts *certificate,
                             const struct tm_facts *issuer) {
    if (search->signatures_left == 0)
        return TM_ELIMIT;
    search->signatures_left--;
    return search->crypto->verify(search->crypto->self, issuer->spki, certificate->algorithm,
                                  certificate->tbs, certificate->signature);
}

enum tm_err tm_search_self_signed(struct tm_search *search, const struct tm_facts *certificate) {
    if (!tm_facts_self_issued(certificate))
        return TM_ECRYPTO;
    return tm_search_signed(search, certificate, certificate);
}

const char *tm_search_not_valid(const struct tm_search *search, const struct tm_facts *facts) {
    if (search->wall_ms == 0)
        return NULL;
    if (search->wall_ms > facts->not_after_ms)
        return "expired (RFC 5280, 4.1.2.5)";
    if (!search->future && search->wall_ms < facts->not_before_ms - TM_SKEW_MS)
        return "not valid yet (RFC 5280, 4.1.2.5)";
    return NULL;
}

static bool of_others(unsigned phase) {
    return phase == NAMED_OTHERS || phase == ANY_OTHERS;
}

static void enter(const struct tm_search *search, struct step *step, unsigned phase) {
    step->phase = phase;
    step->rest = of_others(phase) ? search->others : search->anchors;
}

static bool on_path(const struct path *path, const struct tm_facts *facts) {
    /* An anchor may be asked for itself, any other certificate leads nowhere by itself. */
    size_t from = of_others(path->steps[path->depth].phase) ? 0 : 1;
    for (size_t i = from; i <= path->depth; i++)
        if (bytes_equal(path->steps[i].facts.whole, facts->whole))
            return true;
    return false;
}

static bool may_be_issuer(const struct tm_search *search, const struct path *path,
                          const struct tm_facts *issuer) {
    const struct step *step = &path->steps[path->depth];
    struct bytes wanted = step->facts.issuer_key_id;
    bool named = wanted.n > 0 && bytes_equal(wanted, issuer->key_id);
    if (named != (step->phase == NAMED_ANCHORS || step->phase == NAMED_OTHERS))
        return false;
    if (search->rollover && of_others(step->phase) && !tm_facts_self_issued(issuer))
        return false;
    return pki_name_equal(step->facts.issuer, issuer->subject) && !on_path(path, issuer);
}

/* RFC 5280, 6.1.4 (l): self-issued certificates do not count. */
static int cas_below(const struct path *path) {
    int count = 0;
    for (size_t i = 1; i <= path->depth; i++)
        count += !tm_facts_self_issued(&path->steps[i].facts);
    return count;
}

static const char *not_issuer(const struct tm_search *search, const struct path *path,
                              const struct tm_facts *issuer) {
    const char *why = tm_facts_not_ca(issuer);
    if (!why && issuer->path_len >= 0 && cas_below(path) > issuer->path_len)
        why = "more CAs below it than pathLenConstraint allows (RFC 5280, 4.2.1.9)";
    return why ? why : tm_search_not_valid(search, issuer);
}

/* Is it the issuer of the path's last certificate? TM_ENOTFOUND: no. */
static enum tm_err try_issuer(struct tm_search *search, const struct path *path,
                              const struct tm_facts *issuer) {
    const struct tm_facts *certificate = &path->steps[path->depth].facts;
    if (!may_be_issuer(search, path, issuer))
        return TM_ENOTFOUND;
    const char *why = not_issuer(search, path, issuer);
    if (why) {
        note(search, path->depth + 1, why, issuer->subject);
        return TM_ENOTFOUND;
    }
    enum tm_err err = tm_search_signed(search, certificate, issuer);
    if (err != TM_ECRYPTO)
        return err;
    note(search, path->depth + 1, "the issuer's signature does not verify (RFC 5280, 6.1.3)",
         certificate->subject);
    return TM_ENOTFOUND;
}

/* The next issuer of the path's last certificate, into the step behind it. TM_ENOTFOUND: no more.
 */
static enum tm_err next_issuer(struct tm_search *search, struct path *path) {
    struct step *step = &path->steps[path->depth];
    struct tm_facts *issuer = &path->steps[path->depth + 1].facts;
    while (step->phase < PHASES) {
        enum tm_err err = tm_facts_next(&step->rest, issuer);
        if (err == TM_ENOTFOUND) {
            enter(search, step, step->phase + 1);
            continue;
        }
        if (!err)
            err = try_issuer(search, path, issuer);
        if (err != TM_ENOTFOUND && err != TM_EPARSE)
            return err;
    }
    note(search, path->depth + 1, "no CA certificate of this name is there (RFC 5280, 6.1.3)",
         step->facts.issuer);
    return TM_ENOTFOUND;
}

/* Is the issuer that was found the path's end? TM_ENOTFOUND: no. */
static enum tm_err at_anchor(struct tm_search *search, const struct path *path) {
    if (of_others(path->steps[path->depth].phase))
        return TM_ENOTFOUND;
    enum tm_err err = tm_search_self_signed(search, &path->steps[path->depth + 1].facts);
    return err == TM_ECRYPTO ? TM_ENOTFOUND : err;
}

static enum tm_err search_from(struct tm_search *search, struct path *path) {
    for (;;) {
        enum tm_err err = next_issuer(search, path);
        if (err == TM_ENOTFOUND) {
            if (path->depth == 0)
                return TM_ENOTFOUND;
            path->depth--;
            continue;
        }
        if (!err)
            err = at_anchor(search, path);
        if (err != TM_ENOTFOUND)
            return err;
        if (path->depth + 1 == TM_PATH_MAX) {
            note(search, TM_PATH_MAX + 1, "the path to a trust anchor is too long",
                 path->steps[path->depth + 1].facts.subject);
            continue;
        }
        path->depth++;
        enter(search, &path->steps[path->depth], NAMED_ANCHORS);
    }
}

enum tm_err tm_search_path(struct tm_search *search, const struct tm_facts *certificate) {
    const char *why = certificate->unknown_critical
                          ? "a critical extension is not known (RFC 5280, 4.2)"
                          : tm_search_not_valid(search, certificate);
    if (why) {
        note(search, 0, why, certificate->subject);
        return TM_ENOTFOUND;
    }
    struct path path;
    path.depth = 0;
    path.steps[0].facts = *certificate;
    enter(search, &path.steps[0], NAMED_ANCHORS);
    return search_from(search, &path);
}
