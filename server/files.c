/* SPDX-License-Identifier: Apache-2.0 */
/* See files.h. */
#include "server/files.h"

#include <stdlib.h>

#include "base/log.h"

enum tm_err server_file_read(const char *option, const char *path, struct bytes *ret) {
    char error[CONF_ERROR_MAX];
    char *text = NULL;
    size_t n = 0;
    enum tm_err err = path ? conf_read_file(path, &text, &n, error) : TM_OK;
    if (err)
        log_error("%s: %s", option, error);
    *ret = (struct bytes){(uint8_t *)text, n};
    return err;
}

void server_file_wipe(struct bytes text) {
    void *p = (void *)(uintptr_t)text.p;
    if (p)
        bytes_wipe(p, text.n);
    free(p);
}

enum tm_err server_password_read(const char *option, const char *source, char ret[HSM_PIN_MAX]) {
    char text[HSM_TEXT_MAX] = "";
    enum tm_err err = source ? hsm_pin_read(source, ret, text) : TM_OK;
    if (err)
        log_error("%s: %s", option, text);
    return err;
}
