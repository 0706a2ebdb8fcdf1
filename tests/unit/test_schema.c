/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML loader: every type, every refusal with its line, bounds, sample and manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "conf/schema.h"

struct part {
    char *name;
    unsigned mode;
};
struct thing {
    char *text;
    char *file;
    char *pin;
    uint64_t count;
    bool on;
    unsigned mode;
    unsigned flags;
    int64_t wait;
    uint64_t room;
    int64_t until;
    struct conf_strings names;
    struct part part;
    struct conf_list parts;
};

static const char *const words[] = {"red", "green", "blue", NULL};
static const char *const kept[] = {"credential:", NULL};
static const struct conf_row part_rows[] = {
    {.key = "name", .type = CONF_NAME, .offset = offsetof(struct part, name), .help = "The name."},
    {.key = "mode",
     .type = CONF_ENUM,
     .offset = offsetof(struct part, mode),
     .preset = "green",
     .words = words,
     .help = "The mode."},
    {.key = NULL},
};
#define AT(member) .offset = offsetof(struct thing, member)
static const struct conf_row rows[] = {
    {.key = "text", .type = CONF_STRING, AT(text), .preset = "", .max = 8, .help = "A text."},
    {.key = "file", .type = CONF_PATH, AT(file), .preset = "some/file", .help = "A file."},
    {.key = "pin", .type = CONF_PATH, AT(pin), .preset = "", .words = kept, .help = "A PIN."},
    {.key = "count", .type = CONF_UINT, AT(count), .preset = "3", .min = 1, .max = 9, .help = "N."},
    {.key = "on", .type = CONF_BOOL, AT(on), .preset = "true", .help = "A switch."},
    {.key = "mode", .type = CONF_ENUM, AT(mode), .preset = "", .words = words, .help = "A mode."},
    {.key = "flags",
     .type = CONF_FLAGS,
     AT(flags),
     .preset = "[red, blue]",
     .words = words,
     .help = "Colours."},
    {.key = "wait",
     .type = CONF_DURATION,
     AT(wait),
     .preset = "250ms",
     .max = 86400000,
     .help = "A wait."},
    {.key = "room", .type = CONF_SIZE, AT(room), .preset = "64KiB", .help = "Room."},
    {.key = "until", .type = CONF_TIME, AT(until), .preset = "", .help = "An end."},
    {.key = "names", .type = CONF_STRINGS, AT(names), .preset = "", .max = 3, .help = "Names."},
    {.key = "part", .type = CONF_GROUP, AT(part), .rows = part_rows, .help = "A part."},
    {.key = "parts",
     .type = CONF_LIST,
     AT(parts),
     .preset = "",
     .max = 2,
     .rows = part_rows,
     .elem_size = sizeof(struct part),
     .help = "Parts."},
    {.key = NULL},
};

static enum tm_err load(const char *text, struct thing *ret, char error[CONF_ERROR_MAX]) {
    return conf_load_text(text, strlen(text), "/etc/x.yaml", rows, ret, sizeof(*ret), error);
}

static void drop(struct thing *thing) {
    static const struct thing zero;
    conf_free(rows, thing, sizeof(*thing));
    assert_memory_equal(thing, &zero, sizeof(zero));
}

static void loads_defaults(void **state) {
    (void)state;
    struct thing t;
    char error[CONF_ERROR_MAX];
    assert_int_equal(load("part: {name: a}\n", &t, error), TM_OK);
    assert_null(t.text);
    assert_string_equal(t.file, "/etc/some/file");
    assert_null(t.pin);
    assert_int_equal(t.count, 3);
    assert_true(t.on);
    assert_int_equal(t.mode, 0);
    assert_int_equal(t.flags, 5);
    assert_int_equal(t.wait, 250);
    assert_int_equal(t.room, 65536);
    assert_int_equal(t.until, 0);
    assert_int_equal(t.names.count, 0);
    assert_string_equal(t.part.name, "a");
    assert_int_equal(t.part.mode, 1);
    assert_int_equal(t.parts.count, 0);
    drop(&t);
}

static void loads_every_type(void **state) {
    (void)state;
    static const char text[] = "text: \"12345678\"\n"
                               "file: /abs/file\n"
                               "pin: credential:pin\n"
                               "count: 9\n"
                               "on: false\n"
                               "mode: blue\n"
                               "flags: [green]\n"
                               "wait: 24h\n"
                               "room: 2GiB\n"
                               "until: 99991231235959Z\n"
                               "names: [a, 'b c']\n"
                               "part:\n"
                               "  name: A.b_c~d-9\n"
                               "  mode: red\n"
                               "parts:\n"
                               "  - name: x\n"
                               "  - {name: y, mode: blue}\n";
    struct thing t;
    char error[CONF_ERROR_MAX];
    assert_int_equal(load(text, &t, error), TM_OK);
    assert_string_equal(t.text, "12345678");
    assert_string_equal(t.file, "/abs/file");
    assert_string_equal(t.pin, "credential:pin");
    assert_int_equal(t.count, 9);
    assert_false(t.on);
    assert_int_equal(t.mode, 2);
    assert_int_equal(t.flags, 2);
    assert_int_equal(t.wait, 86400000);
    assert_int_equal(t.room, UINT64_C(2) << 30);
    assert_int_equal(t.until, INT64_C(253402300799000));
    assert_int_equal(t.names.count, 2);
    assert_string_equal(t.names.items[1], "b c");
    assert_string_equal(t.part.name, "A.b_c~d-9");
    const struct part *parts = t.parts.items;
    assert_int_equal(t.parts.count, 2);
    assert_string_equal(parts[1].name, "y");
    assert_int_equal(parts[1].mode, 2);
    assert_int_equal(parts[0].mode, 1);
    drop(&t);
}

static void reads_units_and_times(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t wait;
        uint64_t room;
        int64_t until;
    } cases[] = {
        {"wait: 0s\nroom: 512\nuntil: 1970-01-01T00:00:00Z\n", 0, 512, 0},
        {"wait: 5m\nroom: 1TiB\nuntil: 2000-02-29T12:00:01Z\n", 300000, UINT64_C(1) << 40,
         INT64_C(951825601000)},
        {"wait: 1d\nroom: 16MiB\nuntil: 20300131000000Z\n", 86400000, 16777216,
         INT64_C(1896048000000)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct thing t;
        char text[256], error[CONF_ERROR_MAX];
        (void)snprintf(text, sizeof(text), "part: {name: a}\n%s", cases[i].text);
        assert_int_equal(load(text, &t, error), TM_OK);
        assert_int_equal(t.wait, cases[i].wait);
        assert_int_equal(t.room, cases[i].room);
        assert_int_equal(t.until, cases[i].until);
        drop(&t);
    }
}

static void empty_text_is_absent(void **state) {
    (void)state;
    struct thing t;
    char error[CONF_ERROR_MAX];
    assert_int_equal(load("part: {name: a}\ntext: ''\npin: ''\n", &t, error), TM_OK);
    assert_null(t.text);
    assert_null(t.pin);
    drop(&t);
}

/* Every refusal names the line, the key and what is allowed. */
static void refuses_with_line(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"", "/etc/x.yaml:1: part.name: is missing; must be a name of 1 to 64"},
        {"part:\n", "/etc/x.yaml:1: part.name: is missing"},
        {"part: {name: a}\ncuont: 1\n",
         "/etc/x.yaml:2: cuont: unknown key; did you mean count? Known are: text, file"},
        {"part:\n  name: a\n  zzzzzz: 1\n",
         "/etc/x.yaml:3: part.zzzzzz: unknown key; known are: name, mode"},
        {"part: {name: a}\ncount: 10\n",
         "/etc/x.yaml:2: count: \"10\" is not allowed; must be a whole number from 1 to 9"},
        {"count: 0\n", "count: \"0\" is not allowed"},
        {"count: -1\n", "count: \"-1\" is not allowed"},
        {"count: 0x5\n", "count: \"0x5\" is not allowed"},
        {"count: 18446744073709551617\n", "count: \"18446744073709551617\" is not allowed"},
        {"count: [1]\n", "count: a list is not allowed; must be a whole number"},
        {"count: {a: 1}\n", "count: a mapping is not allowed"},
        {"count:\n", "count: has no value; must be"},
        {"count: ~\n", "count: has no value; must be"},
        {"on: yes\n", "on: \"yes\" is not allowed; must be true or false"},
        {"mode: gren\n", "mode: \"gren\" is not allowed; must be one of red, green, blue"},
        {"flags: red\n", "flags: \"red\" is not allowed; must be a list of some of red"},
        {"flags: [red, pink]\n", "flags: \"pink\" is not allowed"},
        {"flags: [red, red]\n", "flags: red is given twice"},
        {"wait: 10\n", "wait: \"10\" is not allowed; must be a duration (ms, s, m, h, d) from 0s"},
        {"wait: 25h\n", "wait: \"25h\" is not allowed"},
        {"wait: 9999999999999999d\n", "wait: \"9999999999999999d\" is not allowed"},
        {"room: 1KB\n", "room: \"1KB\" is not allowed; must be a size (KiB, MiB"},
        {"until: 2026-02-30T00:00:00Z\n", "until: \"2026-02-30T00:00:00Z\" is not allowed"},
        {"until: 2026-01-01T00:00:00+01:00\n", "until: \"2026"},
        {"text: '123456789'\n", "text: \"123456789\" is not allowed; must be text of 0 to 8"},
        {"file: ''\n", "file: \"\" is not allowed; must be a path"},
        {"names: [a, b, c, d]\n", "names: has 4 entries; must be a list of 0 to 3 texts"},
        {"names: [a, '']\n", "names: \"\" is not allowed; must be text of 1"},
        {"names: a\n", "names: \"a\" is not allowed; must be a list"},
        {"part:\n  name: a/b\n", "/etc/x.yaml:2: part.name: \"a/b\" is not allowed"},
        {"part: {name: a}\nparts: [a]\n", "parts: each entry must be a mapping"},
        {"part: {name: a}\nparts:\n  - name: a\n  - mode: red\n",
         "/etc/x.yaml:4: parts.name: is missing"},
        {"part: {name: a}\nparts: [{name: a}, {name: b}, {name: c}]\n",
         "parts: has 3 entries; must be a list of 0 to 2 mappings"},
        {"count: 1\non: true\ncount: 2\n", "/etc/x.yaml:3: count: given twice, first in line 1"},
        {"text: &a x\n", "/etc/x.yaml:1: anchors (&) are not taken"},
        {"part: &a {name: x}\n", "anchors (&) are not taken"},
        {"names: &a [x]\n", "anchors (&) are not taken"},
        {"text: *a\n", "/etc/x.yaml:1: aliases (*) are not taken"},
        {"text: !!str x\n", "tags (!) are not taken"},
        {"part: !x {name: x}\n", "tags (!) are not taken"},
        {"[a]: x\n", "a key must be plain text"},
        {"text: \"a\\0b\"\n", "control characters and line breaks are not taken"},
        {"text: |\n  a\n  b\n", "control characters and line breaks are not taken"},
        {"part: {name: a}\n---\npart: {name: b}\n", "/etc/x.yaml:2: a second document"},
        {"- a\n", "/etc/x.yaml:1: the document must be a mapping of keys"},
        {"word\n", "the document must be a mapping of keys"},
        {"part: {name: a\n", "not YAML: "},
        {"a: b: c\n", "/etc/x.yaml:1: not YAML: "},
        {"text: \xff\n", "not YAML: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct thing t;
        char error[CONF_ERROR_MAX] = "";
        enum tm_err err = load(cases[i].text, &t, error);
        if (err != TM_EPARSE || !strstr(error, cases[i].error))
            fail_msg("%s gives %d: %s", cases[i].text, err, error);
        static const struct thing zero;
        assert_memory_equal(&t, &zero, sizeof(zero));
    }
}

static void bounds_nesting(void **state) {
    (void)state;
    struct thing t;
    char error[CONF_ERROR_MAX];
    assert_int_equal(load("x: [[[[[[[[1]]]]]]]]\n", &t, error), TM_ELIMIT);
    assert_non_null(strstr(error, "/etc/x.yaml:1: nested too deep"));
}

static void bounds_size(void **state) {
    (void)state;
    struct thing t;
    char error[CONF_ERROR_MAX];
    size_t n = 1024 * 1024 + 1;
    AUTO_MEM char *text = malloc(n);
    assert_non_null(text);
    memset(text, '#', n);
    assert_int_equal(conf_load_text(text, n - 1, "x", rows, &t, sizeof(t), error), TM_EPARSE);
    assert_int_equal(conf_load_text(text, n, "x", rows, &t, sizeof(t), error), TM_ELIMIT);
    assert_non_null(strstr(error, "longer than 1 MiB"));
}

static void bounds_values(void **state) {
    (void)state;
    struct thing t;
    char error[CONF_ERROR_MAX];
    enum { ITEMS = 70000 };
    AUTO_MEM char *text = malloc(ITEMS * 2 + 16);
    assert_non_null(text);
    char *at = stpcpy(text, "names: [");
    for (int i = 0; i < ITEMS; i++)
        at = stpcpy(at, "a,");
    strcpy(at, "]\n");
    assert_int_equal(load(text, &t, error), TM_ELIMIT);
    assert_non_null(strstr(error, "too many values"));
}

static void refuses_utf16(void **state) {
    (void)state;
    static const char text[] = "\xff\xfe"
                               "a\0:\0 \0b\0";
    struct thing t;
    char error[CONF_ERROR_MAX];
    assert_int_equal(conf_load_text(text, sizeof(text) - 1, "x", rows, &t, sizeof(t), error),
                     TM_EPARSE);
}

static void long_names_are_cut(void **state) {
    (void)state;
    struct thing t;
    char name[2000], error[CONF_ERROR_MAX];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(conf_load_text("x", 1, name, rows, &t, sizeof(t), error), TM_EPARSE);
    assert_int_equal(strlen(error), CONF_ERROR_MAX - 1);
}

static void reports_missing_file(void **state) {
    (void)state;
    struct thing t;
    char error[CONF_ERROR_MAX];
    assert_int_equal(conf_load_file("/nonexistent/x.yaml", rows, &t, sizeof(t), error), TM_EIO);
    assert_string_equal(error, "/nonexistent/x.yaml: No such file or directory");
    assert_int_equal(conf_load_file("/", rows, &t, sizeof(t), error), TM_EIO);
    assert_string_equal(error, "/: Is a directory");
}

static void loads_file_with_relative_paths(void **state) {
    (void)state;
    char folder[] = "/tmp/touchmark-schema-XXXXXX", path[64], wanted[64], error[CONF_ERROR_MAX];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/x.yaml", folder);
    (void)snprintf(wanted, sizeof(wanted), "%s/../f", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("part: {name: a}\nfile: ./../f\n", file);
    assert_int_equal(fclose(file), 0);
    struct thing t;
    enum tm_err err = conf_load_file(path, rows, &t, sizeof(t), error);
    (void)unlink(path);
    (void)rmdir(folder);
    assert_int_equal(err, TM_OK);
    assert_string_equal(t.file, wanted);
    drop(&t);
}

static void refuse_names_the_line(void **state) {
    (void)state;
    static const char text[] = "part: {name: a}\nparts:\n  - name: a\n  - name: b\n    mode: red\n";
    static const struct {
        const char *path;
        const char *error;
    } cases[] = {
        {"parts[1].mode", "f:5: parts.mode: no 7"}, {"parts[1].name", "f:4: parts.name: no 7"},
        {"parts[9].name", "f:2: parts.name: no 7"}, {"parts[0].gone", "f:3: parts.gone: no 7"},
        {"gone.key", "f:1: gone.key: no 7"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char error[CONF_ERROR_MAX];
        assert_int_equal(conf_refuse(text, sizeof(text) - 1, "f", cases[i].path, error, "no %d", 7),
                         TM_EPARSE);
        assert_string_equal(error, cases[i].error);
    }
}

static char *printed(void (*print)(const struct conf_row *, FILE *)) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    print(rows, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Turns "#key:" and "#  key:" into live lines and leaves "# words" alone. */
static void uncomment(char *text) {
    char *to = text;
    for (char *line = text; *line;) {
        char *hash = line + strspn(line, " ");
        bool off = *hash == '#' && !(hash[1] == ' ' && hash[2] != ' ');
        for (; *line && *line != '\n'; line++)
            if (!(off && line == hash))
                *to++ = *line;
        if (*line)
            *to++ = *line++;
    }
    *to = '\0';
}

static void sample_loads(void **state) {
    (void)state;
    AUTO_MEM char *text = printed(conf_print_sample);
    struct thing t;
    char error[CONF_ERROR_MAX] = "";
    assert_int_equal(load(text, &t, error), TM_OK);
    assert_int_equal(t.parts.count, 0);
    drop(&t);
    uncomment(text);
    if (load(text, &t, error))
        fail_msg("%s\n%s", error, text);
    assert_int_equal(t.parts.count, 1);
    assert_int_equal(t.flags, 5);
    drop(&t);
}

static void manual_escapes(void **state) {
    (void)state;
    AUTO_MEM char *text = printed(conf_print_manual);
    assert_non_null(strstr(text, "\n\\fBwait\\fR\nA wait.\nMust be a duration"));
    assert_non_null(strstr(text, "\\fB250ms\\fR"));
    assert_non_null(strstr(text, ". _ \\(ti \\-."));
    assert_non_null(strstr(text, ".SS parts\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_defaults),        cmocka_unit_test(loads_every_type),
        cmocka_unit_test(reads_units_and_times), cmocka_unit_test(empty_text_is_absent),
        cmocka_unit_test(refuses_with_line),     cmocka_unit_test(bounds_nesting),
        cmocka_unit_test(bounds_size),           cmocka_unit_test(bounds_values),
        cmocka_unit_test(refuses_utf16),         cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(reports_missing_file),  cmocka_unit_test(loads_file_with_relative_paths),
        cmocka_unit_test(refuse_names_the_line), cmocka_unit_test(sample_loads),
        cmocka_unit_test(manual_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
