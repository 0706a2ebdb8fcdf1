/* SPDX-License-Identifier: Apache-2.0 */
/* Paths to trust anchors and the certificates that servers answer with: what is taken, and every
 * refusal with its sentence. */
#include "verify_fixture.h"

#include "client/verify_path.h"
#include "pki/name.h"

static struct vf_party party(const char *cn, unsigned key) {
    return (struct vf_party){cn, NULL, vf_key(key)};
}
#define ROOT party("Root 1", 1)
#define ISSUING party("Issuing 1", 2)
#define DEVICE party("pump-17", 3)

static struct bytes issue(struct vf *vf, struct vf_party subject, struct vf_party issuer,
                          struct vf_options options) {
    return vf_issue(vf, &subject, &issuer, options);
}

static struct bytes leaf(struct vf *vf, struct vf_party subject, struct vf_party issuer,
                         struct vf_options options) {
    return vf_leaf(vf, &subject, &issuer, options);
}

/* A root and an issuing CA below it. */
static struct bytes plain_set(struct vf *vf) {
    return VF_SET(vf, issue(vf, ROOT, ROOT, VF_PLAIN), issue(vf, ISSUING, ROOT, VF_PLAIN));
}

static void assert_path_at(struct vf *vf, int64_t wall_ms, struct bytes set,
                           struct bytes certificate) {
    char text[TM_TEXT_MAX] = "";
    enum tm_err err = tm_verify_path(&vf->crypto, wall_ms, set, certificate, text);
    if (err)
        print_error("refused: %s\n", text);
    assert_int_equal(err, TM_OK);
}

static void assert_path(struct vf *vf, struct bytes set, struct bytes certificate) {
    assert_path_at(vf, VF_NOW, set, certificate);
}

static void assert_text(const char *text, const char *expect) {
    if (!strstr(text, expect))
        print_error("text: %s\n", text);
    assert_non_null(strstr(text, expect));
}

static void assert_no_path_at(struct vf *vf, int64_t wall_ms, struct bytes set,
                              struct bytes certificate, const char *expect) {
    char text[TM_TEXT_MAX];
    memset(text, 'x', sizeof text);
    assert_int_equal(tm_verify_path(&vf->crypto, wall_ms, set, certificate, text), TM_EDENIED);
    assert_non_null(memchr(text, '\0', sizeof text));
    assert_text(text, expect);
}

static void assert_no_path(struct vf *vf, struct bytes set, struct bytes certificate,
                           const char *expect) {
    assert_no_path_at(vf, VF_NOW, set, certificate, expect);
}

/* ---- paths ---- */

static void test_path(void **state) {
    struct vf *vf = *state;
    struct bytes set = plain_set(vf);
    assert_path(vf, set, leaf(vf, DEVICE, ISSUING, VF_PLAIN));
    assert_int_equal(vf->verified, 3); /* leaf, issuing CA, root: nothing tried in vain */
    assert_path(vf, set, leaf(vf, DEVICE, ROOT, VF_PLAIN));
    /* Members of the set lead to the anchor too, the anchor itself included. */
    struct bytes root = issue(vf, ROOT, ROOT, VF_PLAIN), ca = issue(vf, ISSUING, ROOT, VF_PLAIN);
    assert_path(vf, VF_SET(vf, root, ca), ca);
    assert_path(vf, VF_SET(vf, root, ca), root);
}

static void test_path_by_rsa_root(void **state) {
    struct vf *vf = *state;
    struct vf_party root = party("RSA Root", VF_RSA);
    struct bytes set =
        VF_SET(vf, issue(vf, ISSUING, root, VF_PLAIN), issue(vf, root, root, VF_PLAIN));
    assert_path(vf, set, leaf(vf, DEVICE, ISSUING, VF_PLAIN));
    assert_no_path(vf, set, leaf(vf, DEVICE, ISSUING, (struct vf_options){.signer = vf_key(9)}),
                   "the issuer's signature does not verify (RFC 5280, 6.1.3): ");
}

static void test_nothing_to_lead_to(void **state) {
    struct vf *vf = *state;
    struct bytes certificate = leaf(vf, DEVICE, ISSUING, VF_PLAIN);
    assert_no_path(vf, (struct bytes){0}, certificate,
                   "no CA certificate of this name is there (RFC 5280, 6.1.3): CN=Issuing 1");
    assert_no_path(vf, issue(vf, ISSUING, ROOT, VF_PLAIN), certificate,
                   "no CA certificate of this name is there (RFC 5280, 6.1.3): CN=Root 1");
    struct bytes other = issue(vf, party("Root 2", 8), party("Root 2", 8), VF_PLAIN);
    assert_no_path(vf, other, certificate, "no CA certificate of this name");
    /* What is issued under its own name but not self-signed is no anchor. */
    struct bytes forged = issue(vf, ROOT, ROOT, (struct vf_options){.signer = vf_key(9)});
    assert_no_path(vf, forged, leaf(vf, DEVICE, ROOT, VF_PLAIN), "no CA certificate of this name");
}

static void test_other_key_of_same_name(void **state) {
    struct vf *vf = *state;
    struct bytes impostor = issue(vf, party("Root 1", 9), party("Root 1", 9), VF_PLAIN);
    assert_no_path(vf, plain_set(vf), leaf(vf, DEVICE, party("Issuing 1", 9), VF_PLAIN),
                   "the issuer's signature does not verify");
    assert_no_path(vf, impostor, leaf(vf, DEVICE, ROOT, VF_PLAIN),
                   "the issuer's signature does not verify");
}

static void test_not_certificates(void **state) {
    struct vf *vf = *state;
    struct bytes set = plain_set(vf), certificate = leaf(vf, DEVICE, ISSUING, VF_PLAIN);
    static const char octets[] = "\x30\x03\x02\x01\x05";
    struct bytes junk = {(const uint8_t *)octets, 5};
    assert_no_path(vf, set, junk, "not an X.509 certificate (RFC 5280, 4.1)");
    assert_no_path(vf, set, (struct bytes){0}, "not an X.509 certificate");
    assert_no_path(vf, set, VF_SET(vf, certificate, certificate), "not an X.509 certificate");
    assert_path(vf, VF_SET(vf, junk, set), certificate);
    /* What is behind octets that are no DER is not found, and what is before them is. */
    struct bytes zero = {(const uint8_t *)"\0", 1};
    assert_path(vf, VF_SET(vf, set, zero), certificate);
    assert_no_path(vf, VF_SET(vf, zero, set), certificate, "no CA certificate of this name");
}

/* One row: how the certificates of a path of three differ from good ones, and the sentence. */
struct flaw {
    struct vf_options root, issuing, leaf;
    const char *sentence; /* NULL: good all the same */
};

static const struct flaw flaws[] = {
    {.sentence = NULL},
    {.issuing = {.basic_constraints = ""}, .sentence = "no CA (RFC 5280, 4.2.1.9): CN=Issuing"},
    {.issuing = {.basic_constraints = "CA:FALSE"}, .sentence = "no CA (RFC 5280, 4.2.1.9)"},
    {.root = {.basic_constraints = ""}, .sentence = "no CA (RFC 5280, 4.2.1.9): CN=Root 1"},
    {.issuing = {.key_usage = "critical,digitalSignature"},
     .sentence = "keyUsage lacks keyCertSign (RFC 5280, 4.2.1.3): CN=Issuing 1"},
    {.issuing = {.key_usage = "critical,keyCertSign,cRLSign"}, .sentence = NULL},
    {.root = {.key_usage = "critical,cRLSign"},
     .sentence = "keyUsage lacks keyCertSign (RFC 5280, 4.2.1.3): CN=Root 1"},
    {.issuing = {.basic_constraints = "critical,CA:TRUE,pathlen:0"}, .sentence = NULL},
    {.root = {.basic_constraints = "critical,CA:TRUE,pathlen:1"}, .sentence = NULL},
    {.root = {.basic_constraints = "critical,CA:TRUE,pathlen:0"},
     .sentence = "pathLenConstraint allows (RFC 5280, 4.2.1.9): CN=Root 1"},
    {.leaf = {.unknown = "critical,"},
     .sentence = "a critical extension is not known (RFC 5280, 4.2): serialNumber"},
    {.leaf = {.unknown = "here"}, .sentence = NULL},
    {.issuing = {.unknown = "critical,"},
     .sentence = "critical extension of the CA certificate is not known (RFC 5280, 4.2)"},
    {.root = {.unknown = "critical,"},
     .sentence = "critical extension of the CA certificate is not known (RFC 5280, 4.2)"},
    {.issuing = {.names = "critical,permitted;DNS:example.org"},
     .sentence = "critical extension of the CA certificate is not known"},
    {.issuing = {.policy = "1.3.6.1.4.1.32473.2"}, .sentence = NULL},
    {.issuing = {.purposes = "critical,serverAuth"}, .sentence = NULL},
    {.leaf = {.from_ms = -10 * VF_DAY, .to_ms = -VF_DAY},
     .sentence = "expired (RFC 5280, 4.1.2.5): serialNumber"},
    {.leaf = {.from_ms = VF_DAY}, .sentence = "not valid yet (RFC 5280, 4.1.2.5): serialNumber"},
    {.issuing = {.from_ms = -10 * VF_DAY, .to_ms = -VF_DAY},
     .sentence = "expired (RFC 5280, 4.1.2.5): CN=Issuing 1"},
    {.issuing = {.from_ms = VF_DAY}, .sentence = "not valid yet (RFC 5280, 4.1.2.5): CN=Issuing"},
    {.root = {.from_ms = -10 * VF_DAY, .to_ms = -VF_DAY},
     .sentence = "expired (RFC 5280, 4.1.2.5): CN=Root 1"},
    {.root = {.from_ms = VF_DAY}, .sentence = "not valid yet (RFC 5280, 4.1.2.5): CN=Root 1"},
    {.issuing = {.issuer_key_id = ""}, .leaf = {.issuer_key_id = ""}, .sentence = NULL},
    {.issuing = {.key_id = "a key identifier"}, .sentence = NULL}, /* a hint that is wrong */
    {.issuing = {.key_id = ""}, .sentence = NULL},
};

static void test_flaws(void **state) {
    struct vf *vf = *state;
    for (size_t i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
        struct vf_options last = flaws[i].leaf;
        last.serial_number = "4711";
        struct bytes set = VF_SET(vf, issue(vf, ROOT, ROOT, flaws[i].root),
                                  issue(vf, ISSUING, ROOT, flaws[i].issuing));
        struct bytes certificate = leaf(vf, DEVICE, ISSUING, last);
        if (flaws[i].sentence)
            assert_no_path(vf, set, certificate, flaws[i].sentence);
        else
            assert_path(vf, set, certificate);
    }
}

static void test_time(void **state) {
    struct vf *vf = *state;
    struct bytes set = plain_set(vf);
    struct bytes certificate =
        leaf(vf, DEVICE, ISSUING, (struct vf_options){.from_ms = VF_DAY, .to_ms = 2 * VF_DAY});
    int64_t from = VF_NOW + VF_DAY, to = VF_NOW + 2 * VF_DAY;
    assert_path_at(vf, from, set, certificate);
    assert_path_at(vf, from - TM_SKEW_MS, set, certificate);
    assert_no_path_at(vf, from - TM_SKEW_MS - 1, set, certificate, "not valid yet");
    assert_path_at(vf, to, set, certificate);
    assert_no_path_at(vf, to + 1, set, certificate, "expired");
    assert_path_at(vf, 0, set, certificate); /* no clock */
    assert_no_path_at(vf, VF_NOW + 11 * VF_YEAR, set, leaf(vf, DEVICE, ISSUING, VF_PLAIN),
                      "expired");
}

/* Certificates of a key rollover under one name do not count for pathLenConstraint. */
static void test_self_issued_do_not_count(void **state) {
    struct vf *vf = *state;
    struct vf_options one = {.basic_constraints = "critical,CA:TRUE,pathlen:1"};
    struct vf_party renewed = party("Root 1", 8);
    struct bytes set = VF_SET(vf, issue(vf, ROOT, ROOT, one), issue(vf, renewed, ROOT, VF_PLAIN),
                              issue(vf, ISSUING, renewed, VF_PLAIN));
    assert_path(vf, set, leaf(vf, DEVICE, ISSUING, VF_PLAIN));
}

static void test_length(void **state) {
    struct vf *vf = *state;
    struct vf_party a = party("A", 10), b = party("B", 11), c = party("C", 12);
    struct bytes set = VF_SET(vf, issue(vf, ROOT, ROOT, VF_PLAIN), issue(vf, a, ROOT, VF_PLAIN),
                              issue(vf, b, a, VF_PLAIN), issue(vf, c, b, VF_PLAIN),
                              issue(vf, ISSUING, c, VF_PLAIN));
    assert_int_equal(TM_PATH_MAX, 4);
    assert_path(vf, set, leaf(vf, DEVICE, c, VF_PLAIN));
    assert_no_path(vf, set, leaf(vf, DEVICE, ISSUING, VF_PLAIN),
                   "the path to a trust anchor is too long: CN=A");
}

/* Several CAs of one name: the key identifier leads to the right one, and without it all are
 * tried. */
static void test_key_identifiers(void **state) {
    struct vf *vf = *state;
    struct bytes root = issue(vf, ROOT, ROOT, VF_PLAIN);
    struct bytes set = VF_SET(vf, issue(vf, party("Issuing 1", 10), ROOT, VF_PLAIN),
                              issue(vf, party("Issuing 1", 11), ROOT, VF_PLAIN),
                              issue(vf, ISSUING, ROOT, VF_PLAIN), root);
    assert_path(vf, set, leaf(vf, DEVICE, ISSUING, VF_PLAIN));
    assert_int_equal(vf->verified, 3);
    vf->verified = 0;
    assert_path(vf, set, leaf(vf, DEVICE, ISSUING, (struct vf_options){.issuer_key_id = ""}));
    assert_int_equal(vf->verified, 5);
}

/* The first issuer that signed leads nowhere; the search comes back for the second. */
static void test_back_track(void **state) {
    struct vf *vf = *state;
    struct bytes lost = issue(vf, ISSUING, party("Root 2", 8), VF_PLAIN);
    struct bytes expired =
        issue(vf, ISSUING, ROOT, (struct vf_options){.from_ms = -2 * VF_DAY, .to_ms = -VF_DAY});
    struct bytes root = issue(vf, ROOT, ROOT, VF_PLAIN);
    struct bytes good = issue(vf, ISSUING, ROOT, VF_PLAIN);
    struct bytes certificate = leaf(vf, DEVICE, ISSUING, VF_PLAIN);
    assert_path(vf, VF_SET(vf, lost, expired, good, root), certificate);
    assert_no_path(vf, VF_SET(vf, expired, lost, root), certificate,
                   "no CA certificate of this name is there (RFC 5280, 6.1.3): CN=Root 2");
}

/* Two CAs of one name that certify each other, each six times, and no anchor: the ways through
 * them are thousands. */
static void test_hostile_set(void **state) {
    struct vf *vf = *state;
    struct vf_party a = party("Hydra", 10), b = party("Hydra", 11);
    struct bytes parts[TM_SET_MAX];
    for (unsigned i = 0; i < TM_SET_MAX; i++) {
        struct vf_options options = {.serial = i + 1, .key_id = "", .issuer_key_id = ""};
        parts[i] = i % 2 ? issue(vf, a, b, options) : issue(vf, b, a, options);
    }
    struct bytes set = vf_join(vf, parts, TM_SET_MAX);
    assert_no_path(vf, set, leaf(vf, DEVICE, a, VF_PLAIN), "too many signatures were checked");
    assert_int_equal(vf->verified, TM_PATH_SIGNATURES);
}

/* No damaged octet goes unnoticed. */
static void test_damage(void **state) {
    struct vf *vf = *state;
    struct bytes set = plain_set(vf), good = leaf(vf, DEVICE, ISSUING, VF_PLAIN);
    uint8_t damaged[2048];
    char text[TM_TEXT_MAX];
    assert_in_range(good.n, 1, sizeof damaged);
    for (size_t i = 0; i < good.n; i++) {
        memcpy(damaged, good.p, good.n);
        damaged[i] ^= 1;
        struct bytes bad = {damaged, good.n};
        assert_int_equal(tm_verify_path(&vf->crypto, VF_NOW, set, bad, text), TM_EDENIED);
    }
}

/* A crypto unit that fails says nothing about the certificate. */
static void test_crypto_fails(void **state) {
    struct vf *vf = *state;
    struct bytes set = plain_set(vf), certificate = leaf(vf, DEVICE, ISSUING, VF_PLAIN);
    char text[TM_TEXT_MAX];
    vf->broken = TM_EIO;
    assert_int_equal(tm_verify_path(&vf->crypto, VF_NOW, set, certificate, text), TM_EIO);
}

/* ---- issued certificates ---- */

static struct bytes name_of(struct vf *vf, struct vf_party who, const char *serial_number) {
    X509_NAME *name = vf_name(&who, serial_number);
    struct fixture_der der;
    FIXTURE_I2D(&der, X509_NAME, name);
    struct bytes kept = vf_keep(vf, fixture_bytes(&der));
    fixture_free(&der);
    X509_NAME_free(name);
    return kept;
}

static struct tm_expected expected(struct vf *vf) {
    return (struct tm_expected){.spki = vf_spki(vf, vf_key(3)),
                                .device_id = "pump-17",
                                .set = plain_set(vf),
                                .wall_ms = VF_NOW};
}

static void assert_issued(struct vf *vf, const struct tm_expected *expect, struct bytes answer) {
    char text[TM_TEXT_MAX] = "";
    struct tm_certificate certificate;
    memset(&certificate, 0xa5, sizeof certificate);
    enum tm_err err = tm_verify_issued(&vf->crypto, expect, answer, &certificate, text);
    if (err)
        print_error("refused: %s\n", text);
    assert_int_equal(err, TM_OK);
}

static void assert_refused(struct vf *vf, const struct tm_expected *expect, struct bytes answer,
                           const char *sentence) {
    char text[TM_TEXT_MAX];
    struct tm_certificate certificate, before;
    memset(&certificate, 0xa5, sizeof certificate);
    memset(&before, 0xa5, sizeof before);
    memset(text, 'x', sizeof text);
    assert_int_equal(tm_verify_issued(&vf->crypto, expect, answer, &certificate, text), TM_EDENIED);
    assert_non_null(memchr(text, '\0', sizeof text));
    assert_text(text, sentence);
    assert_memory_equal(&certificate, &before, sizeof before);
}

static void test_issued(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    struct bytes answer = leaf(vf, DEVICE, ISSUING, (struct vf_options){.serial = 0x42});
    struct tm_certificate got;
    char text[TM_TEXT_MAX];
    memset(&got, 0xa5, sizeof got);
    assert_int_equal(tm_verify_issued(&vf->crypto, &expect, answer, &got, text), TM_OK);
    assert_int_equal(got.serial_n, 1);
    assert_int_equal(got.serial[0], 0x42);
    assert_true(got.not_before_ms == VF_NOW - VF_YEAR);
    assert_true(got.not_after_ms == VF_NOW + 10 * VF_YEAR);
    /* All else is the caller's. */
    assert_int_equal(got.key_bank, 0xa5);
    assert_int_equal(got.chain_bank, 0xa5);
    assert_int_equal(got.hash[0], 0xa5);
    assert_int_equal(got.hash[TM_SHA256_SIZE - 1], 0xa5);
    /* What follows the first certificate does not matter. */
    assert_issued(vf, &expect, VF_SET(vf, answer, issue(vf, ROOT, ROOT, VF_PLAIN)));
    assert_issued(vf, &expect, VF_SET(vf, answer, (struct bytes){(const uint8_t *)"\0", 1}));
}

static void test_issued_serial(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    struct tm_certificate got;
    char text[TM_TEXT_MAX];
    struct bytes longest = leaf(vf, DEVICE, ISSUING, (struct vf_options){.serial_octets = 20});
    assert_int_equal(tm_verify_issued(&vf->crypto, &expect, longest, &got, text), TM_OK);
    assert_int_equal(got.serial_n, 20);
    assert_int_equal(got.serial[0], 0x7f);
    assert_int_equal(got.serial[19], 0);
    assert_refused(vf, &expect, leaf(vf, DEVICE, ISSUING, (struct vf_options){.serial_octets = 21}),
                   "more than 20 octets (RFC 5280, 4.1.2.2)");
}

static void test_issued_nothing(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    assert_refused(vf, &expect, (struct bytes){0}, "not an X.509 certificate (RFC 5280, 4.1)");
    assert_refused(vf, &expect, (struct bytes){(const uint8_t *)"\x30\x00", 2},
                   "not an X.509 certificate");
}

static void test_issued_key(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    assert_refused(vf, &expect, leaf(vf, party("pump-17", 9), ISSUING, VF_PLAIN),
                   "for another key than the request's (RFC 7030, 4.2.3): CN=pump-17");
    /* The root's own certificate first, as a message with its certificates sorted might have it. */
    assert_refused(vf, &expect,
                   VF_SET(vf, issue(vf, ROOT, ROOT, VF_PLAIN), leaf(vf, DEVICE, ISSUING, VF_PLAIN)),
                   "for another key");
}

static void test_issued_subject(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    expect.subject = name_of(vf, DEVICE, "4711");
    struct vf_options with_number = {.serial_number = "4711"};
    assert_issued(vf, &expect, leaf(vf, DEVICE, ISSUING, with_number));
    /* RFC 5280, 7.1: case does not matter in whole names. */
    assert_issued(vf, &expect, leaf(vf, party("PUMP-17", 3), ISSUING, with_number));
    assert_refused(vf, &expect, leaf(vf, DEVICE, ISSUING, VF_PLAIN),
                   "another subject than the request (RFC 7030, 4.2.2): CN=pump-17");
    assert_refused(vf, &expect, leaf(vf, party("pump-18", 3), ISSUING, with_number),
                   "another subject than the request");
}

static void test_issued_device_id(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    struct vf_options with_number = {.serial_number = "pump-17"};
    static const char sentence[] =
        "neither CN nor serialNumber is this device's ID (RFC 5280, 4.1.2.6)";
    assert_issued(vf, &expect, leaf(vf, party("My pump", 3), ISSUING, with_number));
    assert_issued(vf, &expect, leaf(vf, party(NULL, 3), ISSUING, with_number));
    static const char *const others[] = {"pump-1", "pump-171", "Pump-17", "pump-17 ", NULL};
    for (size_t i = 0; others[i]; i++)
        assert_refused(vf, &expect, leaf(vf, party(others[i], 3), ISSUING, VF_PLAIN), sentence);
    assert_refused(vf, &expect, leaf(vf, party(NULL, 3), ISSUING, VF_PLAIN), sentence);
    /* The same characters in another attribute are another statement. */
    struct vf_party unit = {"x", "pump-17", vf_key(3)};
    assert_refused(vf, &expect, leaf(vf, unit, ISSUING, VF_PLAIN), sentence);
    expect.device_id = NULL;
    assert_issued(vf, &expect, leaf(vf, party("anything", 3), ISSUING, VF_PLAIN));
}

static void test_issued_use(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    static const struct {
        struct vf_options options;
        const char *sentence;
    } rows[] = {
        {{.basic_constraints = "critical,CA:TRUE"}, "is a CA's (RFC 5280, 4.2.1.9)"},
        {{.basic_constraints = "critical,CA:FALSE"}, NULL},
        {{.key_usage = "critical,keyAgreement"}, "lacks digitalSignature (RFC 5280, 4.2.1.3)"},
        {{.key_usage = "digitalSignature,keyAgreement"}, NULL},
        {{.purposes = "serverAuth,codeSigning"}, "lacks clientAuth (RFC 5280, 4.2.1.12)"},
        {{.purposes = "critical,serverAuth,clientAuth"}, NULL},
        {{.unknown = "critical,"}, "a critical extension is not known (RFC 5280, 4.2)"},
        {{.from_ms = -2 * VF_DAY, .to_ms = -VF_DAY}, "expired (RFC 5280, 4.1.2.5)"},
        {{.from_ms = VF_DAY}, "not valid yet (RFC 5280, 4.1.2.5)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes answer = leaf(vf, DEVICE, ISSUING, rows[i].options);
        if (rows[i].sentence)
            assert_refused(vf, &expect, answer, rows[i].sentence);
        else
            assert_issued(vf, &expect, answer);
    }
}

static void test_issued_without_extensions(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    struct vf_options none = {.basic_constraints = "", .key_id = "", .issuer_key_id = ""};
    assert_issued(vf, &expect, issue(vf, DEVICE, ISSUING, none));
}

static void test_issued_path(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    assert_refused(vf, &expect, leaf(vf, DEVICE, party("Other CA", 9), VF_PLAIN),
                   "no CA certificate of this name is there (RFC 5280, 6.1.3): CN=Other CA");
    /* CA certificates beside the answer are no part of the set. */
    struct vf_party below = party("Below", 9);
    assert_refused(
        vf, &expect,
        VF_SET(vf, leaf(vf, DEVICE, below, VF_PLAIN), issue(vf, below, ISSUING, VF_PLAIN)),
        "no CA certificate of this name is there (RFC 5280, 6.1.3): CN=Below");
    vf->broken = TM_ETOKEN;
    struct tm_certificate got;
    char text[TM_TEXT_MAX];
    assert_int_equal(
        tm_verify_issued(&vf->crypto, &expect, leaf(vf, DEVICE, ISSUING, VF_PLAIN), &got, text),
        TM_ETOKEN);
}

/* A subject longer than the text is cut, and what went wrong stands in front. */
static void test_long_text(void **state) {
    struct vf *vf = *state;
    struct tm_expected expect = expected(vf);
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl";
    struct vf_party wordy = {letters, letters, vf_key(3)};
    char text[TM_TEXT_MAX];
    struct tm_certificate got;
    struct bytes answer = leaf(vf, wordy, ISSUING, (struct vf_options){.serial_number = letters});
    assert_int_equal(tm_verify_issued(&vf->crypto, &expect, answer, &got, text), TM_EDENIED);
    assert_in_range(strlen(text), TM_TEXT_MAX - 40, TM_TEXT_MAX - 1);
    assert_text(text, "neither CN nor serialNumber is this device's ID (RFC 5280, 4.1.2.6): ");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, vf_setup, vf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_path),
        TEST(test_path_by_rsa_root),
        TEST(test_nothing_to_lead_to),
        TEST(test_other_key_of_same_name),
        TEST(test_not_certificates),
        TEST(test_flaws),
        TEST(test_time),
        TEST(test_self_issued_do_not_count),
        TEST(test_length),
        TEST(test_key_identifiers),
        TEST(test_back_track),
        TEST(test_hostile_set),
        TEST(test_damage),
        TEST(test_crypto_fails),
        TEST(test_issued),
        TEST(test_issued_serial),
        TEST(test_issued_nothing),
        TEST(test_issued_key),
        TEST(test_issued_subject),
        TEST(test_issued_device_id),
        TEST(test_issued_use),
        TEST(test_issued_without_extensions),
        TEST(test_issued_path),
        TEST(test_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
