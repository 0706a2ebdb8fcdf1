/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer and what says which certificates are good, on a real token: CRLs, OCSP answers and
 * filters that are right are signed by the right key, and each rule is broken once.
 */
#include "signer_rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <openssl/ocsp.h>

#include "base/memfile.h"
#include "ca/crl.h"
#include "ca/ocsp.h"
#include "ca/signature.h"
#include "pki/crl.h"
#include "pki/filter.h"

#define MINUTE_MS INT64_C(60000)
#define DAY_MS (1440 * MINUTE_MS)
#define SHARD "http://s.example/factory-%d.crl"
#define TBS_MAX 4096

static const char ocsp_profile[] =
    "kind: ocsp\nkeys: [p256]\nsubject: [{type: CN, value: \"{id}\"}]\n"
    "key_usage: [digitalSignature]\next_key_usage: [OCSPSigning]\nvalidity: 30d\n"
    "states: [activated]\nexisting: supersede\n";

/* A signer with an OCSP key, linked; three shards. */
struct work {
    struct signer_rig *rig;
    struct ca_profile profiles[2]; /* a device's, the OCSP key's */
    struct hsm_signer *signer;
    int core;
    uint64_t id; /* of the last ticket */
    uint8_t spki_memory[HSM_TEXT_MAX];
    struct bytes ocsp_spki;
    struct ca_ocsp_responder responder;
};

static void make_key(struct signer_rig *rig, const char *label) {
    struct hsm_token *token = NULL;
    char text[HSM_TEXT_MAX] = "";
    if (hsm_token_open(&rig->config.token, SOFTHSM_PIN, &token, text) ||
        hsm_key_generate(token, HSM_KEY_P256, label, text))
        fail_msg("%s", text);
    hsm_token_close(token);
}

static struct ipc_key next_key(struct signer_rig *rig, int core) {
    struct bytes message;
    struct ipc_key key;
    assert_int_equal(ipc_receive(core, rig->in, sizeof rig->in, 20000, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_key_schema, message, &key), TM_OK);
    return key;
}

/* The OCSP key is shown before the issuer's, and is another. */
static void expect_keys(struct work *w) {
    struct ipc_key key = next_key(w->rig, w->core);
    assert_int_equal(key.ocsp, 1);
    assert_int_equal(key.index, 0);
    assert_int_equal(key.count, 2);
    assert_string_equal(key.issuer, "factory");
    assert_false(ca_issuer_has_key(&w->rig->issuer, key.spki));
    assert_true(key.spki.n <= sizeof w->spki_memory);
    memcpy(w->spki_memory, key.spki.p, key.spki.n);
    w->ocsp_spki = (struct bytes){w->spki_memory, key.spki.n};
    key = next_key(w->rig, w->core);
    assert_int_equal(key.ocsp, 0);
    assert_int_equal(key.index, 1);
    assert_true(ca_issuer_has_key(&w->rig->issuer, key.spki));
}

static void link_signer(struct work *w) {
    int fds[2];
    w->signer = rig_signer(w->rig);
    assert_int_equal(ipc_pair(fds), TM_OK);
    assert_int_equal(hsm_signer_link(w->signer, fds[1]), TM_OK);
    w->core = fds[0];
    expect_keys(w);
}

/* A ticket for a certificate of the kind ocsp for this key. */
static struct ipc_signed ask_certificate(struct work *w, struct bytes key, struct buf *tbs) {
    struct ca_device device = {.id = "ocsp-factory", .state = CA_ACTIVATED};
    struct ca_serial serial;
    struct pki_spki spki;
    int64_t now = clock_wall_ms();
    assert_int_equal(ca_serial_make(now, &serial), TM_OK);
    assert_int_equal(pki_spki_parse(key, &spki), TM_OK);
    const struct ca_build build = {.profile = &w->profiles[1],
                                   .issuer = &w->rig->issuer,
                                   .device = &device,
                                   .serial = &serial,
                                   .spki = &spki,
                                   .now_ms = now};
    assert_int_equal(ca_build_tbs(&build, tbs), TM_OK);
    struct ipc_ticket ticket = {
        .id = ++w->id, .issuer = "factory", .profile = "ocsp", .tbs = buf_bytes(tbs)};
    memcpy(ticket.profile_hash, w->profiles[1].hash, sizeof ticket.profile_hash);
    rig_send(w->core, &ticket);
    return rig_receive(w->rig, w->core);
}

static void delegate(struct work *w) {
    uint8_t tbs_memory[RIG_TBS_MAX], der_memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(tbs_memory), der = BUF_ON(der_memory);
    char text[IPC_TEXT_MAX + 1] = "";
    struct ipc_signed answer = ask_certificate(w, w->ocsp_spki, &tbs);
    assert_int_equal(answer.status, IPC_SIGN_OK);
    assert_int_equal(ca_build_certificate(&w->rig->issuer, buf_bytes(&tbs), answer.signature, &der),
                     TM_OK);
    if (ca_ocsp_responder_load(&w->rig->issuer, buf_bytes(&der), &w->responder, text))
        fail_msg("%s", text);
}

static int work_open(void **state) {
    struct work *w = calloc(1, sizeof *w);
    char error[CONF_ERROR_MAX] = "";
    w->rig = rig_open();
    w->rig->issuer.crl_shards = 3;
    make_key(w->rig, "factory-ocsp");
    w->rig->entry.ocsp_key_label = "factory-ocsp";
    w->profiles[0] = w->rig->profile;
    if (ca_profile_load_text(ocsp_profile, sizeof ocsp_profile - 1, "ocsp.yaml", &w->profiles[1],
                             error))
        fail_msg("%s", error);
    w->rig->config.profiles = w->profiles;
    w->rig->config.profile_count = 2;
    link_signer(w);
    delegate(w);
    *state = w;
    return 0;
}

static int work_close(void **state) {
    struct work *w = *state;
    hsm_signer_close(w->signer);
    (void)close(w->core);
    ca_ocsp_responder_free(&w->responder);
    ca_profile_free(&w->profiles[1]);
    rig_close(w->rig);
    free(w);
    return 0;
}

/* ---- asking ---- */

static void send_with_fd(int core, const struct codec_schema *schema, const void *object, int fd) {
    uint8_t memory[IPC_MESSAGE_MAX];
    struct buf message = BUF_ON(memory);
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof fd)];
    } control = {0};
    assert_int_equal(codec_encode(schema, object, &message), TM_OK);
    struct iovec iov = {message.p, message.n};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = control.room;
        header.msg_controllen = sizeof control.room;
        struct cmsghdr *part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(part), &fd, sizeof fd);
    }
    assert_int_equal(sendmsg(core, &header, MSG_NOSIGNAL), message.n);
}

static struct ipc_signed ask(struct work *w, enum ipc_status_kind kind, struct bytes content,
                             int fd) {
    const struct ipc_status_ticket ticket = {
        .id = ++w->id, .kind = (uint8_t)kind, .issuer = "factory", .content = content};
    send_with_fd(w->core, &ipc_status_ticket_schema, &ticket, fd);
    struct ipc_signed answer = rig_receive(w->rig, w->core);
    assert_int_equal(answer.id, w->id);
    return answer;
}

static void assert_refused(const struct ipc_signed *answer, const char *says) {
    if (answer->status != IPC_SIGN_REFUSED || !strstr(answer->text, says))
        fail_msg("status %d, and \"%s\" is not in: %s", answer->status, says, answer->text);
    assert_int_equal(answer->signature.n, 0);
}

/* ---- CRLs ---- */

struct terms {
    uint64_t number;
    const char *url;
    int64_t age_ms, lasts_ms;
    uint64_t entries;
};

static int make_crl(const struct ca_issuer *issuer, const struct terms *terms) {
    struct ca_crl *crl = NULL;
    uint64_t size, entries;
    int fd = -1;
    int64_t from = clock_wall_ms() - terms->age_ms;
    assert_int_equal(
        ca_crl_begin(issuer, terms->number, from, from + terms->lasts_ms, terms->url, &crl), TM_OK);
    for (uint64_t i = 0; i < terms->entries; i++) {
        struct ca_revoked r = {.serial = {.octets = {1}, .n = 16}, .revoked_ms = from, .reason = 1};
        for (unsigned k = 0; k < 8; k++)
            r.serial.octets[8 + k] = (uint8_t)(i >> (56 - 8 * k));
        assert_int_equal(ca_crl_add(crl, &r), TM_OK);
    }
    assert_int_equal(ca_crl_finish(crl, &fd, &size, &entries), TM_OK);
    ca_crl_free(crl);
    return fd;
}

static struct terms good_terms(uint64_t number) {
    return (struct terms){.number = number, .lasts_ms = DAY_MS, .entries = 3};
}

static struct ipc_signed ask_crl(struct work *w, const struct terms *terms) {
    int fd = make_crl(&w->rig->issuer, terms);
    struct ipc_signed answer = ask(w, IPC_STATUS_CRL, (struct bytes){0}, fd);
    assert_int_equal(close(fd), 0);
    return answer;
}

static void assert_signs_crl(struct work *w, const struct terms *terms) {
    int fd = make_crl(&w->rig->issuer, terms), whole = -1;
    uint64_t size;
    uint8_t sha256[CA_HASH_SIZE];
    struct ipc_signed answer = ask(w, IPC_STATUS_CRL, (struct bytes){0}, fd);
    if (answer.status != IPC_SIGN_OK)
        fail_msg("%s", answer.text);
    assert_int_equal(ca_crl_assemble(&w->rig->issuer, fd, answer.signature, &whole, &size, sha256),
                     TM_OK);
    assert_int_equal(close(whole), 0);
    assert_int_equal(close(fd), 0);
}

static void a_crl_is_signed_by_the_issuers_key(void **state) {
    struct terms terms = good_terms(10);
    assert_signs_crl(*state, &terms);
    terms.number = 11;
    terms.age_ms = 20 * MINUTE_MS; /* the walk over a million took its time */
    terms.entries = 0;
    assert_signs_crl(*state, &terms);
}

static void numbers_rise_per_shard(void **state) {
    struct work *w = *state;
    char urls[4][64];
    struct terms terms = good_terms(20);
    assert_signs_crl(w, &terms);
    struct ipc_signed answer = ask_crl(w, &terms);
    assert_refused(&answer, "not above the last");
    terms.number = 19;
    answer = ask_crl(w, &terms);
    assert_refused(&answer, "not above the last");
    for (int i = 0; i < 3; i++) {
        (void)snprintf(urls[i], sizeof urls[i], SHARD, i);
        terms = good_terms(5);
        terms.url = urls[i];
        assert_signs_crl(w, &terms);
        answer = ask_crl(w, &terms);
        assert_refused(&answer, "not above the last");
    }
    terms = good_terms(21);
    assert_signs_crl(w, &terms);
}

/* How many series there are is known; a core that makes more up gets no more. */
static void there_are_as_many_shards_as_configured(void **state) {
    struct work *w = *state;
    unsigned made = 0;
    for (int i = 100; i < 110; i++) {
        char url[64];
        struct terms terms = good_terms(1);
        (void)snprintf(url, sizeof url, SHARD, i);
        terms.url = url;
        made += ask_crl(w, &terms).status == IPC_SIGN_OK;
    }
    assert_true(made <= 1); /* the filter's place may be free yet */
    w->rig->issuer.crl_shards = 0;
    struct terms terms = good_terms(1);
    terms.url = "http://s.example/factory-0.crl";
    struct ipc_signed answer = ask_crl(w, &terms);
    assert_refused(&answer, "no shards");
    w->rig->issuer.crl_shards = 3;
}

static void times_of_a_crl_are_bounded(void **state) {
    static const struct {
        int64_t age_ms, lasts_ms;
        const char *says;
    } cases[] = {{40 * MINUTE_MS, DAY_MS, "thisUpdate is not now"},
                 {-10 * MINUTE_MS, DAY_MS, "thisUpdate is not now"},
                 {0, 401 * DAY_MS, "within 400 days"}};
    for (size_t i = 0; i < 3; i++) {
        struct terms terms = good_terms(1000);
        terms.age_ms = cases[i].age_ms;
        terms.lasts_ms = cases[i].lasts_ms;
        struct ipc_signed answer = ask_crl(*state, &terms);
        assert_refused(&answer, cases[i].says);
    }
}

/* A TBSCertList in this process, to be changed. */
static size_t read_tbs(struct work *w, uint8_t memory[TBS_MAX]) {
    struct terms terms = good_terms(1000);
    struct bytes tbs;
    int fd = make_crl(&w->rig->issuer, &terms);
    assert_int_equal(memfile_map(fd, TBS_MAX, &tbs), TM_OK);
    size_t n = tbs.n;
    memcpy(memory, tbs.p, n);
    memfile_unmap(tbs);
    assert_int_equal(close(fd), 0);
    return n;
}

static int sealed(struct bytes content) {
    int fd;
    assert_int_equal(memfile_new("test", &fd), TM_OK);
    assert_int_equal(memfile_write(fd, content), TM_OK);
    assert_int_equal(memfile_seal(fd), TM_OK);
    return fd;
}

static void assert_content_refused(struct work *w, struct bytes tbs, const char *says) {
    int fd = sealed(tbs);
    struct ipc_signed answer = ask(w, IPC_STATUS_CRL, (struct bytes){0}, fd);
    assert_refused(&answer, says);
    assert_int_equal(close(fd), 0);
}

static void a_crl_is_this_issuers_and_whole(void **state) {
    struct work *w = *state;
    uint8_t memory[TBS_MAX];
    size_t n = read_tbs(w, memory);
    struct bytes tbs = {memory, n};
    struct pki_crl crl;
    struct pki_crl_entry first, second;
    assert_int_equal(pki_crl_tbs_parse(tbs, &crl), TM_OK);
    struct bytes entries = crl.entries;
    assert_int_equal(pki_crl_next(&entries, &first), TM_OK);
    assert_int_equal(pki_crl_next(&entries, &second), TM_OK);
    const struct {
        size_t at;
        uint8_t change;
        const char *says;
    } cases[] = {{(size_t)(crl.issuer.p + crl.issuer.n - 1 - memory), 1, "name is another"},
                 {(size_t)(crl.key_id.p - memory), 1, "authorityKeyIdentifier"},
                 {(size_t)(crl.tbs_algorithm.p + crl.tbs_algorithm.n - 1 - memory), 1, "algorithm"},
                 {(size_t)(first.serial.p + first.serial.n - 1 - memory), 1, "do not rise"},
                 {(size_t)(second.serial.p - memory), 0x81, "malformed"},
                 {0, 1, "not a TBSCertList"},
                 {n - 1, 0, NULL}};
    for (size_t i = 0; cases[i].says; i++) {
        memory[cases[i].at] ^= cases[i].change;
        assert_content_refused(w, tbs, cases[i].says);
        memory[cases[i].at] ^= cases[i].change;
    }
    assert_content_refused(w, (struct bytes){memory, n - 1}, "not a TBSCertList");
    memory[n] = 0;
    assert_content_refused(w, (struct bytes){memory, n + 1}, "not a TBSCertList");
    uint8_t cert_memory[RIG_TBS_MAX];
    struct buf cert = BUF_ON(cert_memory);
    rig_put_ca_tbs(w->rig, &cert);
    assert_content_refused(w, buf_bytes(&cert), "not a TBSCertList");
}

static void only_a_sealed_memory_file_is_taken(void **state) {
    struct work *w = *state;
    static const char says[] = "no sealed memory file";
    uint8_t memory[TBS_MAX];
    struct bytes tbs = {memory, read_tbs(w, memory)};
    struct ipc_signed answer = ask(w, IPC_STATUS_CRL, (struct bytes){0}, -1);
    assert_refused(&answer, says);
    int fd;
    assert_int_equal(memfile_new("test", &fd), TM_OK);
    assert_int_equal(memfile_write(fd, tbs), TM_OK);
    const int seals[] = {0, F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
        answer = ask(w, IPC_STATUS_CRL, (struct bytes){0}, fd);
        assert_refused(&answer, says);
    }
    assert_int_equal(close(fd), 0);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/crl", w->rig->hsm.folder);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, tbs.p, tbs.n), tbs.n);
    answer = ask(w, IPC_STATUS_CRL, (struct bytes){0}, fd);
    assert_refused(&answer, says);
    assert_int_equal(close(fd), 0);
    fd = sealed((struct bytes){0});
    answer = ask(w, IPC_STATUS_CRL, (struct bytes){0}, fd);
    assert_refused(&answer, says);
    assert_int_equal(close(fd), 0);
    fd = sealed(tbs);
    answer = ask(w, IPC_STATUS_CRL, tbs, fd);
    assert_refused(&answer, "in a memory file alone");
    assert_int_equal(close(fd), 0);
}

static void a_million_entries_are_signed_in_time(void **state) {
    struct work *w = *state;
    struct terms terms = good_terms(50);
    terms.entries = 1000000;
    int fd = make_crl(&w->rig->issuer, &terms);
    const struct ipc_status_ticket ticket = {
        .id = ++w->id, .kind = IPC_STATUS_CRL, .issuer = "factory"};
    int64_t before = clock_mono_ms();
    send_with_fd(w->core, &ipc_status_ticket_schema, &ticket, fd);
    struct bytes message;
    while (ipc_receive(w->core, w->rig->in, sizeof w->rig->in, 1, &message) == TM_ETIMEOUT)
        hsm_signer_watch(w->signer);
    struct ipc_signed answer;
    assert_int_equal(codec_decode(&ipc_signed_schema, message, &answer), TM_OK);
    assert_int_equal(answer.status, IPC_SIGN_OK);
    print_message("a million entries: judged and signed in %lld ms\n",
                  (long long)(clock_mono_ms() - before));
    assert_int_equal(close(fd), 0);
}

/* ---- OCSP ---- */

struct answer {
    struct pki_ocsp_data data;
    uint8_t id_memory[256], memory[1024];
    struct buf out;
};

static struct pki_ocsp_cert_id id_for(const struct ca_issuer *issuer, struct buf *out) {
    const struct ca_serial serial = {.octets = {7}, .n = 1};
    struct pki_ocsp_cert_id id;
    assert_int_equal(ca_ocsp_cert_id(issuer, PKI_OID_SHA1, &serial, out), TM_OK);
    assert_int_equal(pki_ocsp_cert_id_parse(buf_bytes(out), &id), TM_OK);
    return id;
}

static void good_answer(const struct work *w, struct answer *a) {
    int64_t now = clock_wall_ms();
    struct buf id = BUF_ON(a->id_memory);
    a->data = (struct pki_ocsp_data){
        .key_hash = BYTES_OF(w->responder.key_hash), .produced_ms = now, .count = 1};
    a->data.singles[0] = (struct pki_ocsp_single){.id = id_for(&w->rig->issuer, &id),
                                                  .status = PKI_OCSP_REVOKED,
                                                  .revoked_ms = now - DAY_MS,
                                                  .reason = 1,
                                                  .this_update_ms = now,
                                                  .next_update_ms = now + DAY_MS};
}

static struct ipc_signed ask_ocsp(struct work *w, struct answer *a) {
    a->out = BUF_ON(a->memory);
    assert_int_equal(pki_ocsp_data_write(&a->data, &a->out), TM_OK);
    return ask(w, IPC_STATUS_OCSP, buf_bytes(&a->out), -1);
}

/* A core that was taken over wants to speak for the CA by a key of its own. */
static void no_other_key_gets_an_ocsp_certificate(void **state) {
    struct work *w = *state;
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    struct ipc_signed answer = ask_certificate(w, w->rig->issuer.view.spki.whole, &tbs);
    assert_int_equal(answer.status, IPC_SIGN_REFUSED);
    assert_string_equal(answer.text, "an OCSP certificate is for the token's OCSP key alone");
}

static void an_answer_is_signed_by_the_ocsp_key(void **state) {
    struct work *w = *state;
    struct answer a;
    uint8_t memory[4096];
    struct buf response = BUF_ON(memory);
    good_answer(w, &a);
    struct ipc_signed answer = ask_ocsp(w, &a);
    assert_int_equal(answer.status, IPC_SIGN_OK);
    assert_int_equal(ca_issuer_verify(&w->rig->issuer, buf_bytes(&a.out), answer.signature),
                     TM_ECRYPTO);
    assert_int_equal(
        ca_ocsp_response(&w->responder, buf_bytes(&a.out), answer.signature, &response), TM_OK);
    const unsigned char *p = memory, *cert_p = w->rig->issuer.der.p;
    OCSP_RESPONSE *theirs = d2i_OCSP_RESPONSE(NULL, &p, (long)response.n);
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(theirs);
    X509 *ca = d2i_X509(NULL, &cert_p, (long)w->rig->issuer.der.n);
    X509_STORE *store = X509_STORE_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN), 1);
    assert_int_equal(OCSP_basic_verify(basic, NULL, store, OCSP_PARTIAL_CHAIN), 1);
    X509_STORE_free(store);
    X509_free(ca);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(theirs);
}

static void each_rule_of_answers_holds(void **state) {
    struct work *w = *state;
    struct answer a;
    struct ipc_signed answer;
    uint8_t other[PKI_OCSP_KEY_HASH_SIZE];
    assert_int_equal(ca_ocsp_key_hash(&w->rig->issuer.view.spki, other), TM_OK);
    good_answer(w, &a);
    a.data.key_hash = BYTES_OF(other); /* the issuer's own key */
    answer = ask_ocsp(w, &a);
    assert_refused(&answer, "the responder is not the OCSP key");
    for (int sign = -1; sign <= 1; sign += 2) {
        good_answer(w, &a);
        a.data.produced_ms += sign * 6 * MINUTE_MS;
        answer = ask_ocsp(w, &a);
        assert_refused(&answer, "producedAt is not now");
    }
    good_answer(w, &a);
    a.data.singles[0].this_update_ms -= DAY_MS;
    answer = ask_ocsp(w, &a);
    assert_refused(&answer, "thisUpdate is not now");
    const int64_t lasts[] = {0, -1000, 401 * DAY_MS};
    for (size_t i = 0; i < 3; i++) {
        good_answer(w, &a);
        struct pki_ocsp_single *single = &a.data.singles[0];
        single->next_update_ms = lasts[i] ? single->this_update_ms + lasts[i] : 0;
        answer = ask_ocsp(w, &a);
        assert_refused(&answer, "nextUpdate");
    }
    good_answer(w, &a);
    struct buf id = BUF_ON(a.id_memory);
    struct ca_issuer foreign = w->rig->issuer;
    foreign.view.subject = w->rig->issuer.view.issuer;
    a.data.singles[1] = a.data.singles[0];
    a.data.singles[1].id = id_for(&foreign, &id);
    a.data.singles[0].id = a.data.singles[1].id;
    answer = ask_ocsp(w, &a);
    assert_refused(&answer, "another issuer's certificate");
    answer = ask(w, IPC_STATUS_OCSP, (struct bytes){0}, -1);
    assert_refused(&answer, "not a ResponseData");
    uint8_t tbs[RIG_TBS_MAX];
    struct buf cert = BUF_ON(tbs);
    rig_put_ca_tbs(w->rig, &cert);
    answer = ask(w, IPC_STATUS_OCSP, buf_bytes(&cert), -1);
    assert_refused(&answer, "not a ResponseData");
}

/* ---- filters ---- */

static struct pki_filter_header good_header(const struct work *w, uint64_t number) {
    int64_t now = clock_wall_ms();
    return (struct pki_filter_header){.key_id = w->rig->issuer.key_id,
                                      .number = number,
                                      .made_ms = now,
                                      .next_ms = now + DAY_MS,
                                      .until_ms = (uint64_t)(now - MINUTE_MS)};
}

static struct ipc_signed ask_filter(struct work *w, const struct pki_filter_header *header,
                                    struct buf *out) {
    assert_int_equal(pki_filter_header_write(header, out), TM_OK);
    return ask(w, IPC_STATUS_FILTER, buf_bytes(out), -1);
}

static void a_filter_is_signed_by_the_issuers_key(void **state) {
    struct work *w = *state;
    uint8_t memory[PKI_FILTER_HEADER_MAX];
    struct buf out = BUF_ON(memory);
    struct pki_filter_header header = good_header(w, 7);
    struct ipc_signed answer = ask_filter(w, &header, &out);
    if (answer.status != IPC_SIGN_OK)
        fail_msg("%s", answer.text);
    assert_int_equal(ca_issuer_verify(&w->rig->issuer, buf_bytes(&out), answer.signature), TM_OK);
}

static void each_rule_of_filters_holds(void **state) {
    struct work *w = *state;
    static const char *const says[] = {"not above the last", "another issuer's", "made now",
                                       "400 days", "do not exist yet"};
    static const uint8_t key_id[20] = {1};
    for (size_t i = 0; i < 5; i++) {
        uint8_t memory[PKI_FILTER_HEADER_MAX];
        struct buf out = BUF_ON(memory);
        struct pki_filter_header header = good_header(w, i == 0 ? 7 : 1000);
        if (i == 1)
            header.key_id = BYTES_OF(key_id);
        if (i == 2) {
            header.made_ms -= DAY_MS;
            header.until_ms = 1;
        }
        if (i == 3)
            header.next_ms = header.made_ms + 401 * DAY_MS;
        if (i == 4)
            header.until_ms = (uint64_t)header.made_ms + 1;
        struct ipc_signed answer = ask_filter(w, &header, &out);
        assert_refused(&answer, says[i]);
    }
    uint8_t tbs[TBS_MAX];
    size_t n = read_tbs(w, tbs);
    struct ipc_signed answer = ask(w, IPC_STATUS_FILTER, (struct bytes){tbs, n}, -1);
    assert_refused(&answer, "not a revocation filter's header");
}

/* ---- the signer itself ---- */

static void tickets_name_an_issuer_that_is_there(void **state) {
    struct work *w = *state;
    const struct ipc_status_ticket ticket = {
        .id = ++w->id, .kind = IPC_STATUS_OCSP, .issuer = "elsewhere"};
    send_with_fd(w->core, &ipc_status_ticket_schema, &ticket, -1);
    struct ipc_signed answer = rig_receive(w->rig, w->core);
    assert_refused(&answer, "no issuer elsewhere");
}

static void relink(struct work *w) {
    hsm_signer_close(w->signer);
    (void)close(w->core);
    w->id = 0;
    link_signer(w);
}

static void a_descriptor_that_nobody_asked_for_ends_the_link(void **state) {
    struct work *w = *state;
    uint8_t tbs_memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(tbs_memory);
    struct bytes message;
    rig_build(w->rig, &tbs);
    struct ipc_ticket ticket = rig_ticket(w->rig, ++w->id, buf_bytes(&tbs));
    send_with_fd(w->core, &ipc_ticket_schema, &ticket, STDERR_FILENO);
    assert_int_equal(ipc_receive(w->core, w->rig->in, sizeof w->rig->in, 20000, &message),
                     TM_ECLOSED);
    relink(w);
}

static void ceilings_count_these_too(void **state) {
    struct work *w = *state;
    struct answer a;
    w->rig->config.max_total = 2;
    relink(w);
    struct terms terms = good_terms(1);
    assert_signs_crl(w, &terms);
    good_answer(w, &a);
    assert_int_equal(ask_ocsp(w, &a).status, IPC_SIGN_OK);
    assert_int_equal(ask_ocsp(w, &a).status, IPC_SIGN_CEILING);
    terms.number = 2;
    assert_int_equal(ask_crl(w, &terms).status, IPC_SIGN_CEILING);
    w->rig->config.max_total = 0;
    relink(w);
}

static void assert_does_not_open(struct work *w, const char *label, enum tm_err wanted,
                                 const char *says) {
    struct hsm_signer *signer = NULL;
    char text[HSM_TEXT_MAX] = "";
    w->rig->entry.ocsp_key_label = label;
    assert_int_equal(hsm_signer_open(&w->rig->config, SOFTHSM_PIN, &signer, text), wanted);
    assert_null(signer);
    if (!strstr(text, says))
        fail_msg("\"%s\" is not in: %s", says, text);
}

static void the_ocsp_key_is_no_issuers(void **state) {
    struct work *w = *state;
    hsm_signer_close(w->signer);
    (void)close(w->core);
    assert_does_not_open(w, "factory-key", TM_EDENIED, "a CA's own key");
    assert_does_not_open(w, "no-key", TM_ENOTFOUND, "issuer factory");
    struct answer a;
    good_answer(w, &a);
    w->rig->entry.ocsp_key_label = NULL;
    w->signer = rig_signer(w->rig);
    w->core = rig_link(w->rig, w->signer); /* which expects one key */
    w->id = 0;
    struct ipc_signed answer = ask_ocsp(w, &a);
    assert_refused(&answer, "no OCSP key");
    w->rig->entry.ocsp_key_label = "factory-ocsp";
    relink(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crl_is_signed_by_the_issuers_key),
        cmocka_unit_test(numbers_rise_per_shard),
        cmocka_unit_test(there_are_as_many_shards_as_configured),
        cmocka_unit_test(times_of_a_crl_are_bounded),
        cmocka_unit_test(a_crl_is_this_issuers_and_whole),
        cmocka_unit_test(only_a_sealed_memory_file_is_taken),
        cmocka_unit_test(a_million_entries_are_signed_in_time),
        cmocka_unit_test(no_other_key_gets_an_ocsp_certificate),
        cmocka_unit_test(an_answer_is_signed_by_the_ocsp_key),
        cmocka_unit_test(each_rule_of_answers_holds),
        cmocka_unit_test(tickets_name_an_issuer_that_is_there),
        cmocka_unit_test(a_descriptor_that_nobody_asked_for_ends_the_link),
        cmocka_unit_test(a_filter_is_signed_by_the_issuers_key),
        cmocka_unit_test(each_rule_of_filters_holds),
        cmocka_unit_test(ceilings_count_these_too),
        cmocka_unit_test(the_ocsp_key_is_no_issuers),
    };
    return cmocka_run_group_tests(tests, work_open, work_close);
}
