/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as touchmark.yaml: it loads or is refused with a sentence, and nothing leaks. */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct conf zero;
    struct conf conf;
    char error[CONF_ERROR_MAX] = "";
    enum tm_err err = conf_open((const char *)data, size, "/f.yaml", &conf, error);
    if (err && (strncmp(error, "/f.yaml:", 8) != 0 || memcmp(&conf, &zero, sizeof(conf)) != 0))
        abort();
    if (!err)
        conf_close(&conf);
    return 0;
}
