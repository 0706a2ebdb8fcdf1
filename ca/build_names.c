/* SPDX-License-Identifier: Apache-2.0 */
/* Subject and subjectAltName of a certificate from the profile's templates and the request. */
#include <string.h>

#include "ca/attribute.h"
#include "ca/build_internal.h"
#include "ca/san.h"
#include "ca/template.h"

#define VALUE_MAX 320

/* ---- subject ---- */

static enum tm_err expand_attribute(const struct ca_profile_attribute *template,
                                    const struct ca_device *device, char value[VALUE_MAX],
                                    struct pki_rdn *ret) {
    const struct ca_attribute *attribute = ca_attribute_named(template->type);
    if (!attribute || ca_template_expand(template->value, device, value, VALUE_MAX) ||
        ca_attribute_fault(attribute, attribute->tag, bytes_str(value)))
        return TM_EINVAL;
    *ret = (struct pki_rdn){attribute->type, value};
    return TM_OK;
}

enum tm_err ca_put_subject(struct der_writer *w, const struct ca_profile *profile,
                           const struct ca_device *device) {
    char values[CA_SUBJECT_MAX][VALUE_MAX];
    struct pki_rdn rdns[CA_SUBJECT_MAX];
    const struct ca_profile_attribute *templates = profile->subject.items;
    size_t count = profile->subject.count;
    if (count > CA_SUBJECT_MAX)
        return TM_ELIMIT;
    for (size_t i = 0; i < count; i++) {
        enum tm_err err = expand_attribute(&templates[i], device, values[i], &rdns[i]);
        if (err)
            return err;
    }
    pki_name_write(w, rdns, count);
    return TM_OK;
}

enum tm_err ca_build_subject(const struct ca_profile *profile, const struct ca_device *device,
                             struct buf *out) {
    struct der_writer w = der_writer_after(out);
    enum tm_err err = ca_put_subject(&w, profile, device);
    return err ? err : der_append(&w, out);
}

/* ---- subjectAltName ---- */

/* RFC 4108, 5: the device ID's characters are the serial number's octets. */
static enum tm_err put_hardware_name(struct der_writer *w, const char *hw_type, const char *id) {
    uint8_t oid[64];
    struct buf type = BUF_ON(oid);
    enum tm_err err = pki_oid_parse(hw_type, &type);
    if (err)
        return TM_EINVAL;
    size_t end = der_mark(w);
    der_put(w, DER_OCTET_STRING, bytes_str(id));
    der_put(w, DER_OID, buf_bytes(&type));
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_put(w, DER_OID, pki_oid_bytes(PKI_OID_ON_HARDWARE_MODULE_NAME));
    der_wrap(w, CA_SAN_OTHER, end);
    return TM_OK;
}

static enum tm_err put_uri(struct der_writer *w, const char *template,
                           const struct ca_device *device) {
    char uri[2 * VALUE_MAX];
    if (ca_template_expand(template, device, uri, sizeof uri))
        return TM_EINVAL;
    struct der name = {.tag = CA_SAN_URI, .value = bytes_str(uri)};
    if (ca_san_fault(&name))
        return TM_EINVAL;
    der_put(w, CA_SAN_URI, name.value);
    return TM_OK;
}

/* The names that a device gets without asking. */
static enum tm_err put_own_names(struct der_writer *w, const struct ca_profile *profile,
                                 const struct ca_device *device) {
    enum tm_err err = TM_OK;
    for (size_t i = profile->san_uri.count; i > 0 && !err; i--)
        err = put_uri(w, profile->san_uri.items[i - 1], device);
    if (!err && profile->hw_type)
        err = put_hardware_name(w, profile->hw_type, device->id);
    return err;
}

enum tm_err ca_build_san(const struct ca_profile *profile, const struct ca_device *device,
                         struct buf *out) {
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    enum tm_err err = put_own_names(&w, profile, device);
    if (err || (der_mark(&w) == end && !w.full))
        return err;
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

static bool takes(const struct ca_profile *profile, const struct der *name) {
    return profile->san_from_request && name->tag != CA_SAN_OTHER && !ca_san_fault(name);
}

static bool is_among(const struct bytes *names, size_t count, struct bytes name) {
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(names[i], name))
            return true;
    return false;
}

/* The requested names that are taken and are not there already, in order. */
static enum tm_err collect_requested(const struct ca_build *b, struct bytes own,
                                     struct bytes ret[CA_SAN_NAMES_MAX], size_t *ret_count) {
    struct bytes rest = {0};
    size_t count = 0;
    if (b->requested_san.n && ca_san_open(b->requested_san, &rest))
        return TM_EDENIED;
    while (rest.n) {
        struct der name;
        if (der_next(&rest, &name))
            return TM_EDENIED;
        if (ca_san_contains(own, name.whole) || is_among(ret, count, name.whole))
            continue;
        if (!takes(b->profile, &name))
            return TM_EDENIED;
        if (count == CA_SAN_NAMES_MAX)
            return TM_ELIMIT;
        ret[count++] = name.whole;
    }
    *ret_count = count;
    return TM_OK;
}

enum tm_err ca_put_names(struct der_writer *w, const struct ca_build *b) {
    if (b->renewal) {
        der_raw(w, b->keep_san);
        return TM_OK;
    }
    uint8_t own_octets[CA_SAN_MAX];
    struct buf own = BUF_ON(own_octets);
    struct bytes names[CA_SAN_NAMES_MAX];
    size_t count = 0;
    enum tm_err err = ca_build_san(b->profile, b->device, &own);
    if (!err)
        err = collect_requested(b, buf_bytes(&own), names, &count);
    if (err || (own.n == 0 && count == 0))
        return err;
    size_t end = der_mark(w);
    while (count > 0)
        der_raw(w, names[--count]);
    struct bytes own_names;
    if (own.n && !ca_san_open(buf_bytes(&own), &own_names))
        der_raw(w, own_names);
    der_wrap(w, DER_SEQUENCE, end);
    return TM_OK;
}

enum tm_err ca_build_names(const struct ca_build *b, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    enum tm_err err = ca_put_names(&w, b);
    return err ? err : der_append(&w, out);
}
