/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a ceremony, made to stay. Internal to ca/ceremony*.c. */
#ifndef TOUCHMARK_CA_CEREMONY_FILE_H
#define TOUCHMARK_CA_CEREMONY_FILE_H

#include "ca/ceremony.h"

/* Makes the folder if it is missing (only its last part). TM_EIO. */
MUST_USE enum tm_err ca_file_make_folder(const char *path, char text[CA_KEYSTORE_TEXT_MAX]);
/* Writes one certificate, given as DER, to a new PEM file, or over an old one if that is allowed;
 * synced, the name too. TM_EEXISTS, TM_EIO. */
MUST_USE enum tm_err ca_file_write_pem(const char *path, struct bytes certificate, bool overwrite,
                                       char text[CA_KEYSTORE_TEXT_MAX]);

#endif
