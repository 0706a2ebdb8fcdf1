/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The touchmarkd program as a user starts it, as far as it gets without a token and a store: what
 * --check says, what it ends with when it cannot serve, and that it leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#define PATH_MAX_HERE 256
#define OUTPUT_MAX 65536

struct fixture {
    char folder[64];
    char conf[PATH_MAX_HERE];
    char run_dir[PATH_MAX_HERE];
    char output[OUTPUT_MAX]; /* standard output and error of the last run */
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f)
        return -1;
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/touchmark-touchmarkd-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    (void)snprintf(f->conf, sizeof f->conf, "%s/touchmark.yaml", f->folder);
    (void)snprintf(f->run_dir, sizeof f->run_dir, "%s/run", f->folder);
    return mkdir(f->run_dir, 0700);
}

static void in_folder(const struct fixture *f, const char *name, char ret[PATH_MAX_HERE]) {
    (void)snprintf(ret, PATH_MAX_HERE, "%s/%s", f->folder, name);
}

static void remove_in_folder(const struct fixture *f, const char *name) {
    char path[PATH_MAX_HERE];
    in_folder(f, name, path);
    (void)remove(path);
}

/* The run folder has to be empty: that is part of every test. */
static int teardown(void **state) {
    struct fixture *f = *state;
    remove_in_folder(f, "touchmark.yaml");
    remove_in_folder(f, "output");
    int failed = rmdir(f->run_dir) || rmdir(f->folder);
    free(f);
    return failed;
}

static void write_conf(const struct fixture *f, const char *more) {
    FILE *file = fopen(f->conf, "w");
    assert_non_null(file);
    (void)fprintf(
        file,
        "environment: test\n"
        "profiles_dir: %s\n"
        "process: {user: '', run_dir: %s}\n"
        "tls: {self_issue: false}\n"
        "signer: {token: none, pin_file: %s/none}\n"
        "core: {store: %s/none, admin_socket: %s/admin.sock}\n"
        "issuers: [{name: ca, key_label: ca, certificate: %s/no-ca.pem, chain: %s/none}]\n"
        "tenants: [{name: acme, issuer: ca}]\n"
        "labels: [{label: idevid, tenant: acme, profile: idevid}]\n"
        "%s",
        f->folder, f->run_dir, f->folder, f->folder, f->run_dir, f->folder, f->folder, more);
    assert_int_equal(fclose(file), 0);
}

#define LISTEN_ANY "listen: {address: 127.0.0.1, port: 0}\n"

static void read_output(struct fixture *f, const char *path) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(f->output, 1, sizeof f->output - 1, file);
    f->output[n] = '\0';
    (void)fclose(file);
}

static void become_touchmarkd(const char *output, char *const argv[]) {
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    (void)alarm(300); /* outlives exec: none of these runs may serve */
    if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0)
        (void)execv(TOUCHMARKD, argv);
    _exit(127);
}

/* Runs touchmarkd to its end; its exit code. */
static int run(struct fixture *f, const char *first, const char *second, const char *third) {
    char output[PATH_MAX_HERE];
    char *const argv[] = {strdup("touchmarkd"), first ? strdup(first) : NULL,
                          second ? strdup(second) : NULL, third ? strdup(third) : NULL, NULL};
    int status = 0;
    in_folder(f, "output", output);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become_touchmarkd(output, argv);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (size_t i = 0; argv[i]; i++)
        free(argv[i]);
    read_output(f, output);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_said(const struct fixture *f, const char *text) {
    if (!strstr(f->output, text))
        fail_msg("\"%s\" is not in:\n%s", text, f->output);
}

static void assert_serving_fails(struct fixture *f, int exit_code, const char *text) {
    assert_int_equal(run(f, "--conf", f->conf, NULL), exit_code);
    assert_said(f, text);
}

/* ---- tests ---- */

static void test_version_and_help(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, "--version", NULL, NULL), 0);
    assert_string_equal(f->output, "touchmarkd " TOUCHMARK_VERSION "\n");
    assert_int_equal(run(f, "--help", NULL, NULL), 0);
    assert_said(f, "--check");
    assert_null(strstr(f->output, "--role"));
    assert_int_equal(run(f, "--no-such-option", NULL, NULL), 64);
}

static void test_check_names_file_and_line(void **state) {
    struct fixture *f = *state;
    char place[PATH_MAX_HERE + 16];
    write_conf(f, LISTEN_ANY "unheard_of: 1\n");
    (void)snprintf(place, sizeof place, "%s:11: unheard_of", f->conf);
    assert_int_equal(run(f, "--check", "--conf", f->conf), 78);
    assert_int_equal(strncmp(f->output, place, strlen(place)), 0);
    assert_serving_fails(f, 78, place);
}

static void test_check_reads_the_files_that_are_named(void **state) {
    struct fixture *f = *state;
    write_conf(f, LISTEN_ANY);
    assert_int_equal(run(f, "--check", "--conf", f->conf), 78);
    assert_said(f, "no-ca.pem");
}

static void test_no_configuration(void **state) {
    struct fixture *f = *state;
    assert_serving_fails(f, 78, "No such file");
    assert_said(f, f->conf);
}

static void test_user_that_does_not_exist(void **state) {
    struct fixture *f = *state;
    if (geteuid() != 0)
        return; /* only root changes its user, and so only root has to know it */
    write_conf(f, LISTEN_ANY);
    FILE *file = fopen(f->conf, "r+");
    assert_non_null(file);
    char text[4096];
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    char *user = strstr(text, "user: ''");
    assert_non_null(user);
    memcpy(user, "user: qq", 8);
    rewind(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    assert_serving_fails(f, 78, "there is no system user \\\"qq\\\"");
}

static void test_unknown_role(void **state) {
    struct fixture *f = *state;
    assert_int_equal(run(f, "--role=butler", NULL, NULL), 78);
    assert_int_equal(run(f, "--role=front-x", NULL, NULL), 78);
    assert_int_equal(run(f, "--role=core7", NULL, NULL), 78);
}

/* Roles that cannot work with the configuration end it all at the first start. */
static void test_gives_up_at_first_start(void **state) {
    struct fixture *f = *state;
    write_conf(f, LISTEN_ANY);
    assert_serving_fails(f, 78, "no-ca.pem");
    assert_said(f, "giving up");
}

static void test_run_dir_that_cannot_be(void **state) {
    struct fixture *f = *state;
    write_conf(f, LISTEN_ANY);
    assert_int_equal(rmdir(f->run_dir), 0);
    FILE *file = fopen(f->run_dir, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_serving_fails(f, 70, "touchmarkd.pid");
    assert_int_equal(unlink(f->run_dir), 0);
    assert_int_equal(mkdir(f->run_dir, 0700), 0);
}

static void test_second_instance(void **state) {
    struct fixture *f = *state;
    char pid_file[PATH_MAX_HERE];
    write_conf(f, LISTEN_ANY);
    in_folder(f, "run/touchmarkd.pid", pid_file);
    int fd = open(pid_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_serving_fails(f, 70, "another touchmarkd runs");
    assert_int_equal(access(pid_file, F_OK), 0); /* the other's: not removed */
    assert_int_equal(unlink(pid_file), 0);
    (void)close(fd);
}

static void test_port_in_use(void **state) {
    struct fixture *f = *state;
    char more[128];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    (void)snprintf(more, sizeof more, "listen: {address: 127.0.0.1, port: %u}\n",
                   ntohs(address.sin_port));
    write_conf(f, more);
    assert_serving_fails(f, 70, "cannot listen on 127.0.0.1");
    (void)close(fd);
}

static int listen_on_admin_socket(const struct fixture *f, struct sockaddr_un *ret_address) {
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "%.90s/admin.sock",
                   f->run_dir);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)ret_address, sizeof *ret_address), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void test_admin_socket_in_use(void **state) {
    struct fixture *f = *state;
    struct sockaddr_un address;
    int fd = listen_on_admin_socket(f, &address);
    write_conf(f, LISTEN_ANY);
    assert_serving_fails(f, 70, "is in use");
    assert_int_equal(access(address.sun_path, F_OK), 0); /* it still serves its owner */
    (void)close(fd);
    assert_int_equal(unlink(address.sun_path), 0);
}

/* The file of a dead server is in nobody's way; a file that is no socket is not removed. */
static void test_admin_socket_left_over(void **state) {
    struct fixture *f = *state;
    struct sockaddr_un address;
    (void)close(listen_on_admin_socket(f, &address));
    write_conf(f, LISTEN_ANY);
    assert_serving_fails(f, 78, "giving up");
    assert_int_equal(access(address.sun_path, F_OK), -1);

    int fd = open(address.sun_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_serving_fails(f, 70, "is in use");
    assert_int_equal(unlink(address.sun_path), 0);
}

#define PROGRAM_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        PROGRAM_TEST(test_version_and_help),
        PROGRAM_TEST(test_check_names_file_and_line),
        PROGRAM_TEST(test_check_reads_the_files_that_are_named),
        PROGRAM_TEST(test_no_configuration),
        PROGRAM_TEST(test_user_that_does_not_exist),
        PROGRAM_TEST(test_unknown_role),
        PROGRAM_TEST(test_gives_up_at_first_start),
        PROGRAM_TEST(test_run_dir_that_cannot_be),
        PROGRAM_TEST(test_second_instance),
        PROGRAM_TEST(test_port_in_use),
        PROGRAM_TEST(test_admin_socket_in_use),
        PROGRAM_TEST(test_admin_socket_left_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
