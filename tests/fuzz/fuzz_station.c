/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a station reads beside the serial line: by the first octet, the server's answer about jobs,
 * a line of the journal, or a manifest. What can be read can be written, and is then the same.
 */
#include <stdlib.h>
#include <string.h>

#include "client/station/api.h"
#include "client/station/journal_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static char *written(const struct manifest *manifest, size_t *ret_n) {
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_n);
    require(out);
    manifest_write(manifest, out);
    require(fclose(out) == 0);
    return text;
}

/* ---- a manifest ---- */

static bool read_text(const char *text, size_t n, struct manifest *ret) {
    char error[CONF_ERROR_MAX];
    enum tm_err err = manifest_open_text(text, n, "job.yaml", ret, error);
    require(!err || strnlen(error, sizeof error) < sizeof error);
    return !err;
}

static void same_again(const struct manifest *manifest) {
    struct manifest again;
    size_t n, second_n;
    char *text = written(manifest, &n);
    require(read_text(text, n, &again));
    char *second = written(&again, &second_n);
    require(n == second_n && memcmp(text, second, n) == 0);
    free(second);
    free(text);
    manifest_close(&again);
}

static void as_manifest(struct bytes in) {
    struct manifest manifest;
    char *text = malloc(in.n + 1);
    require(text);
    memcpy(text, in.p, in.n);
    text[in.n] = '\0';
    if (read_text(text, in.n, &manifest)) {
        same_again(&manifest);
        manifest_close(&manifest);
    }
    free(text);
}

/* ---- what the server says ---- */

static void as_job(const json_t *object) {
    struct manifest manifest, again;
    struct why why;
    size_t n;
    if (api_manifest(object, "/dev/ttyUSB0", &manifest, &why) != OUTCOME_DONE)
        return;
    char *text = written(&manifest, &n);
    if (read_text(text, n, &again)) { /* a server may say what no manifest may have */
        same_again(&again);
        manifest_close(&again);
    }
    free(text);
    manifest_close(&manifest);
}

static void as_answer(struct bytes in) {
    AUTO(json_t) jobs = json_loadb((const char *)in.p, in.n, JSON_REJECT_DUPLICATES, NULL);
    struct api_job job;
    struct why why;
    size_t i;
    json_t *object;
    if (!json_is_object(jobs))
        return;
    if (api_job_in(jobs, "J-1", &job, &why) == OUTCOME_DONE)
        require(job.object && job.status && job.reason);
    json_array_foreach(json_object_get(jobs, "jobs"), i, object) as_job(object);
}

/* ---- a line of the journal ---- */

/* Inputs get beyond the sum by having it made for them. */
static void as_line(struct bytes in) {
    static uint8_t line[2 * JOURNAL_LINE_MAX], octets[JOURNAL_LINE_MAX], again[JOURNAL_LINE_MAX];
    char sum[JOURNAL_SUM_MAX] = "", second[JOURNAL_SUM_MAX] = "";
    struct buf room = BUF_ON(octets), text = BUF_ON(line), out = BUF_ON(again);
    struct journal_record record;
    char own[JOURNAL_SUM_MAX];
    if (in.n > JOURNAL_LINE_MAX - JOURNAL_SUM_MAX || journal_line_sum("", in, own))
        return;
    buf_put(&text, bytes_str(own));
    buf_put_u8(&text, ' ');
    buf_put(&text, in);
    if (journal_line_read(buf_bytes(&text), sum, &room, &record))
        return;
    require(strcmp(sum, own) == 0);
    enum tm_err err = journal_line_write(&record, second, &out);
    require(err == TM_OK || err == TM_ELIMIT || err == TM_EINVAL);
    if (err)
        return;
    struct journal_record back;
    uint8_t more[JOURNAL_LINE_MAX];
    struct buf space = BUF_ON(more);
    char third[JOURNAL_SUM_MAX] = "";
    require(!journal_line_read((struct bytes){out.p, out.n - 1}, third, &space, &back));
    require(strcmp(third, second) == 0 && back.step == record.step && back.mark == record.mark &&
            bytes_equal(back.certificate, record.certificate) &&
            strcmp(back.unit, record.unit) == 0 && strcmp(back.text, record.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct bytes in = {data + 1, size - 1};
    if (data[0] % 3 == 0)
        as_answer(in);
    else if (data[0] % 3 == 1)
        as_line(in);
    else
        as_manifest(in);
    return 0;
}
