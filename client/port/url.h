/* SPDX-License-Identifier: Apache-2.0 */
/* What a URL may have, asked of libcurl's parser. Only for the ports. Thread-safe per URL. */
#ifndef TOUCHMARK_CLIENT_PORT_URL_H
#define TOUCHMARK_CLIENT_PORT_URL_H

#include <curl/curl.h>
#include <stdbool.h>

bool tm_url_part_is(CURLU *url, CURLUPart part, const char *expected);
/* Are there no credentials in it? */
bool tm_url_without_user(CURLU *url);
/* Is there nothing behind host and port? */
bool tm_url_is_authority(CURLU *url);

#endif
