/* SPDX-License-Identifier: Apache-2.0 */
/* Files of devices as they are read: RFC 4180's ways to write a field, lines, and windows that end
 * anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/import_command.h"

static uint8_t window[2 * IMPORT_RECORD_MAX];

/* A source on a file with this text. */
static FILE *begin(struct import_source *source, enum import_format format, const char *text,
                   size_t n) {
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    import_source_begin(source, fileno(file), format, window, sizeof window);
    return file;
}

struct expected {
    uint32_t line;
    const char *device; /* NULL: the row is bad */
    const char *says;   /* its batch, or what is wrong */
};

static void assert_rows(enum import_format format, const char *text, const struct expected *rows,
                        size_t count) {
    struct import_source source;
    struct ipc_import_row row;
    char fault[IPC_TEXT_MAX + 1];
    FILE *file = begin(&source, format, text, strlen(text));
    for (size_t i = 0; i < count; i++) {
        enum tm_err err = import_source_next(&source, &row, fault);
        assert_int_equal(err, rows[i].device ? TM_OK : TM_EPARSE);
        assert_int_equal(row.line, rows[i].line);
        if (rows[i].device) {
            assert_string_equal(row.device, rows[i].device);
            assert_string_equal(row.batch, rows[i].says);
        } else if (!strstr(fault, rows[i].says)) {
            fail_msg("\"%s\" does not say \"%s\"", fault, rows[i].says);
        }
    }
    assert_int_equal(import_source_next(&source, &row, fault), TM_ENOTFOUND);
    assert_int_equal(source.offset, strlen(text));
    assert_int_equal(fclose(file), 0);
}
#define ASSERT_ROWS(format, text, rows)                                                            \
    assert_rows(format, text, rows, sizeof(rows) / sizeof((rows)[0]))

static void csv_as_rfc_4180_has_it(void **state) {
    (void)state;
    static const struct expected plain[] = {{2, "a", "x"}, {3, "b", ""}, {4, "c", "z"}};
    ASSERT_ROWS(IMPORT_CSV, "device,batch\r\na,x\r\nb,\r\nc,z", plain);
    ASSERT_ROWS(IMPORT_CSV,
                "\xef\xbb\xbf"
                "device,batch\na,x\nb,\nc,z\n",
                plain);
    ASSERT_ROWS(IMPORT_CSV, "\"batch\",\"device\"\n\"x\",\"a\"\n,b\nz,\"c\"", plain);
    static const struct expected later[] = {{3, "a", "x"}, {6, "b", ""}};
    ASSERT_ROWS(IMPORT_CSV, "device,batch\n\na,x\n\n\nb,\n\n", later);
    ASSERT_ROWS(IMPORT_CSV, "device,batch\n\"a\",x\n", ((struct expected[]){{2, "a", "x"}}));
}

static void csv_faults_are_of_their_row_alone(void **state) {
    (void)state;
    static const struct expected rows[] = {
        {2, NULL, "has 1 fields, and the header 2"},
        {3, NULL, "has 3 fields"},
        {4, NULL, "RFC 4180"},
        {5, "good-1", "x"},
        {6, NULL, "batch \"x?y\" is not allowed"}, /* a line break in quotes */
        {8, "good-2", "x"},
        {9, NULL, "device is missing"},
        {10, NULL, "is no device ID"},
        {11, NULL, "batch \"a\"b\" is not allowed"},
        {12, NULL, "does not end (RFC 4180"},
        {13, "good-3", "x"},
    };
    ASSERT_ROWS(IMPORT_CSV,
                "device,batch\na\na,b,c\na\"b,c\ngood-1,x\na,\"x\ny\"\ngood-2,x\n,x\na_b,x\n"
                "a,\"a\"\"b\"\nx,\"no end\ngood-3,x",
                rows);
}

static void json_lines(void **state) {
    (void)state;
    static const struct expected rows[] = {
        {1, "a", "x"}, {3, "b", ""}, {4, NULL, "is not one JSON object"}, {5, "c", "z"}};
    ASSERT_ROWS(IMPORT_JSONL,
                "{\"device\":\"a\",\"batch\":\"x\"}\n\n{\"device\":\"b\",\"batch\":null}\r\n"
                "{\"device\":\n{\"device\":\"c\",\"batch\":\"z\"}",
                rows);
}

/* Rows across the ends of the window, and one that is longer than a row may be. */
static void files_are_larger_than_the_window(void **state) {
    (void)state;
    struct import_source source;
    struct ipc_import_row row;
    char fault[IPC_TEXT_MAX + 1], *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    fputs("device,batch\n", out);
    for (int i = 0; i < 5000; i++)
        fprintf(out, i % 3 ? "d-%d,b\n" : "\"d-%d\",\"b\"\r\n", i);
    for (int i = 0; i < 2 * IMPORT_RECORD_MAX; i++)
        fputc('x', out);
    assert_int_equal(fclose(out), 0);
    FILE *file = begin(&source, IMPORT_CSV, text, n);
    for (int i = 0; i < 5000; i++) {
        char device[16];
        (void)snprintf(device, sizeof device, "d-%d", i);
        assert_int_equal(import_source_next(&source, &row, fault), TM_OK);
        assert_string_equal(row.device, device);
        assert_int_equal(row.line, i + 2);
    }
    assert_int_equal(import_source_next(&source, &row, fault), TM_ELIMIT);
    assert_non_null(strstr(fault, "within 8192 octets"));
    assert_int_equal(row.line, 5002);
    assert_int_equal(fclose(file), 0);
    free(text);
}

static void what_is_not_imported_is_named_once(void **state) {
    (void)state;
    struct import_source source;
    struct ipc_import_row row;
    char fault[IPC_TEXT_MAX + 1];
    static const char text[] = "{\"device\":\"a\",\"state\":\"shipped\"}\n"
                               "{\"device\":\"b\",\"station\":\"s\",\"state\":\"shipped\"}\n";
    FILE *file = begin(&source, IMPORT_JSONL, text, strlen(text));
    assert_int_equal(import_source_next(&source, &row, fault), TM_OK);
    assert_int_equal(import_source_next(&source, &row, fault), TM_OK);
    assert_string_equal(source.passed_over, "state, station");
    assert_int_equal(fclose(file), 0);
}

static void a_device_is_seen_once(void **state) {
    (void)state;
    struct import_seen *seen = NULL;
    uint32_t line = 0;
    char device[16];
    assert_int_equal(import_seen_new(&seen), TM_OK);
    for (uint32_t i = 1; i <= 20000; i++) {
        (void)snprintf(device, sizeof device, "d-%u", i);
        assert_int_equal(import_seen_add(seen, device, i, &line), TM_OK);
    }
    for (uint32_t i = 1; i <= 20000; i += 777) {
        (void)snprintf(device, sizeof device, "d-%u", i);
        assert_int_equal(import_seen_add(seen, device, 30000, &line), TM_EEXISTS);
        assert_int_equal(line, i);
    }
    import_seen_free(seen);
}

/* As many as it says fit into a message. */
static void a_chunk_is_no_larger_than_a_message(void **state) {
    (void)state;
    struct import_chunk *chunk = calloc(1, sizeof *chunk);
    struct ipc_import_row row = {.line = 1, .device = "d", .key_count = IPC_IMPORT_KEYS_MAX};
    assert_non_null(chunk);
    memset(row.sku, 's', IPC_NAME_MAX);
    memset(row.firmware, 'f', IPC_NAME_MAX);
    while (!import_chunk_full(chunk, &row))
        import_chunk_add(chunk, &row);
    struct buf out = BUF_ON(chunk->data);
    assert_int_equal(codec_encode(&ipc_import_schema, &chunk->rows, &out), TM_OK);
    assert_in_range(out.n, IPC_ADMIN_DATA_MAX - 600, IPC_ADMIN_DATA_MAX);
    free(chunk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_as_rfc_4180_has_it),
        cmocka_unit_test(csv_faults_are_of_their_row_alone),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(files_are_larger_than_the_window),
        cmocka_unit_test(what_is_not_imported_is_named_once),
        cmocka_unit_test(a_device_is_seen_once),
        cmocka_unit_test(a_chunk_is_no_larger_than_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
