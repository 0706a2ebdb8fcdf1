/* SPDX-License-Identifier: Apache-2.0 */
/* See files.h. */
#include "server/bridge/files.h"

#include <string.h>

#include "server/files.h"

enum tm_err bridge_files_read(const struct conf_mqtt *mqtt, bool password,
                              struct bridge_files *ret) {
    memset(ret, 0, sizeof *ret);
    enum tm_err err =
        password ? server_password_read("mqtt.password_file", mqtt->password_file, ret->password)
                 : TM_OK;
    if (!err)
        err = server_file_read("mqtt.anchors", mqtt->anchors, &ret->anchors);
    if (!err)
        err = server_file_read("mqtt.certificate", mqtt->certificate, &ret->certificate);
    if (!err)
        err = server_file_read("mqtt.key", mqtt->key, &ret->key);
    return err;
}

void bridge_files_wipe(struct bridge_files *files) {
    server_file_wipe(files->anchors);
    server_file_wipe(files->certificate);
    server_file_wipe(files->key);
    bytes_wipe(files, sizeof *files);
}
