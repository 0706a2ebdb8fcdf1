/* SPDX-License-Identifier: Apache-2.0 */
/* See line.h. */
#include "client/dut/line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define DEAD_MS 150 /* how long a line stays dead that was dropped */
#define BOOT_MS 30  /* how long a unit takes to start */

static void say(const struct dut_line *line, const char *text) {
    if (line->watch)
        tty_write(&line->tty, bytes_str(text));
}

/* ---- power ---- */

static enum tm_err power_on(struct dut_line *line) {
    char text[WIRE_NAME_MAX + 64];
    enum tm_err err = unit_power_on(line->model, line->plugged, &line->unit);
    if (err)
        return err;
    line->powered = true;
    (void)snprintf(text, sizeof text, "\r\n%s starts, boot %" PRIu64 "\r\n", line->unit.id,
                   line->unit.boot);
    say(line, text);
    return TM_OK;
}

static void power_off(struct dut_line *line) {
    if (line->powered)
        unit_power_off(&line->unit);
    line->powered = false;
    memset(&line->lines, 0, sizeof line->lines);
}

static void power_comes_back(void *arg) {
    struct dut_line *line = arg;
    enum tm_err err = line->plugged[0] ? power_on(line) : TM_OK;
    if (err)
        log_error("%s does not start: %s", line->plugged, tm_err_name(err));
}

static void cut_power(struct dut_line *line) {
    power_off(line);
    if (line->watch)
        tty_flush(&line->tty);
    if (loop_timer_set(line->loop, &line->power, clock_mono_ms() + BOOT_MS))
        log_error("%s does not start again", line->plugged);
}

enum tm_err dut_line_plug(struct dut_line *line, const char *id) {
    loop_timer_stop(line->loop, &line->power);
    power_off(line);
    TEXT_SET(line->plugged, id);
    return id[0] ? power_on(line) : TM_OK;
}

/* ---- the terminal ---- */

static void on_terminal(void *arg, uint32_t events);

static enum tm_err open_terminal(struct dut_line *line) {
    enum tm_err err = tty_open(line->link, &line->tty);
    if (!err)
        err = loop_add(line->loop, line->tty.master, EPOLLIN, on_terminal, line, &line->watch);
    if (err) {
        tty_close(&line->tty);
        return err;
    }
    return printf("%s\n", line->link ? line->link : line->tty.path) < 0 || fflush(stdout) ? TM_EIO
                                                                                          : TM_OK;
}

static void close_terminal(struct dut_line *line) {
    loop_remove(line->watch);
    line->watch = NULL;
    tty_close(&line->tty);
    memset(&line->lines, 0, sizeof line->lines);
}

static void line_comes_back(void *arg) {
    struct dut_line *line = arg;
    if (open_terminal(line))
        log_error("the line does not come back");
}

static void drop_line(struct dut_line *line) {
    close_terminal(line);
    if (loop_timer_set(line->loop, &line->repair, clock_mono_ms() + DEAD_MS))
        log_error("the line does not come back");
}

/* ---- questions ---- */

static void wait_ms(uint64_t ms) {
    const struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000L};
    (void)nanosleep(&pause, NULL);
}

static void make_noise(const struct dut_line *line) {
    char overlong[2 * WIRE_LINE_MAX];
    memset(overlong, '#', sizeof overlong - 2);
    memcpy(overlong + sizeof overlong - 2, "\n", 2);
    say(line, "\xff\xfe[  12.345678] usb 1-1: reset {\"id\":1,\"ok\":tr\r\n{\"id\":1}\n");
    say(line, overlong);
}

/* False: the question is lost. */
static bool happens_before(struct dut_line *line) {
    struct faults *faults = &line->faults;
    if (faults_due(&faults->drop_line)) {
        drop_line(line);
        return false;
    }
    if (faults_due(&faults->swap) && dut_line_plug(line, faults->swap_to)) {
        log_error("%s cannot be plugged in", faults->swap_to);
        return false;
    }
    return true;
}

/* True: in the middle of this question the power goes. */
static bool power_goes(struct dut_line *line) {
    if (!faults_due(&line->faults.power_cut))
        return false;
    if (line->faults.power_cut_writes != FLASH_UNLIMITED)
        line->unit.flash.writes_left = line->faults.power_cut_writes;
    return true;
}

static void take_line(struct dut_line *line, struct bytes text) {
    uint8_t octets[WIRE_LINE_MAX], own[WIRE_LINE_MAX];
    struct buf answer = BUF_ON(octets), copy = BUF_ON(own); /* another unit forgets the text */
    buf_put(&copy, text);
    struct bytes question = buf_bytes(&copy);
    if (question.n == 0 || !happens_before(line))
        return;
    bool cut = power_goes(line);
    if (cut && line->faults.power_cut_writes == FLASH_UNLIMITED) {
        cut_power(line);
        return;
    }
    enum tm_err err = unit_answer(&line->unit, &line->faults, question, &answer);
    if (cut || err == TM_ECLOSED) {
        cut_power(line);
        return;
    }
    if (err)
        log_error("%s: %s", line->unit.id, tm_err_name(err));
    wait_ms(line->faults.slow_ms);
    if (line->faults.garbage)
        make_noise(line);
    tty_write(&line->tty, buf_bytes(&answer));
}

/* A question that is read to its end may have ended the line, the unit or both. */
static void on_terminal(void *arg, uint32_t events) {
    struct dut_line *line = arg;
    uint8_t octets[4096];
    size_t n = 0;
    (void)events;
    if (tty_read(&line->tty, octets, sizeof octets, &n))
        return;
    struct bytes in = {octets, n}, question;
    while (line->watch && line->powered && wire_lines_take(&line->lines, &in, &question))
        take_line(line, question);
}

/* ---- open and close ---- */

enum tm_err dut_line_open(struct loop *loop, const struct unit_model *model, const char *link,
                          struct dut_line *ret) {
    memset(ret, 0, sizeof *ret);
    ret->loop = loop;
    ret->model = model;
    ret->link = link;
    ret->repair = (struct loop_timer){.fn = line_comes_back, .arg = ret};
    ret->power = (struct loop_timer){.fn = power_comes_back, .arg = ret};
    return open_terminal(ret);
}

void dut_line_close(struct dut_line *line) {
    loop_timer_stop(line->loop, &line->repair);
    loop_timer_stop(line->loop, &line->power);
    power_off(line);
    close_terminal(line);
}
