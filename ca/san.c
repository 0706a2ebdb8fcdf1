/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/san.h. */
#include "ca/san.h"

#include <string.h>

#include "pki/oid.h"

#define DNS_NAME_MAX 253 /* RFC 1035, 2.3.4 */
#define DNS_LABEL_MAX 63

enum tm_err ca_san_open(struct bytes general_names, struct bytes *ret_names) {
    struct der sequence;
    if (der_only(general_names, DER_SEQUENCE, &sequence))
        return TM_EPARSE;
    *ret_names = sequence.value;
    return TM_OK;
}

static bool is_alphanumeric(uint8_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Preferred name syntax (RFC 1034, 3.5, as changed by RFC 1123, 2.1). */
static const char *dns_fault(struct bytes name) {
    size_t label = 0;
    if (name.n == 0 || name.n > DNS_NAME_MAX)
        return "a dNSName is empty or longer than 253 characters";
    if (name.p[0] == '*')
        return "a dNSName is a wildcard";
    for (size_t i = 0; i < name.n; i++) {
        bool inner = label > 0 && i + 1 < name.n && name.p[i + 1] != '.';
        if (name.p[i] == '.' ? label == 0 || i + 1 == name.n
                             : !is_alphanumeric(name.p[i]) && !(name.p[i] == '-' && inner))
            return "a dNSName is not in preferred name syntax";
        label = name.p[i] == '.' ? 0 : label + 1;
        if (label > DNS_LABEL_MAX)
            return "a label of a dNSName is longer than 63 characters";
    }
    return NULL;
}

/* An absolute URI (RFC 3986, 4.3): a scheme, then something. */
static const char *uri_fault(struct bytes uri) {
    size_t i = 0;
    while (i < uri.n && (is_alphanumeric(uri.p[i]) ||
                         (i > 0 && (uri.p[i] == '+' || uri.p[i] == '-' || uri.p[i] == '.'))))
        i++;
    bool starts_with_digit = uri.n && uri.p[0] >= '0' && uri.p[0] <= '9';
    if (i == 0 || starts_with_digit || i + 1 >= uri.n || uri.p[i] != ':')
        return "a URI is not absolute";
    for (; i < uri.n; i++)
        if (uri.p[i] <= 0x20 || uri.p[i] >= 0x7f || strchr("\"<>\\^`{|}", uri.p[i]))
            return "a URI holds a character that it may not";
    return NULL;
}

/* OtherName { id-on-hardwareModuleName, [0] SEQUENCE { hwType OID, hwSerialNum OCTET STRING } } */
static const char *other_fault(struct bytes in) {
    struct der type, value, module, hw_type, hw_serial;
    if (der_expect(&in, DER_OID, &type) ||
        pki_oid_find(type.value) != PKI_OID_ON_HARDWARE_MODULE_NAME)
        return "an otherName is not a hardwareModuleName";
    if (der_expect(&in, DER_CONTEXT_CONSTRUCTED(0), &value) || in.n ||
        der_expect(&value.value, DER_SEQUENCE, &module) || value.value.n ||
        der_expect(&module.value, DER_OID, &hw_type) ||
        der_expect(&module.value, DER_OCTET_STRING, &hw_serial) || module.value.n ||
        hw_type.value.n == 0 || hw_serial.value.n == 0)
        return "a hardwareModuleName is malformed";
    return NULL;
}

const char *ca_san_fault(const struct der *name) {
    switch (name->tag) {
    case CA_SAN_OTHER:
        return other_fault(name->value);
    case CA_SAN_DNS:
        return dns_fault(name->value);
    case CA_SAN_URI:
        return uri_fault(name->value);
    case CA_SAN_IP:
        return name->value.n == 4 || name->value.n == 16 ? NULL
                                                         : "an iPAddress is not 4 or 16 octets";
    default:
        return "a name is neither dNSName, iPAddress, URI nor hardwareModuleName";
    }
}

bool ca_san_contains(struct bytes general_names, struct bytes name) {
    struct bytes rest;
    struct der each;
    if (ca_san_open(general_names, &rest))
        return false;
    while (rest.n) {
        if (der_next(&rest, &each))
            return false;
        if (bytes_equal(each.whole, name))
            return true;
    }
    return false;
}
