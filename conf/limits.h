/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of options that other parts of Touchmark set. Private to conf/. */
#ifndef TOUCHMARK_CONF_LIMITS_H
#define TOUCHMARK_CONF_LIMITS_H

#include <sys/un.h>

#define CONF_BODY_MAX 65536 /* a CSR of 16 KiB as wrapped base64, with room to spare */
#define CONF_SOCKET_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

#endif
