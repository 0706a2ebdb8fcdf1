/* SPDX-License-Identifier: Apache-2.0 */
/* multipart/mixed (RFC 2046, 5.1) as far as serverkeygen needs it. */
#include "est/wire/serverkeygen.h"

#include <string.h>
#include <strings.h>

#include "est/wire/base64.h"
#include "est/wire/http.h"

#define BOUNDARY_MAX 70 /* RFC 2046, 5.1.1 */
#define TYPE_MAX 255    /* octets of a part's Content-Type */
#define WRAP 64         /* RFC 2045, 6.8: at most 76 */

static const char plain_type[] = "application/pkcs8";
static const char encrypted_type[] = "application/pkcs7-mime; smime-type=server-generated-key";
static const char issued_type[] = "application/pkcs7-mime; smime-type=certs-only";

/* ---- writing ---- */

static enum tm_err put_part(struct buf *out, const char *type, struct bytes der) {
    buf_put(out, bytes_str("--touchmark-part\r\nContent-Type: "));
    buf_put(out, bytes_str(type));
    buf_put(out, bytes_str("\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
    enum tm_err err = est_base64_encode(der, WRAP, out);
    buf_put(out, bytes_str("\r\n"));
    return err;
}

enum tm_err est_serverkeygen_write(const struct est_serverkeygen *parts, struct buf *out) {
    size_t before = out->n;
    enum tm_err err = put_part(out, parts->encrypted ? encrypted_type : plain_type, parts->key);
    if (!err)
        err = put_part(out, issued_type, parts->issued);
    buf_put(out, bytes_str("--touchmark-part--\r\n"));
    if (!err && !out->full)
        return TM_OK;
    out->n = before;
    return err ? err : TM_ELIMIT;
}

/* ---- reading ---- */

/* The next line without its end, which is CRLF or, leniently, LF. */
static bool next_line(struct bytes *in, struct bytes *ret) {
    if (in->n == 0)
        return false;
    const uint8_t *end = memchr(in->p, '\n', in->n);
    size_t n = end ? (size_t)(end - in->p) : in->n;
    size_t taken = end ? n + 1 : n;
    *ret = (struct bytes){in->p, n > 0 && in->p[n - 1] == '\r' ? n - 1 : n};
    in->p += taken;
    in->n -= taken;
    return true;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t';
}

static struct bytes trim(struct bytes text) {
    while (text.n > 0 && is_space(text.p[text.n - 1]))
        text.n--;
    while (text.n > 0 && is_space(*text.p))
        text.p++, text.n--;
    return text;
}

enum line { LINE_CONTENT, LINE_DELIMITER, LINE_CLOSE };

/* "--boundary" or "--boundary--"; white space may follow (RFC 2046, 5.1.1). */
static enum line kind_of(struct bytes line, struct bytes boundary) {
    while (line.n > 0 && is_space(line.p[line.n - 1]))
        line.n--;
    if (line.n < 2 + boundary.n || memcmp(line.p, "--", 2) != 0 ||
        memcmp(line.p + 2, boundary.p, boundary.n) != 0)
        return LINE_CONTENT;
    struct bytes rest = {line.p + 2 + boundary.n, line.n - 2 - boundary.n};
    if (rest.n == 0)
        return LINE_DELIMITER;
    return bytes_equal(rest, bytes_str("--")) ? LINE_CLOSE : LINE_CONTENT;
}

static bool is_content_type(struct bytes line, struct bytes *ret_value) {
    static const char name[] = "Content-Type:";
    size_t n = sizeof name - 1;
    if (line.n < n || strncasecmp((const char *)line.p, name, n) != 0)
        return false;
    *ret_value = (struct bytes){line.p + n, line.n - n};
    return true;
}

/* A part's headers, up to and with the empty line; only its Content-Type counts. A line that begins
 * with white space goes on with the one before (RFC 5322, 2.2.3). */
static enum tm_err read_headers(struct bytes *in, char ret_type[TYPE_MAX + 1]) {
    struct bytes line, value;
    uint8_t memory[TYPE_MAX];
    struct buf type = BUF_ON(memory);
    bool is_type = false;
    while (next_line(in, &line)) {
        if (line.n == 0)
            break;
        bool folded = is_space(line.p[0]);
        if (!folded && (is_type = is_content_type(line, &value))) {
            if (type.n > 0)
                return TM_EPARSE;
            buf_put(&type, value);
        } else if (folded && is_type) {
            buf_put(&type, line);
        }
    }
    struct bytes whole = trim(buf_bytes(&type));
    if (type.full)
        return TM_ELIMIT;
    if (whole.n > 0)
        memcpy(ret_type, whole.p, whole.n);
    ret_type[whole.n] = '\0';
    return memchr(ret_type, '\0', whole.n) ? TM_EPARSE : TM_OK;
}

/* The content up to the delimiter that ends it, which is taken off too. */
static enum tm_err read_content(struct bytes *in, struct bytes boundary, struct bytes *ret_content,
                                enum line *ret_end) {
    struct bytes content = {in->p, 0}, line;
    while (next_line(in, &line)) {
        *ret_end = kind_of(line, boundary);
        if (*ret_end != LINE_CONTENT) {
            content.n = (size_t)(line.p - content.p);
            *ret_content = content;
            return TM_OK;
        }
    }
    return TM_EPARSE;
}

static enum tm_err decode(struct bytes content, struct buf *out, struct bytes *ret) {
    size_t before = out->n;
    if (ret->p)
        return TM_EPARSE; /* the second of its kind */
    enum tm_err err = est_base64_decode_lenient(content, out);
    if (!err && out->n == before)
        return TM_EPARSE;
    if (!err)
        *ret = (struct bytes){out->p + before, out->n - before};
    return err;
}

static enum tm_err take_part(const char *type, struct bytes content, struct buf *out,
                             struct est_serverkeygen *parts) {
    if (est_media_type_is(type, issued_type))
        return decode(content, out, &parts->issued);
    bool encrypted = est_media_type_is(type, encrypted_type);
    if (!encrypted && !est_media_type_is(type, plain_type))
        return TM_EPARSE;
    parts->encrypted = encrypted;
    return decode(content, out, &parts->key);
}

static enum tm_err read_parts(struct bytes in, struct bytes boundary, struct buf *out,
                              struct est_serverkeygen *parts) {
    struct bytes content;
    enum line end;
    enum tm_err err = read_content(&in, boundary, &content, &end); /* what stands before them */
    while (!err && end == LINE_DELIMITER) {
        char type[TYPE_MAX + 1];
        err = read_headers(&in, type);
        if (!err)
            err = read_content(&in, boundary, &content, &end);
        if (!err)
            err = take_part(type, content, out, parts);
    }
    if (!err && (!parts->key.p || !parts->issued.p))
        return TM_EPARSE;
    return err;
}

enum tm_err est_serverkeygen_read(const char *content_type, struct bytes body, struct buf *out,
                                  struct est_serverkeygen *ret) {
    char boundary[BOUNDARY_MAX + 1];
    struct est_serverkeygen parts = {.encrypted = false};
    if (!est_media_type_is(content_type, "multipart/mixed") ||
        est_media_type_parameter(content_type, "boundary", boundary, sizeof boundary) != TM_OK ||
        boundary[0] == '\0')
        return TM_EPARSE;
    size_t before = out->n;
    enum tm_err err = read_parts(body, bytes_str(boundary), out, &parts);
    if (err) {
        bytes_wipe(out->p + before, out->n - before);
        out->n = before;
        return err;
    }
    *ret = parts;
    return TM_OK;
}
