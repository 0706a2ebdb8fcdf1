/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any octets as a certification request, through every check that the core makes of one: each
 * refuses with an outcome and a printable sentence, or passes.
 */
#include <stdlib.h>
#include <string.h>

#include "ca/csr_check.h"

static const char yaml[] =
    "kind: ldevid\nkeys: [p256, p384, ed25519, rsa2048]\n"
    "subject: [{type: CN, value: \"{id}\"}]\nsan_from_request: true\n"
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 365d\n"
    "credentials: [secret]\nstates: [registered]\nlink: required\n";

static struct ca_profile profile;
static struct ca_checker *checker;

static void prepare(void) {
    char error[CONF_ERROR_MAX];
    if (ca_profile_load_text(yaml, sizeof yaml - 1, "f.yaml", &profile, error) ||
        ca_checker_new(&checker))
        abort();
}

static void judge(bool passed, const struct ca_refusal *refusal) {
    if (passed)
        return;
    if (!refusal->outcome || !refusal->text[0])
        abort();
    for (const char *p = refusal->text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t exporter[32] = {1};
    struct pki_csr csr;
    struct ca_refusal refusal = {0};
    if (!checker)
        prepare();
    if (pki_csr_parse((struct bytes){data, size}, &csr))
        return 0;
    bool good_key = ca_check_key(&csr, &profile, &refusal);
    judge(good_key, &refusal);
    judge(ca_check_link(&csr, &profile, BYTES_OF(exporter), (struct bytes){0}, false, &refusal),
          &refusal);
    judge(ca_check_extensions(&csr, &profile, (struct bytes){0}, &refusal), &refusal);
    if (good_key)
        judge(ca_check_pop(checker, &csr, &refusal), &refusal);
    return 0;
}
