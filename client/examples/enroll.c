/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolls a device once and renews its certificate for ever:
 *     enroll FOLDER URL DEVICE-ID IDEVID-LABEL LDEVID-LABEL ROOT.der < one-time-secret */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/port/curl.h"
#include "client/port/files.h"
#include "client/port/openssl.h"
#include "client/port/run.h"

static uint8_t work[TM_WORK_SIZE], anchors[TM_ANCHORS_MAX];

/* In the factory: the secret for the first enrollment, and the root that the server leads to. */
static enum tm_err provision(const struct tm_config *config, const struct tm_keys *keys,
                             const struct tm_storage *storage, const char *root) {
    char secret[TM_DEVICE_ID_MAX + 1 + 64];
    size_t n = (size_t)snprintf(secret, sizeof secret, "%s", config->device_id) + 1;
    if (scanf("%63s", secret + n) != 1)
        return TM_EINVAL;
    struct bytes credential = {(const uint8_t *)secret, n + strlen(secret + n)};
    enum tm_err err = storage->write(storage->self, TM_ITEM_BOOTSTRAP, credential);
    bytes_wipe(secret, sizeof secret);
    if (err || !freopen(root, "rb", stdin))
        return err ? err : TM_EIO;
    n = fread(anchors, 1, sizeof anchors, stdin);
    return tm_device_provision(config, keys, storage, tm_openssl_crypto(), work, sizeof work,
                               (struct bytes){anchors, n}, (struct bytes){NULL, 0});
}

int main(int argc, char **argv) {
    static struct tm_device device;
    struct tm_files *files;
    struct tm_key_files *own;
    struct tm_curl *curl;
    struct tm_step step;
    if (argc != 7 || tm_files_open(argv[1], &files) || tm_key_files_open(argv[1], &own))
        return 1;
    const struct tm_storage *storage = tm_files_storage(files);
    const struct tm_keys *keys = tm_key_files_keys(own);
    struct tm_config config = {argv[3], .idevid_label = argv[4], .ldevid_label = argv[5]};
    struct tm_curl_config server = {.url = argv[2], .keys = keys, .storage = storage};
    const struct tm_crypto *crypto = tm_openssl_crypto();
    enum tm_err err = tm_device_init(&device, &config, keys, storage, crypto, work, sizeof work);
    if (err == TM_ENOTFOUND && !(err = provision(&config, keys, storage, argv[6])))
        err = tm_device_init(&device, &config, keys, storage, crypto, work, sizeof work);
    if (!err)
        err = tm_curl_open(&server, &curl);
    while (!err && !(err = tm_run(&device, tm_curl_transport(curl), tm_clock_now, &step))) {
        if (step.kind == TM_STEP_TELL)
            printf("event %d in slot %d %s\n", step.event.kind, step.event.slot, step.event.text);
        else
            sleep(step.until_mono_ms - tm_clock_now().mono_ms > 60000 ? 60 : 1);
        fflush(stdout);
    }
    fprintf(stderr, "%s\n", tm_err_name(err));
    return 1;
}
