/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of the key ceremony: a fixture with a SoftHSM and PIN files, plans, running
 * them, and a keystore that ends the process after so many calls.
 */
#ifndef TOUCHMARK_TESTS_HSM_CEREMONY_RIG_H
#define TOUCHMARK_TESTS_HSM_CEREMONY_RIG_H

#include "softhsm.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/auto.h"
#include "ca/ceremony.h"
#include "pkcs11/keystore.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(X509_STORE, X509_STORE_free)
AUTO_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)

struct fixture {
    struct softhsm hsm;
    char file[128];
    char error[CONF_ERROR_MAX];
};

__attribute__((unused)) static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    char pin[128], so_pin[128];
    assert_non_null(f);
    softhsm_setup(&f->hsm);
    (void)snprintf(f->file, sizeof f->file, "%s/ceremony.yaml", f->hsm.folder);
    (void)snprintf(pin, sizeof pin, "%s/pin", f->hsm.folder);
    (void)snprintf(so_pin, sizeof so_pin, "%s/so-pin", f->hsm.folder);
    write_text(pin, SOFTHSM_PIN "\n");
    write_text(so_pin, SOFTHSM_SO_PIN "\n");
    assert_int_equal(chmod(pin, 0600), 0);
    assert_int_equal(chmod(so_pin, 0600), 0);
    *state = f;
    return 0;
}

__attribute__((unused)) static int teardown(void **state) {
    struct fixture *f = *state;
    softhsm_teardown(&f->hsm);
    free(f);
    return 0;
}

/* ---- files ---- */

__attribute__((unused)) static const char tokens_yaml[] =
    "tokens:\n"
    "  - {name: vault, module: " SOFTHSM_MODULE
    ", label: acme-root, init: true, pin: pin, so_pin: so-pin}\n"
    "  - {name: works, module: " SOFTHSM_MODULE
    ", label: acme-works, init: true, pin: pin, so_pin: so-pin}\n";
__attribute__((unused)) static const char root_yaml[] =
    "root:\n"
    "  name: root\n"
    "  token: vault\n"
    "  key_label: root-key\n"
    "  key_type: p384\n"
    "  subject: [{type: O, value: Acme}, {type: CN, value: Acme Root}]\n"
    "  years: 30\n";
__attribute__((unused)) static void path_of(const struct fixture *f, const char *name,
                                            char ret[160]) {
    (void)snprintf(ret, 160, "%s/%s", f->hsm.folder, name);
}

__attribute__((unused)) static void write_plan(const struct fixture *f, const char *head,
                                               const char *tokens, const char *root,
                                               const char *intermediates) {
    FILE *out = fopen(f->file, "w");
    assert_non_null(out);
    assert_true(fprintf(out, "%stranscript: transcript.yaml\nout: ca\n%s%s%s", head, tokens, root,
                        intermediates) > 0);
    assert_int_equal(fclose(out), 0);
}

__attribute__((unused)) static char *read_text(const struct fixture *f, const char *name) {
    char path[160], error[CONF_ERROR_MAX];
    char *text = NULL;
    size_t n = 0;
    path_of(f, name, path);
    if (conf_read_file(path, &text, &n, error))
        fail_msg("%s", error);
    char *whole = realloc(text, n + 1);
    assert_non_null(whole);
    whole[n] = '\0';
    return whole;
}

static X509 *read_pem(const struct fixture *f, const char *name) {
    char path[160];
    path_of(f, name, path);
    AUTO(BIO) in = BIO_new_file(path, "r");
    assert_non_null(in);
    X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
    assert_non_null(certificate);
    return certificate;
}

__attribute__((unused)) static bool exists(const struct fixture *f, const char *name) {
    char path[160];
    path_of(f, name, path);
    return access(path, F_OK) == 0;
}

/* ---- running ---- */

__attribute__((unused)) static void no_step(void *arg, const char *line) {
    (void)arg;
    (void)line;
}

static const struct ca_ceremony_host quiet = {
    .host = "vault \"1\"", .user = "officer", .program = "test", .input = "in", .step = no_step};

__attribute__((unused)) static enum tm_err run_on(struct fixture *f, struct ca_keystore *keystore,
                                                  const struct ca_ceremony_host *host) {
    struct ca_ceremony plan;
    f->error[0] = '\0';
    enum tm_err err = ca_ceremony_load(f->file, &plan, f->error);
    if (err)
        return err;
    err = ca_ceremony_run(&plan, keystore, host, f->error);
    ca_ceremony_free(&plan);
    return err;
}

__attribute__((unused)) static enum tm_err run(struct fixture *f) {
    struct ca_keystore *keystore = NULL;
    assert_int_equal(setenv("SOFTHSM2_CONF", f->hsm.conf, 1), 0);
    assert_int_equal(hsm_keystore_new(&keystore), TM_OK);
    enum tm_err err = run_on(f, keystore, &quiet);
    hsm_keystore_free(keystore);
    return err;
}

#define expect(f, call, wanted, part)                                                              \
    do {                                                                                           \
        assert_int_equal((call), (wanted));                                                        \
        if (!strstr((f)->error, (part)))                                                           \
            fail_msg("\"%s\" is not in: %s", (part), (f)->error);                                  \
    } while (0)

__attribute__((unused)) static void done(struct fixture *f) {
    if (run(f) != TM_OK)
        fail_msg("%s", f->error);
}

__attribute__((unused)) static void check_path(X509 *certificate, X509 *root) {
    AUTO(X509_STORE) store = X509_STORE_new();
    AUTO(X509_STORE_CTX) ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, certificate, NULL), 1);
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    if (X509_verify_cert(ctx) != 1)
        fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
}

__attribute__((unused)) static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        count++;
    return count;
}

/* ---- interruptions ---- */

/* A keystore and a listener that end the process after so many calls, as SIGKILL would. */
struct fuse {
    struct ca_keystore base;
    struct ca_keystore *real;
    int left;
};

__attribute__((unused)) static void burn(struct fuse *fuse) {
    if (--fuse->left == 0)
        _exit(99);
}
__attribute__((unused)) static struct fuse *fuse_of(struct ca_keystore *keystore) {
    return (struct fuse *)keystore;
}
__attribute__((unused)) static void burn_step(void *arg, const char *line) {
    (void)line;
    burn(arg);
}
__attribute__((unused)) static enum tm_err
fuse_prepare(struct ca_keystore *k, const struct ca_ceremony_token *t, char *s) {
    return fuse_of(k)->real->ops->prepare(fuse_of(k)->real, t, s);
}
__attribute__((unused)) static enum tm_err
fuse_look(struct ca_keystore *k, const struct ca_ceremony_token *t, bool *a, bool *b, char *s) {
    return fuse_of(k)->real->ops->look(fuse_of(k)->real, t, a, b, s);
}
__attribute__((unused)) static enum tm_err fuse_init(struct ca_keystore *k,
                                                     const struct ca_ceremony_token *t, char *s) {
    enum tm_err err = fuse_of(k)->real->ops->init(fuse_of(k)->real, t, s);
    burn(fuse_of(k));
    return err;
}
__attribute__((unused)) static enum tm_err fuse_open(struct ca_keystore *k,
                                                     const struct ca_ceremony_token *t,
                                                     struct ca_keystore_info *info, char *s) {
    return fuse_of(k)->real->ops->open(fuse_of(k)->real, t, info, s);
}
__attribute__((unused)) static void fuse_close(struct ca_keystore *k) {
    fuse_of(k)->real->ops->close(fuse_of(k)->real);
}
__attribute__((unused)) static enum tm_err fuse_label(struct ca_keystore *k, const char *label,
                                                      bool *used, char *s) {
    return fuse_of(k)->real->ops->label_used(fuse_of(k)->real, label, used, s);
}
__attribute__((unused)) static enum tm_err
fuse_generate(struct ca_keystore *k, enum ca_ceremony_key type, const char *l, char *s) {
    enum tm_err err = fuse_of(k)->real->ops->generate(fuse_of(k)->real, type, l, s);
    burn(fuse_of(k));
    return err;
}
__attribute__((unused)) static enum tm_err fuse_torn(struct ca_keystore *k, const char *label,
                                                     bool *torn, char *s) {
    return fuse_of(k)->real->ops->torn(fuse_of(k)->real, label, torn, s);
}
__attribute__((unused)) static enum tm_err fuse_remove(struct ca_keystore *k, const char *label,
                                                       char *s) {
    enum tm_err err = fuse_of(k)->real->ops->remove_torn(fuse_of(k)->real, label, s);
    burn(fuse_of(k));
    return err;
}
__attribute__((unused)) static enum tm_err fuse_find(struct ca_keystore *k, const char *label,
                                                     struct ca_keystore_key *key, char *s) {
    return fuse_of(k)->real->ops->find(fuse_of(k)->real, label, key, s);
}
__attribute__((unused)) static enum tm_err fuse_sign(struct ca_keystore *k, const char *label,
                                                     struct bytes tbs, struct buf *out, char *s) {
    enum tm_err err = fuse_of(k)->real->ops->sign(fuse_of(k)->real, label, tbs, out, s);
    burn(fuse_of(k));
    return err;
}
static const struct ca_keystore_ops fuse_ops = {fuse_prepare, fuse_look,  fuse_init,     fuse_open,
                                                fuse_close,   fuse_label, fuse_generate, fuse_torn,
                                                fuse_remove,  fuse_find,  fuse_sign};

__attribute__((unused)) static int run_with_fuse(struct fixture *f, int left) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fuse fuse = {{&fuse_ops}, NULL, left};
        struct ca_ceremony_host host = quiet;
        host.step = burn_step;
        host.arg = &fuse;
        if (hsm_keystore_new(&fuse.real))
            _exit(98);
        enum tm_err err = run_on(f, &fuse.base, &host);
        if (err)
            fprintf(stderr, "%s\n", f->error);
        _exit(err ? 97 : 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#endif
