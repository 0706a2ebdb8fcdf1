/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/ceremony_file.h. */
#include "ca/ceremony_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/file.h"

AUTO_DEFINE(BIO, BIO_free_all)

enum tm_err ca_file_make_folder(const char *path, char text[CA_KEYSTORE_TEXT_MAX]) {
    if (mkdir(path, 0755) == 0)
        return file_sync_folder(path);
    struct stat st;
    int error = errno;
    if (error == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return TM_OK;
    (void)snprintf(text, CA_KEYSTORE_TEXT_MAX, "folder %.200s: %s", path, strerror(error));
    return TM_EIO;
}

static enum tm_err put_pem(int fd, struct bytes der) {
    AUTO(BIO) out = BIO_new_fd(fd, BIO_NOCLOSE);
    if (!out || PEM_write_bio(out, "CERTIFICATE", "", der.p, (long)der.n) <= 0)
        return TM_EIO;
    return fsync(fd) < 0 ? TM_EIO : TM_OK;
}

enum tm_err ca_file_write_pem(const char *path, struct bytes certificate, bool overwrite,
                              char text[CA_KEYSTORE_TEXT_MAX]) {
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (overwrite ? O_TRUNC : O_EXCL);
    AUTO_FD int fd = open(path, flags, 0644);
    enum tm_err err = fd < 0 ? (errno == EEXIST ? TM_EEXISTS : TM_EIO) : put_pem(fd, certificate);
    if (!err)
        err = file_sync_folder(path);
    if (err)
        (void)snprintf(text, CA_KEYSTORE_TEXT_MAX, "%.200s: %s", path, strerror(errno));
    return err;
}
