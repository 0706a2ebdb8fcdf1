/* SPDX-License-Identifier: Apache-2.0 */
/* The header and the file round it: see pki/filter.h. */
#include "pki/filter.h"

#include <string.h>

#include "base/codec.h"

#define MAGIC "TMFILTER"
#define MAGIC_SIZE (sizeof MAGIC - 1)
#define LENGTH_SIZE 2
#define SCHEMA_TYPE 1

static const struct codec_field fields[] = {
    CODEC_BLOB(struct pki_filter_header, key_id, PKI_FILTER_KEY_ID_MAX),
    CODEC_INT(CODEC_U64, struct pki_filter_header, number, 0),
    CODEC_INT(CODEC_I64, struct pki_filter_header, made_ms, 0),
    CODEC_INT(CODEC_I64, struct pki_filter_header, next_ms, 0),
    CODEC_INT(CODEC_U64, struct pki_filter_header, from_ms, PKI_FILTER_TIME_MAX),
    CODEC_INT(CODEC_U64, struct pki_filter_header, until_ms, PKI_FILTER_TIME_MAX),
    CODEC_INT(CODEC_U8, struct pki_filter_header, inverted, 1),
    CODEC_INT(CODEC_U8, struct pki_filter_header, columns, PKI_FILTER_COLUMNS_MAX),
    CODEC_INT(CODEC_U32, struct pki_filter_header, buckets,
              PKI_FILTER_BODY_MAX / PKI_FILTER_ENTRY_SIZE),
    CODEC_INT(CODEC_U64, struct pki_filter_header, seed, 0),
    CODEC_INT(CODEC_U32, struct pki_filter_header, body_n, PKI_FILTER_BODY_MAX),
    CODEC_OCTETS(struct pki_filter_header, body_sha256),
};

static const struct codec_schema schema = {
    .name = "filter",
    .type = SCHEMA_TYPE,
    .version = 1,
    .size = sizeof(struct pki_filter_header),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
};

static bool makes_sense(const struct pki_filter_header *h) {
    if (h->key_id.n == 0 || h->made_ms <= 0 || h->next_ms < h->made_ms || h->until_ms < h->from_ms)
        return false;
    if (h->buckets == 0)
        return h->columns == 0 && h->body_n == 0;
    return h->body_n / PKI_FILTER_ENTRY_SIZE >= h->buckets;
}

/* Takes magic and length off, and gives the octets that follow. */
static struct bytes take_fields(struct reader *r) {
    struct bytes magic = reader_take(r, MAGIC_SIZE);
    if (!bytes_equal(magic, bytes_str(MAGIC)))
        r->bad = true;
    return reader_take(r, (size_t)reader_be(r, LENGTH_SIZE));
}

enum tm_err pki_filter_header_read(struct bytes header, struct pki_filter_header *ret) {
    struct reader r = {.in = header};
    struct pki_filter_header read;
    struct bytes encoded = take_fields(&r);
    if (r.bad || reader_left(&r) != 0 || header.n > PKI_FILTER_HEADER_MAX ||
        codec_decode(&schema, encoded, &read) || !makes_sense(&read))
        return TM_EPARSE;
    *ret = read;
    return TM_OK;
}

enum tm_err pki_filter_header_write(const struct pki_filter_header *header, struct buf *out) {
    uint8_t memory[PKI_FILTER_HEADER_MAX - MAGIC_SIZE - LENGTH_SIZE];
    struct buf encoded = BUF_ON(memory);
    if (!makes_sense(header) || codec_encode(&schema, header, &encoded))
        return TM_EINVAL;
    if (out->full || out->cap - out->n < MAGIC_SIZE + LENGTH_SIZE + encoded.n)
        return TM_ELIMIT;
    buf_put(out, bytes_str(MAGIC));
    buf_put_be(out, encoded.n, LENGTH_SIZE);
    buf_put(out, buf_bytes(&encoded));
    return TM_OK;
}

enum tm_err pki_filter_file_read(struct bytes file, struct pki_filter_file *ret) {
    struct reader r = {.in = file};
    (void)take_fields(&r);
    size_t header_n = r.at;
    struct bytes signature = reader_take(&r, (size_t)reader_be(&r, LENGTH_SIZE));
    struct bytes body = reader_take(&r, reader_left(&r));
    if (r.bad || header_n > PKI_FILTER_HEADER_MAX || signature.n == 0 ||
        signature.n > PKI_FILTER_SIGNATURE_MAX || body.n > PKI_FILTER_BODY_MAX)
        return TM_EPARSE;
    *ret = (struct pki_filter_file){{file.p, header_n}, signature, body};
    return TM_OK;
}

enum tm_err pki_filter_signature_write(struct bytes signature, struct buf *out) {
    if (signature.n == 0 || signature.n > PKI_FILTER_SIGNATURE_MAX)
        return TM_EINVAL;
    if (out->full || out->cap - out->n < LENGTH_SIZE + signature.n)
        return TM_ELIMIT;
    buf_put_be(out, signature.n, LENGTH_SIZE);
    buf_put(out, signature);
    return TM_OK;
}
