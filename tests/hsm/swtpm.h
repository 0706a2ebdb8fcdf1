/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A software TPM of the test's own: swtpm as a child process on Unix sockets in a new temporary
 * folder, which also holds the TPM's state. It ends with the test, however that ends.
 */
#ifndef TOUCHMARK_TESTS_HSM_SWTPM_H
#define TOUCHMARK_TESTS_HSM_SWTPM_H

#include "softhsm.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

struct swtpm {
    char folder[64];
    char socket[96];
    char tcti[128];
    pid_t pid; /* 0: it does not run */
};

__attribute__((unused)) static void swtpm_setup(struct swtpm *tpm) {
    *tpm = (struct swtpm){.folder = "/tmp/touchmark-tpm-XXXXXX"};
    assert_non_null(mkdtemp(tpm->folder));
    (void)snprintf(tpm->socket, sizeof tpm->socket, "%s/socket", tpm->folder);
    (void)snprintf(tpm->tcti, sizeof tpm->tcti, "swtpm:path=%s", tpm->socket);
}

__attribute__((unused)) static void swtpm_exec(const struct swtpm *tpm, pid_t parent) {
    char state[96], server[128], control[128], pid[112], log[128];
    (void)snprintf(state, sizeof state, "dir=%s", tpm->folder);
    (void)snprintf(server, sizeof server, "type=unixio,path=%s", tpm->socket);
    (void)snprintf(control, sizeof control, "type=unixio,path=%s.ctrl", tpm->socket);
    (void)snprintf(pid, sizeof pid, "file=%s.pid", tpm->socket);
    (void)snprintf(log, sizeof log, "file=%s.log", tpm->socket);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        (void)execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
                     "--ctrl", control, "--flags", "not-need-init", "--pid", pid, "--log", log,
                     (char *)NULL);
    _exit(127);
}

/* Its sockets take connections when it returns: swtpm writes its PID, into a pipe here, after it
 * has begun to listen. */
__attribute__((unused)) static void swtpm_start(struct swtpm *tpm) {
    char path[112];
    (void)snprintf(path, sizeof path, "%s.pid", tpm->socket);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct pollfd said = {.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), .events = POLLIN};
    assert_true(said.fd >= 0);
    pid_t parent = getpid();
    tpm->pid = fork();
    assert_true(tpm->pid >= 0);
    if (tpm->pid == 0)
        swtpm_exec(tpm, parent);
    int ready = poll(&said, 1, 30000);
    (void)close(said.fd);
    (void)unlink(path);
    assert_int_equal(ready, 1); /* else swtpm did not start: is it installed? */
    assert_true(said.revents & POLLIN);
}

/* As when power fails: the TPM gets no TPM2_Shutdown. */
__attribute__((unused)) static void swtpm_stop(struct swtpm *tpm) {
    if (tpm->pid <= 0)
        return;
    int status = 0;
    assert_int_equal(kill(tpm->pid, SIGKILL), 0);
    assert_int_equal(waitpid(tpm->pid, &status, 0), tpm->pid);
    tpm->pid = 0;
    char control[112];
    (void)snprintf(control, sizeof control, "%s.ctrl", tpm->socket);
    (void)unlink(tpm->socket);
    (void)unlink(control);
}

__attribute__((unused)) static void swtpm_teardown(struct swtpm *tpm) {
    swtpm_stop(tpm);
    assert_int_equal(nftw(tpm->folder, softhsm_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
