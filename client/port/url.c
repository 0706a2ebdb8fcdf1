/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about URLs: see client/port/url.h. */
#include "client/port/url.h"

#include <string.h>

static bool is_absent(CURLU *url, CURLUPart part) {
    char *text = NULL;
    bool absent = curl_url_get(url, part, &text, 0) != CURLUE_OK;
    curl_free(text);
    return absent;
}

bool tm_url_part_is(CURLU *url, CURLUPart part, const char *expected) {
    char *text = NULL;
    bool is = curl_url_get(url, part, &text, 0) == CURLUE_OK && strcmp(text, expected) == 0;
    curl_free(text);
    return is;
}

bool tm_url_without_user(CURLU *url) {
    return is_absent(url, CURLUPART_USER) && is_absent(url, CURLUPART_PASSWORD);
}

bool tm_url_is_authority(CURLU *url) {
    return tm_url_part_is(url, CURLUPART_PATH, "/") && is_absent(url, CURLUPART_QUERY) &&
           is_absent(url, CURLUPART_FRAGMENT);
}
