/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of this folder: a SoftHSM of the test's own in a new temporary folder, named
 * to the module by SOFTHSM2_CONF, and removed afterwards with all that is in the folder.
 */
#ifndef TOUCHMARK_TESTS_HSM_SOFTHSM_H
#define TOUCHMARK_TESTS_HSM_SOFTHSM_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SOFTHSM_MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define SOFTHSM_PIN "4711-user"
#define SOFTHSM_SO_PIN "0815-officer"

struct softhsm {
    char folder[64];
    char conf[128];
};

__attribute__((unused)) static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

__attribute__((unused)) static void softhsm_setup(struct softhsm *hsm) {
    char text[256], tokens[128];
    (void)snprintf(hsm->folder, sizeof hsm->folder, "/tmp/touchmark-hsm-XXXXXX");
    assert_non_null(mkdtemp(hsm->folder));
    (void)snprintf(hsm->conf, sizeof hsm->conf, "%s/softhsm2.conf", hsm->folder);
    (void)snprintf(tokens, sizeof tokens, "%s/tokens", hsm->folder);
    assert_int_equal(mkdir(tokens, 0700), 0);
    (void)snprintf(text, sizeof text,
                   "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
                   tokens);
    write_text(hsm->conf, text);
    assert_int_equal(setenv("SOFTHSM2_CONF", hsm->conf, 1), 0);
}

__attribute__((unused)) static int softhsm_remove_one(const char *path, const struct stat *st,
                                                      int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

__attribute__((unused)) static void softhsm_teardown(const struct softhsm *hsm) {
    assert_int_equal(nftw(hsm->folder, softhsm_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Runs part of a test in a process of its own that ends without looking for leaks: SoftHSM 2.6.1
 * leaks two strings per Ed25519 operation, libp11 0.4.12 a slot when listing them fails. */
__attribute__((unused)) static void in_child(void (*part)(void *arg), void *arg) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        part(arg);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#endif
