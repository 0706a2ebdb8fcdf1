/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/attribute.h. */
#include "ca/attribute.h"

#include <string.h>

#include "pki/chars.h"

static const struct ca_attribute attributes[] = {
    {"CN", PKI_OID_COMMON_NAME, DER_UTF8_STRING, DER_PRINTABLE_STRING, 1, 64},
    {"serialNumber", PKI_OID_SERIAL_NUMBER, DER_PRINTABLE_STRING, 0, 1, 64},
    {"O", PKI_OID_ORGANIZATION, DER_UTF8_STRING, DER_PRINTABLE_STRING, 1, 64},
    {"OU", PKI_OID_ORGANIZATIONAL_UNIT, DER_UTF8_STRING, DER_PRINTABLE_STRING, 1, 64},
    {"C", PKI_OID_COUNTRY, DER_PRINTABLE_STRING, 0, 2, 2},
    {"L", PKI_OID_LOCALITY, DER_UTF8_STRING, DER_PRINTABLE_STRING, 1, 128},
    {"ST", PKI_OID_STATE, DER_UTF8_STRING, DER_PRINTABLE_STRING, 1, 128},
    {"UID", PKI_OID_USER_ID, DER_UTF8_STRING, DER_PRINTABLE_STRING, 1, 256}, /* RFC 1274, 9.3.1 */
};
#define ATTRIBUTE_COUNT (sizeof attributes / sizeof attributes[0])

const struct ca_attribute *ca_attribute_named(const char *name) {
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
        if (strcmp(attributes[i].name, name) == 0)
            return &attributes[i];
    return NULL;
}

const struct ca_attribute *ca_attribute_of(enum pki_oid type) {
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
        if (attributes[i].type == type)
            return &attributes[i];
    return NULL;
}

const char *ca_attribute_fault(const struct ca_attribute *attribute, uint8_t tag,
                               struct bytes value) {
    if (tag != attribute->tag && (tag != attribute->other_tag || !tag))
        return "a name attribute is not of its string type";
    size_t characters = 0;
    uint32_t c;
    enum tm_err err;
    while (!(err = chars_next(tag, &value, &c))) {
        if (c < 0x20 || c == 0x7f)
            return "a name attribute holds a control character";
        characters++;
    }
    if (err != TM_ENOTFOUND)
        return "a name attribute holds a character that its string type has not";
    if (characters < attribute->least)
        return "a name attribute is empty or too short";
    if (characters > attribute->most)
        return "a name attribute is longer than its upper bound";
    return NULL;
}
