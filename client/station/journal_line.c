/* SPDX-License-Identifier: Apache-2.0 */
/* See journal_line.h. */
#include "client/station/journal_line.h"

#include <jansson.h>
#include <string.h>

#include "base/auto.h"
#include "client/port/openssl.h"
#include "est/wire/base64.h"

AUTO_DEFINE(json_t, json_decref)

const char *const journal_step_words[] = {"open",    "probe",  "keygen", "csr",  "enroll",
                                          "install", "read",   "verify", "test", "lock",
                                          "report",  "rework", NULL};
static const char *const mark_words[] = {"begin", "done", "failed", "scrapped", NULL};

#define SUM_OCTETS 8
#define TEXT_MAX (JOURNAL_LINE_MAX / 2)

enum tm_err journal_line_sum(const char *before, struct bytes object, char ret[JOURNAL_SUM_MAX]) {
    const struct tm_crypto *crypto = tm_openssl_crypto();
    const struct bytes parts[] = {bytes_str(before), object};
    uint8_t hash[TM_SHA256_SIZE];
    enum tm_err err = crypto->sha256(crypto->self, parts, 2, hash);
    return err ? err : hex_encode((struct bytes){hash, SUM_OCTETS}, ret, JOURNAL_SUM_MAX);
}

/* ---- writing ---- */

/* What is empty is left out. */
static bool put_text(json_t *object, const char *key, const char *text) {
    return !text[0] || json_object_set_new(object, key, json_string(text)) == 0;
}

static bool put_octets(json_t *object, const char *key, struct bytes octets) {
    uint8_t text[TEXT_MAX];
    struct buf out = BUF_ON(text);
    if (octets.n == 0)
        return true;
    return est_base64_encode(octets, 0, &out) == TM_OK &&
           json_object_set_new(object, key, json_stringn((char *)out.p, out.n)) == 0;
}

static json_t *object_of(const struct journal_record *r) {
    AUTO(json_t) object = json_object();
    if (!object || r->step >= STEP_COUNT || r->mark > MARK_SCRAPPED ||
        json_object_set_new(object, "t", json_integer(r->time_ms)) ||
        json_object_set_new(object, "step", json_string(journal_step_words[r->step])) ||
        json_object_set_new(object, "mark", json_string(mark_words[r->mark])) ||
        json_object_set_new(object, "seconds", json_real(r->seconds)) ||
        !put_text(object, "unit", r->unit) || !put_text(object, "label", r->label) ||
        !put_text(object, "text", r->text) || !put_text(object, "spki", r->spki) ||
        !put_text(object, "request", r->request) ||
        !put_text(object, "fingerprint", r->fingerprint) ||
        !put_text(object, "serial", r->serial) ||
        !put_octets(object, "certificate", r->certificate))
        return NULL;
    return TAKE(object);
}

enum tm_err journal_line_write(const struct journal_record *record, char sum[JOURNAL_SUM_MAX],
                               struct buf *out) {
    AUTO(json_t) object = object_of(record);
    AUTO_MEM char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    char own[JOURNAL_SUM_MAX];
    if (!text)
        return TM_EINVAL;
    if (strlen(text) + JOURNAL_SUM_MAX + 1 > JOURNAL_LINE_MAX)
        return TM_ELIMIT;
    enum tm_err err = journal_line_sum(sum, bytes_str(text), own);
    if (err)
        return err;
    buf_put(out, bytes_str(own));
    buf_put_u8(out, ' ');
    buf_put(out, bytes_str(text));
    buf_put_u8(out, '\n');
    if (out->full)
        return TM_ELIMIT;
    memcpy(sum, own, JOURNAL_SUM_MAX);
    return TM_OK;
}

/* ---- reading ---- */

static bool take_word(const json_t *object, const char *key, const char *const *words,
                      unsigned *ret) {
    const char *word = json_string_value(json_object_get(object, key));
    for (unsigned i = 0; word && words[i]; i++)
        if (strcmp(words[i], word) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static bool take_text(const json_t *object, const char *key, char *ret, size_t cap) {
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    if (!value)
        return true;
    if (!text || strlen(text) >= cap)
        return false;
    text_copy(ret, cap, text);
    return true;
}
#define TAKE_TEXT(object, record, member)                                                          \
    take_text(object, #member, (record)->member, sizeof(record)->member)

static bool take_octets(const json_t *object, const char *key, struct buf *room,
                        struct bytes *ret) {
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    size_t start = room->n;
    if (!value)
        return true;
    if (!text || est_base64_decode(bytes_str(text), room))
        return false;
    *ret = (struct bytes){room->p + start, room->n - start};
    return true;
}

static bool take_all(const json_t *object, struct buf *room, struct journal_record *ret) {
    const json_t *time = json_object_get(object, "t"),
                 *seconds = json_object_get(object, "seconds");
    ret->time_ms = json_integer_value(time);
    ret->seconds = json_number_value(seconds);
    return json_is_integer(time) && json_is_number(seconds) &&
           take_word(object, "step", journal_step_words, &ret->step) &&
           take_word(object, "mark", mark_words, &ret->mark) && TAKE_TEXT(object, ret, unit) &&
           TAKE_TEXT(object, ret, label) && TAKE_TEXT(object, ret, text) &&
           TAKE_TEXT(object, ret, spki) && TAKE_TEXT(object, ret, request) &&
           TAKE_TEXT(object, ret, fingerprint) && TAKE_TEXT(object, ret, serial) &&
           take_octets(object, "certificate", room, &ret->certificate);
}

enum tm_err journal_line_read(struct bytes line, char sum[JOURNAL_SUM_MAX], struct buf *room,
                              struct journal_record *ret) {
    const size_t prefix = JOURNAL_SUM_MAX; /* with the space where the NUL is */
    struct journal_record record = {0};
    char own[JOURNAL_SUM_MAX];
    json_error_t error;
    if (line.n <= prefix || line.p[prefix - 1] != ' ')
        return TM_ECORRUPT;
    struct bytes object_text = {line.p + prefix, line.n - prefix};
    enum tm_err err = journal_line_sum(sum, object_text, own);
    if (err)
        return err;
    if (memcmp(own, line.p, prefix - 1) != 0)
        return TM_ECORRUPT;
    AUTO(json_t)
    object = json_loadb((const char *)object_text.p, object_text.n, JSON_REJECT_DUPLICATES, &error);
    if (!object || !take_all(object, room, &record))
        return TM_ECORRUPT;
    memcpy(sum, own, JOURNAL_SUM_MAX);
    *ret = record;
    return TM_OK;
}
