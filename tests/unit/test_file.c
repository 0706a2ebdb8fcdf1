/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing a file as a whole: its content, whose it is, and what a cut process left. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/file.h"

struct place {
    char folder[32];
    char path[64];
    char temporary[80];
};

static int make_place(void **state) {
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/touchmark-file-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->path, sizeof place->path, "%s/key", place->folder);
    (void)snprintf(place->temporary, sizeof place->temporary, "%s.new", place->path);
    *state = place;
    return 0;
}

/* Nothing but the file itself may be left in the folder. */
static int remove_place(void **state) {
    struct place *place = *state;
    (void)unlink(place->path);
    int left = rmdir(place->folder);
    free(place);
    return left;
}

static void assert_file(const char *path, const char *content, mode_t mode) {
    char text[64] = "";
    struct stat st;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof text - 1) >= 0);
    assert_string_equal(text, content);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, mode);
}

static void put(const char *path, const char *content, mode_t mode) {
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, bytes_str(content)), TM_OK);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void a_new_one_has_the_mode_that_is_said(void **state) {
    const struct place *place = *state;
    assert_int_equal(file_replace(place->path, bytes_str("new"), 0600), TM_OK);
    assert_file(place->path, "new", 0600);
}

static void what_replaces_another_has_its_mode(void **state) {
    const struct place *place = *state;
    put(place->path, "a longer old one", 0640);
    assert_int_equal(file_replace(place->path, bytes_str("new"), 0644), TM_OK);
    assert_file(place->path, "new", 0640);
}

/* What a process left that was cut short is neither in the way nor lends its mode. */
static void what_was_left_is_not_used(void **state) {
    const struct place *place = *state;
    put(place->temporary, "half of something longer", 0666);
    assert_int_equal(file_replace(place->path, bytes_str("new"), 0600), TM_OK);
    assert_file(place->path, "new", 0600);
}

/* A reader that has the old one open reads it to its end. */
static void readers_see_one_or_the_other(void **state) {
    const struct place *place = *state;
    char text[8] = "";
    put(place->path, "old", 0600);
    AUTO_FD int fd = open(place->path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_replace(place->path, bytes_str("new"), 0600), TM_OK);
    assert_int_equal(read(fd, text, sizeof text - 1), 3);
    assert_string_equal(text, "old");
    assert_file(place->path, "new", 0600);
}

static void a_failure_says_why(void **state) {
    const struct place *place = *state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/none/key", place->folder);
    errno = 0;
    assert_int_equal(file_replace(path, bytes_str("new"), 0600), TM_EIO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(file_sync_folder(path), TM_EIO);
    assert_int_equal(file_sync_folder(place->path), TM_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_new_one_has_the_mode_that_is_said),
        TEST(what_replaces_another_has_its_mode),
        TEST(what_was_left_is_not_used),
        TEST(readers_see_one_or_the_other),
        TEST(a_failure_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
