/* SPDX-License-Identifier: Apache-2.0 */
/* See files.h. */
#include "server/bridge/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static enum tm_err read_pem(const char *option, const char *path, struct bytes *ret) {
    char error[CONF_ERROR_MAX];
    char *text = NULL;
    size_t n = 0;
    enum tm_err err = path ? conf_read_file(path, &text, &n, error) : TM_OK;
    if (err)
        log_error("mqtt.%s: %s", option, error);
    *ret = (struct bytes){(uint8_t *)text, n};
    return err;
}

static enum tm_err read_password(const char *source, char ret[HSM_PIN_MAX]) {
    char text[HSM_TEXT_MAX] = "";
    enum tm_err err = source ? hsm_pin_read(source, ret, text) : TM_OK;
    if (err)
        log_error("mqtt.password_file: %s", text);
    return err;
}

enum tm_err bridge_files_read(const struct conf_mqtt *mqtt, bool password,
                              struct bridge_files *ret) {
    memset(ret, 0, sizeof *ret);
    enum tm_err err = password ? read_password(mqtt->password_file, ret->password) : TM_OK;
    if (!err)
        err = read_pem("anchors", mqtt->anchors, &ret->anchors);
    if (!err)
        err = read_pem("certificate", mqtt->certificate, &ret->certificate);
    if (!err)
        err = read_pem("key", mqtt->key, &ret->key);
    return err;
}

static void wipe(struct bytes text) {
    void *p = (void *)(uintptr_t)text.p;
    if (p)
        bytes_wipe(p, text.n);
    free(p);
}

void bridge_files_wipe(struct bridge_files *files) {
    wipe(files->anchors);
    wipe(files->certificate);
    wipe(files->key);
    bytes_wipe(files, sizeof *files);
}
