/* SPDX-License-Identifier: Apache-2.0 */
/* Names and numbers of the questions: see ca/index.h. */
#include "ca/index.h"

#include <string.h>

const unsigned ca_health_days[CA_HEALTH_WINDOWS] = {7, 30, 90};

enum tm_err ca_question_find(const char *name, enum ca_question *ret) {
    static const char *const names[] = {
        [CA_FIND_MATCHING] = "matching",   [CA_FIND_EXPIRING] = "expiring",
        [CA_FIND_FAILING] = "failing",     [CA_FIND_STUCK] = "stuck",
        [CA_FIND_DUPLICATE] = "duplicate", [CA_FIND_UNRENEWED] = "unrenewed"};
    for (unsigned i = CA_FIND_MATCHING; i <= CA_FIND_LAST; i++)
        if (strcmp(names[i], name) == 0) {
            *ret = (enum ca_question)i;
            return TM_OK;
        }
    return TM_ENOTFOUND;
}
