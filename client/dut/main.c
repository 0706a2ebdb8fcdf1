/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark-dut: command line of the simulated unit. */
#include <argp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/dut/control.h"

const char *argp_program_version = "touchmark-dut " TOUCHMARK_VERSION;

struct arguments {
    struct unit_model model;
    const char *link, *control, *id;
    struct faults faults;
};

enum { OPTION_PRODUCT = 256, OPTION_HARDWARE, OPTION_FIRMWARE };

static const struct argp_option options[] = {
    {"flash", 'f', "FOLDER", 0, "where units keep what they do not lose, a folder each", 0},
    {"link", 'l', "PATH", 0, "let PATH lead to the pseudo terminal", 0},
    {"control", 'c', "PATH", 0, "take commands at this Unix socket", 0},
    {"fault", 'x', "FAULT", 0, "what goes wrong; may be given several times", 0},
    {"product", OPTION_PRODUCT, "NAME", 0, "what hello says, by default \"simulator\"", 0},
    {"hardware", OPTION_HARDWARE, "REVISION", 0, "likewise, by default \"A\"", 0},
    {"firmware", OPTION_FIRMWARE, "VERSION", 0, "likewise, by default \"1.0\"", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'f':
        a->model.flash = value;
        return 0;
    case 'l':
        a->link = value;
        return 0;
    case 'c':
        a->control = value;
        return 0;
    case 'x':
        if (faults_set(&a->faults, value))
            argp_error(state, "there is no fault \"%s\"", value);
        return 0;
    case OPTION_PRODUCT:
        a->model.product = value;
        return 0;
    case OPTION_HARDWARE:
        a->model.hardware = value;
        return 0;
    case OPTION_FIRMWARE:
        a->model.firmware = value;
        return 0;
    case ARGP_KEY_ARG:
        if (a->id)
            argp_error(state, "one unit is plugged in at a time");
        a->id = value;
        return 0;
    case ARGP_KEY_END:
        if (!a->model.flash)
            argp_error(state, "--flash is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void on_signal(void *loop, uint32_t events) {
    (void)events;
    loop_stop(loop);
}

static enum tm_err watch_signals(struct loop *loop, int *ret_fd) {
    struct loop_fd *watch;
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    *ret_fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
    return *ret_fd < 0 ? TM_EIO : loop_add(loop, *ret_fd, EPOLLIN, on_signal, loop, &watch);
}

static enum tm_err serve(struct loop *loop, struct dut_line *line, const struct arguments *a) {
    struct dut_control control;
    enum tm_err err = TM_OK;
    line->faults = a->faults;
    if (a->id)
        err = dut_line_plug(line, a->id);
    if (!err && a->control)
        err = dut_control_open(line, a->control, &control);
    if (err)
        return err;
    err = loop_run(loop);
    if (a->control)
        dut_control_close(&control);
    return err;
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[ID]",
        .doc = "Simulates units on a factory station's serial line (docs/stations.md), with what "
               "goes wrong there.\vFaults: drop-line:N, power-cut:N[:WRITES], swap:N:ID, slow:MS, "
               "garbage, wrong-key, refuses-lock, fails-test, bad-read; N counts questions."};
    static struct dut_line line;
    struct arguments a = {.model = {.product = "simulator", .hardware = "A", .firmware = "1.0"}};
    struct loop *loop = NULL;
    AUTO_FD int signal_fd = -1;
    if (argp_parse(&argp, argc, argv, 0, NULL, &a))
        return EX_USAGE;
    log_open("dut", LOG_LEVEL_INFO);
    enum tm_err err = loop_new(&loop);
    if (!err)
        err = watch_signals(loop, &signal_fd);
    if (!err)
        err = dut_line_open(loop, &a.model, a.link, &line);
    if (!err) {
        err = serve(loop, &line, &a);
        dut_line_close(&line);
    }
    if (err)
        log_error("ends: %s", tm_err_name(err));
    loop_free(loop);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
