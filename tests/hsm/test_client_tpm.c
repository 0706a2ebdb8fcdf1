/* SPDX-License-Identifier: Apache-2.0 */
/* A device's keys in a software TPM: their life, resets, clearing, other TPMs, provisioned parents.
 */
#include "keys_rig.h"
#include "swtpm.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "base/auto.h"
#include "client/port/tpm.h"
#include "client/port/tpm_key.h"

/* tss2's own TPM2_TRANSIENT_FIRST shifts into the sign of an int. */
#define TRANSIENT_FIRST ((TPM2_HANDLE)TPM2_HT_TRANSIENT << TPM2_HR_SHIFT)

#define STORAGE_ROOT_KEY 0x81000001u

typedef struct tm_tpm tm_tpm;
AUTO_DEFINE(tm_tpm, tm_tpm_close)

struct fixture {
    struct swtpm tpm;
    char keys[96]; /* folder of the wrapped keys */
    struct tm_tpm_config config;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    swtpm_setup(&f->tpm);
    (void)snprintf(f->keys, sizeof f->keys, "%s/keys", f->tpm.folder);
    f->config = (struct tm_tpm_config){f->tpm.tcti, f->keys};
    *state = f;
    swtpm_start(&f->tpm);
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    swtpm_teardown(&f->tpm);
    free(f);
    return 0;
}

static struct tm_tpm *open_tpm(const struct fixture *f) {
    struct tm_tpm *tpm = NULL;
    assert_int_equal(tm_tpm_open(&f->config, &tpm), TM_OK);
    return tpm;
}

static enum tm_err try_to_sign(const struct tm_keys *keys, unsigned bank) {
    uint8_t memory[TM_SIGNATURE_MAX], digest[TM_SHA256_SIZE] = {0};
    struct buf out = BUF_ON(memory);
    enum tm_err err = keys->sign(keys->self, bank, digest, &out);
    assert_int_equal(out.n > 0, err == TM_OK);
    return err;
}

static struct tm_tpm_key read_key(const struct fixture *f, unsigned bank) {
    char path[128];
    uint8_t file[TM_TPM_KEY_MAX];
    struct tm_tpm_key key;
    (void)snprintf(path, sizeof path, "%s/tpm-key-%u", f->keys, bank);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t n = fread(file, 1, sizeof file, in);
    (void)fclose(in);
    assert_int_equal(tm_tpm_key_decode((struct bytes){file, n}, &key), TM_OK);
    return key;
}

/* ---- the TPM beside the store ---- */

struct raw {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
};

static struct raw raw_open(const struct fixture *f) {
    struct raw raw = {0};
    assert_int_equal(Tss2_TctiLdr_Initialize(f->tpm.tcti, &raw.tcti), 0);
    assert_int_equal(Esys_Initialize(&raw.esys, raw.tcti, NULL), 0);
    return raw;
}

static void raw_close(struct raw *raw) {
    Esys_Finalize(&raw->esys);
    Tss2_TctiLdr_Finalize(&raw->tcti);
}

static unsigned raw_count(const struct raw *raw, TPM2_HANDLE first) {
    TPMI_YES_NO more;
    TPMS_CAPABILITY_DATA *data = NULL;
    assert_int_equal(Esys_GetCapability(raw->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                        TPM2_CAP_HANDLES, first, 64, &more, &data),
                     0);
    unsigned n = data->data.handles.count;
    Esys_Free(data);
    return n;
}

/* A storage root key that no primary key of ours is like: RSA. */
static void raw_provision(const struct raw *raw) {
    static const TPM2B_PUBLIC template = {
        .publicArea = {
            .type = TPM2_ALG_RSA,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
            .parameters.rsaDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                                   .keyBits.aes = 128,
                                                   .mode.aes = TPM2_ALG_CFB},
                                     .scheme.scheme = TPM2_ALG_NULL,
                                     .keyBits = 2048},
        }};
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    ESYS_TR primary, persistent;
    assert_int_equal(Esys_CreatePrimary(raw->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                        ESYS_TR_NONE, &sensitive, &template, &outside, &no_pcrs,
                                        &primary, NULL, NULL, NULL, NULL),
                     0);
    assert_int_equal(Esys_EvictControl(raw->esys, ESYS_TR_RH_OWNER, primary, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, STORAGE_ROOT_KEY, &persistent),
                     0);
    assert_int_equal(Esys_FlushContext(raw->esys, primary), 0);
}

static void raw_evict(const struct raw *raw) {
    ESYS_TR object, gone;
    assert_int_equal(Esys_TR_FromTPMPublic(raw->esys, STORAGE_ROOT_KEY, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, &object),
                     0);
    assert_int_equal(Esys_EvictControl(raw->esys, ESYS_TR_RH_OWNER, object, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, STORAGE_ROOT_KEY, &gone),
                     0);
}

/* ---- life ---- */

static void keys_live_in_banks(void **state) {
    AUTO(tm_tpm) tpm = open_tpm(*state);
    banks_live(tm_tpm_keys(tpm));
    generate_in(tm_tpm_keys(tpm), 0);
    bounds_hold(tm_tpm_keys(tpm));
}

static void clients_authenticate(void **state) {
    AUTO(tm_tpm) tpm = open_tpm(*state);
    const struct tm_keys *keys = tm_tpm_keys(tpm);
    generate_in(keys, 1);
    authenticates_in_tls(keys, 1, TLS1_3_VERSION);
    authenticates_in_tls(keys, 1, TLS1_2_VERSION);
}

static void nothing_stays_loaded(void **state) {
    struct fixture *f = *state;
    AUTO(tm_tpm) tpm = open_tpm(f);
    for (unsigned i = 0; i < 4; i++) { /* the TPM has room for three objects and three sessions */
        generate_in(tm_tpm_keys(tpm), i);
        assert_signs(tm_tpm_keys(tpm), i);
    }
    struct raw raw = raw_open(f);
    assert_int_equal(raw_count(&raw, TRANSIENT_FIRST), 0);
    assert_int_equal(raw_count(&raw, TPM2_LOADED_SESSION_FIRST), 0);
    raw_close(&raw);
}

static void keys_outlive_a_power_cut(void **state) {
    struct fixture *f = *state;
    struct tm_tpm *tpm = open_tpm(f);
    generate_in(tm_tpm_keys(tpm), 1);
    struct public_key made = public_key_of(tm_tpm_keys(tpm), 1);
    tm_tpm_close(tpm);
    swtpm_stop(&f->tpm);
    swtpm_start(&f->tpm);
    tpm = open_tpm(f);
    struct public_key now = public_key_of(tm_tpm_keys(tpm), 1);
    assert_true(same_key(&now, &made));
    assert_signs(tm_tpm_keys(tpm), 1);
    tm_tpm_close(tpm);
}

/* The TPM goes away and is reset under an open store, as by a suspend. */
static void a_reset_does_no_harm(void **state) {
    struct fixture *f = *state;
    AUTO(tm_tpm) tpm = open_tpm(f);
    generate_in(tm_tpm_keys(tpm), 1);
    swtpm_stop(&f->tpm);
    assert_int_equal(try_to_sign(tm_tpm_keys(tpm), 1), TM_ETOKEN);
    assert_int_equal(tm_tpm_keys(tpm)->generate(tm_tpm_keys(tpm)->self, 1), TM_ETOKEN);
    swtpm_start(&f->tpm);
    assert_signs(tm_tpm_keys(tpm), 1);
    swtpm_stop(&f->tpm);
    swtpm_start(&f->tpm);
    assert_int_equal(try_to_sign(tm_tpm_keys(tpm), 1), TM_ETOKEN); /* it was not started */
    assert_signs(tm_tpm_keys(tpm), 1);
}

static void the_private_part_is_wrapped(void **state) {
    struct fixture *f = *state;
    AUTO(tm_tpm) tpm = open_tpm(f);
    generate_in(tm_tpm_keys(tpm), 1);
    struct tm_tpm_key key = read_key(f, 1);
    TPMA_OBJECT wanted = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                         TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_NODA |
                         TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT;
    assert_int_equal(key.public.publicArea.objectAttributes, wanted);
    assert_int_equal(key.parent, TPM2_RH_OWNER);
}

static bool file_holds(const char *path, struct bytes wanted) {
    static uint8_t octets[256 * 1024];
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t n = fread(octets, 1, sizeof octets, in);
    (void)fclose(in);
    assert_true(n > 0 && n < sizeof octets);
    return memmem(octets, n, wanted.p, wanted.n) != NULL;
}

/* The TSS itself writes down what goes over the bus. */
static void a_listener_sees_no_digest(void **state) {
    struct fixture *f = *state;
    char trace[128], tcti[160];
    (void)snprintf(trace, sizeof trace, "%s/trace", f->tpm.folder);
    (void)snprintf(tcti, sizeof tcti, "pcap:%s", f->tpm.tcti);
    assert_int_equal(setenv("TCTI_PCAP_FILE", trace, 1), 0);
    f->config.tcti = tcti;
    struct tm_tpm *tpm = open_tpm(f);
    const struct tm_keys *keys = tm_tpm_keys(tpm);
    generate_in(keys, 1);
    uint8_t memory[TM_SIGNATURE_MAX], digest[TM_SHA256_SIZE];
    struct buf out = BUF_ON(memory);
    assert_int_equal(RAND_bytes(digest, sizeof digest), 1);
    assert_int_equal(keys->sign(keys->self, 1, digest, &out), TM_OK);
    tm_tpm_close(tpm);
    struct tm_tpm_key key = read_key(f, 1);
    const TPM2B_ECC_PARAMETER *x = &key.public.publicArea.unique.ecc.x;
    assert_true(file_holds(trace, (struct bytes){x->buffer, x->size})); /* of TPM2_Load */
    assert_false(file_holds(trace, BYTES_OF(digest)));
    assert_false(file_holds(trace, (struct bytes){key.private.buffer, key.private.size}));
}

/* ---- other programs' keys ---- */

static int run_openssl(const char *const *argv) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)execvp("openssl", (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void tpm2_openssl_uses_our_keys(void **state) {
    struct fixture *f = *state;
    AUTO(tm_tpm) tpm = open_tpm(f);
    generate_in(tm_tpm_keys(tpm), 1);
    char key[128], data[128], to[128];
    (void)snprintf(key, sizeof key, "%s/tpm-key-1", f->keys);
    (void)snprintf(data, sizeof data, "%s/data", f->tpm.folder);
    (void)snprintf(to, sizeof to, "%s/signature", f->tpm.folder);
    uint8_t digest[TM_SHA256_SIZE + 1], signature[TM_SIGNATURE_MAX];
    memset(digest, 'd', TM_SHA256_SIZE);
    digest[TM_SHA256_SIZE] = 0;
    write_text(data, (const char *)digest);
    assert_int_equal(setenv("TPM2OPENSSL_TCTI", f->tpm.tcti, 1), 0);
    const char *const sign[] = {"openssl",       "pkeyutl", "-provider",  "tpm2",
                                "-provider",     "default", "-propquery", "?provider=tpm2",
                                "-sign",         "-inkey",  key,          "-keyform",
                                "DER",           "-in",     data,         "-pkeyopt",
                                "digest:sha256", "-out",    to,           NULL};
    assert_int_equal(run_openssl(sign), 0);
    FILE *in = fopen(to, "r");
    assert_non_null(in);
    size_t n = fread(signature, 1, sizeof signature, in);
    (void)fclose(in);
    struct public_key ours = public_key_of(tm_tpm_keys(tpm), 1);
    assert_true(verifies(&ours, digest, (struct bytes){signature, n}));
}

static void we_use_keys_of_tpm2_openssl(void **state) {
    struct fixture *f = *state;
    AUTO(tm_tpm) tpm = open_tpm(f);
    char key[128];
    (void)snprintf(key, sizeof key, "%s/tpm-key-0", f->keys);
    assert_int_equal(setenv("TPM2OPENSSL_TCTI", f->tpm.tcti, 1), 0);
    const char *const make[] = {"openssl", "genpkey",  "-provider",   "tpm2",     "-algorithm",
                                "EC",      "-pkeyopt", "group:P-256", "-outform", "DER",
                                "-out",    key,        NULL};
    assert_int_equal(run_openssl(make), 0);
    assert_signs(tm_tpm_keys(tpm), 0);
}

/* ---- keys that this TPM cannot use ---- */

static void a_cleared_tpm_has_no_keys(void **state) {
    struct fixture *f = *state;
    AUTO(tm_tpm) tpm = open_tpm(f);
    const struct tm_keys *keys = tm_tpm_keys(tpm);
    generate_in(keys, 1);
    struct raw raw = raw_open(f);
    assert_int_equal(
        Esys_Clear(raw.esys, ESYS_TR_RH_LOCKOUT, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE), 0);
    raw_close(&raw);
    assert_int_equal(try_to_sign(keys, 1), TM_ENOTFOUND);
    generate_in(keys, 1);
    assert_signs(keys, 1);
}

static void another_tpm_cannot_use_them(void **state) {
    struct fixture *f = *state;
    struct tm_tpm *tpm = open_tpm(f);
    generate_in(tm_tpm_keys(tpm), 1);
    tm_tpm_close(tpm);
    struct swtpm other;
    swtpm_setup(&other);
    swtpm_start(&other);
    f->config.tcti = other.tcti;
    tpm = open_tpm(f);
    assert_int_equal(try_to_sign(tm_tpm_keys(tpm), 1), TM_ENOTFOUND);
    tm_tpm_close(tpm);
    swtpm_teardown(&other);
}

static void a_damaged_file_is_seen(void **state) {
    struct fixture *f = *state;
    AUTO(tm_tpm) tpm = open_tpm(f);
    const struct tm_keys *keys = tm_tpm_keys(tpm);
    generate_in(keys, 1);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/tpm-key-1", f->keys);
    write_text(path, "garbage");
    uint8_t memory[TM_SPKI_MAX];
    struct buf out = BUF_ON(memory);
    assert_int_equal(keys->public_key(keys->self, 1, &out), TM_ECORRUPT);
    assert_int_equal(out.n, 0);
    assert_int_equal(try_to_sign(keys, 1), TM_ECORRUPT);
    generate_in(keys, 1);
    assert_signs(keys, 1);
}

/* ---- parents ---- */

static void a_provisioned_root_is_the_parent(void **state) {
    struct fixture *f = *state;
    AUTO(tm_tpm) tpm = open_tpm(f);
    const struct tm_keys *keys = tm_tpm_keys(tpm);
    generate_in(keys, 0); /* before it was provisioned */
    struct raw raw = raw_open(f);
    raw_provision(&raw);
    generate_in(keys, 1);
    assert_int_equal(read_key(f, 0).parent, TPM2_RH_OWNER);
    assert_int_equal(read_key(f, 1).parent, STORAGE_ROOT_KEY);
    assert_signs(keys, 0);
    assert_signs(keys, 1);
    assert_int_equal(raw_count(&raw, TRANSIENT_FIRST), 0);
    raw_evict(&raw);
    assert_signs(keys, 0);
    assert_int_equal(try_to_sign(keys, 1), TM_ENOTFOUND);
    raw_close(&raw);
}

/* ---- open ---- */

static void open_says_what_is_wrong(void **state) {
    struct fixture *f = *state;
    struct tm_tpm *tpm = NULL;
    struct tm_tpm_config config = {"swtpm:path=/nonexistent/socket", f->keys};
    assert_int_equal(tm_tpm_open(&config, &tpm), TM_ETOKEN);
    config.tcti = "no-such-tcti:";
    assert_int_equal(tm_tpm_open(&config, &tpm), TM_ETOKEN);
    config = (struct tm_tpm_config){f->tpm.tcti, "/nonexistent/folder"};
    assert_int_equal(tm_tpm_open(&config, &tpm), TM_EIO);
    assert_int_equal(chmod(f->keys, 0777), 0);
    config.folder = f->keys;
    assert_int_equal(tm_tpm_open(&config, &tpm), TM_EDENIED);
    assert_null(tpm);
    assert_int_equal(chmod(f->keys, 0700), 0);
    assert_int_equal(tm_tpm_open(&config, &tpm), TM_OK);
    tm_tpm_close(tpm);
    tm_tpm_close(NULL);
}

int main(void) {
    (void)alarm(840);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_live_in_banks, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_authenticate, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_stays_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_outlive_a_power_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_does_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(the_private_part_is_wrapped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_listener_sees_no_digest, setup, teardown),
        cmocka_unit_test_setup_teardown(tpm2_openssl_uses_our_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(we_use_keys_of_tpm2_openssl, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cleared_tpm_has_no_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(another_tpm_cannot_use_them, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_provisioned_root_is_the_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(open_says_what_is_wrong, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
