/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Supervisor and core of status roles, driven by a test: starts `touchmarkd --role=status` on one
 * listening socket as the supervisor does, links each to a core whose part it takes itself, and
 * does what standard input says, one line each. What happens goes to standard output.
 *
 *     statusc TOUCHMARKD CONF
 *
 *     start [CRASH]                           port N (once), started I PID, ready I
 *     link I | unlink I | drain I | stop I | kill I
 *                                             ended I exit|signal N
 *     publish I KIND ISSUER OBJECT NUMBER FILE [unsealed|size|hash|none]
 *                                             published I ISSUER OBJECT NUMBER good|bad TEXT
 *     answer I ID good|bad THIS_MS NEXT_MS ISSUER RESPONSE_HEX
 *     drop I ISSUER SERIAL_HEX|-              asked I ID CERT_ID_HEX
 *     filter FILE NUMBER MADE_MS NEXT_MS      made FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memfile.h"
#include "ipc/link.h"
#include "ipc/messages.h"
#include "pki/filter.h"
#include "server/role.h"
#include "server/settings.h"

#define ROLES_MAX 512
#define WORDS_MAX 10
#define QUEUE 4096
#define FILE_MAX_HERE ((size_t)64 << 20)

struct role_process {
    struct program *program;
    size_t index;
    pid_t pid; /* 0: it ended */
    struct ipc_link *control, *core;
};

struct program {
    struct loop *loop;
    const char *touchmarkd, *conf;
    int conf_fd, listen_fd, signal_fd;
    size_t count;
    struct role_process roles[ROLES_MAX];
    size_t n;
    char line[4 * IPC_OCSP_MAX];
    uint8_t octets[2 * IPC_OCSP_MAX];
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
    (void)fflush(stdout);
}

static void need(bool good, const char *what) {
    if (good)
        return;
    (void)fprintf(stderr, "statusc: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- files ---- */

static struct bytes read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *octets = malloc(FILE_MAX_HERE);
    need(file && octets, path);
    size_t n = fread(octets, 1, FILE_MAX_HERE, file);
    (void)fclose(file);
    return (struct bytes){octets, n};
}

static int memory_file(const char *name, struct bytes content, bool seal) {
    int fd = -1;
    need(memfile_new(name, &fd) == TM_OK, "memory file");
    need(memfile_write(fd, content) == TM_OK, "memory file");
    need(!seal || memfile_seal(fd) == TM_OK, "seal");
    return fd;
}

static void sha256(struct bytes content, uint8_t ret[32]) {
    need(EVP_Digest(content.p, content.n, ret, NULL, EVP_sha256(), NULL) == 1, "hash");
}

/* One that lists nothing. */
static void make_filter(char **words) {
    struct pki_filter_header header = {.key_id = BYTES_OF("an issuer's key"),
                                       .number = strtoull(words[2], NULL, 10),
                                       .made_ms = strtoll(words[3], NULL, 10),
                                       .next_ms = strtoll(words[4], NULL, 10),
                                       .until_ms = PKI_FILTER_TIME_MAX};
    uint8_t octets[4096];
    struct buf out = BUF_ON(octets);
    sha256((struct bytes){NULL, 0}, header.body_sha256);
    need(pki_filter_header_write(&header, &out) == TM_OK, "filter header");
    need(pki_filter_signature_write(BYTES_OF("a signature"), &out) == TM_OK, "filter signature");
    FILE *file = fopen(words[1], "wb");
    need(file && fwrite(out.p, 1, out.n, file) == out.n && fclose(file) == 0, words[1]);
    say("made %s", words[1]);
}

/* ---- what a role says ---- */

static void control_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct role_process *role = arg;
    struct ipc_control control;
    (void)link;
    need(fd < 0 && codec_decode(&ipc_control_schema, message, &control) == TM_OK, "control");
    if (control.verb == IPC_CONTROL_READY)
        say("ready %zu", role->index);
}

static void control_closed(void *arg, struct ipc_link *link) {
    struct role_process *role = arg;
    ipc_link_close(link);
    role->control = NULL;
}

static void core_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct role_process *role = arg;
    struct ipc_published published;
    struct ipc_ocsp_ask ask;
    char hex[2 * IPC_OCSP_ID_MAX + 1];
    (void)link;
    need(fd < 0, "the role sent a descriptor");
    if (codec_peek(message) == IPC_TYPE_PUBLISHED) {
        need(codec_decode(&ipc_published_schema, message, &published) == TM_OK, "published");
        say("published %zu %s %s %" PRIu64 " %s %s", role->index, published.issuer,
            published.object, published.number, published.good ? "good" : "bad", published.text);
        return;
    }
    need(codec_decode(&ipc_ocsp_ask_schema, message, &ask) == TM_OK &&
             hex_encode(ask.cert_id, hex, sizeof hex) == TM_OK,
         "ask");
    say("asked %zu %" PRIu64 " %s", role->index, ask.id, hex);
}

static void core_closed(void *arg, struct ipc_link *link) {
    struct role_process *role = arg;
    ipc_link_close(link);
    role->core = NULL;
}

static const struct ipc_link_events control_events = {control_message, control_closed};
static const struct ipc_link_events core_events = {core_message, core_closed};

/* ---- processes ---- */

static void listen_once(struct program *program) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    if (program->listen_fd >= 0)
        return;
    program->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(bind(program->listen_fd, (struct sockaddr *)&address, n) == 0 &&
             listen(program->listen_fd, 1024) == 0 &&
             getsockname(program->listen_fd, (struct sockaddr *)&address, &n) == 0,
         "listen");
    say("port %u", ntohs(address.sin_port));
}

static void become_role(const struct program *program, int control, const char *crash) {
    const int places[] = {ROLE_FD_CONTROL, ROLE_FD_CONF, ROLE_FD_LISTEN};
    int from[] = {control, program->conf_fd, program->listen_fd};
    char conf[4096];
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)snprintf(conf, sizeof conf, "--conf=%s", program->conf);
    for (size_t i = 0; i < 3; i++)
        from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 16);
    for (size_t i = 0; i < 3; i++)
        if (dup2(from[i], places[i]) < 0)
            _exit(127);
    (void)close_range(ROLE_FD_LISTEN + 1, ~0U, 0);
    if (crash)
        (void)setenv("TOUCHMARK_CRASH", crash, 1);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO);
    (void)execl(program->touchmarkd, "touchmarkd", "--role=status", conf, (char *)NULL);
    _exit(127);
}

static void start(struct program *program, const char *crash) {
    int ends[2];
    listen_once(program);
    need(program->count < ROLES_MAX && ipc_pair(ends) == TM_OK, "start");
    struct role_process *role = &program->roles[program->count];
    *role = (struct role_process){.program = program, .index = program->count++};
    role->pid = fork();
    need(role->pid >= 0, "fork");
    if (role->pid == 0)
        become_role(program, ends[1], crash);
    (void)close(ends[1]);
    need(ipc_link_open(program->loop, ends[0], QUEUE, &control_events, role, &role->control) ==
             TM_OK,
         "control link");
    say("started %zu %ld", role->index, (long)role->pid);
}

static void reap(void *arg, uint32_t events) {
    struct program *program = arg;
    struct signalfd_siginfo info;
    int status;
    (void)events;
    (void)!read(program->signal_fd, &info, sizeof info);
    for (size_t i = 0; i < program->count; i++) {
        struct role_process *role = &program->roles[i];
        if (role->pid <= 0 || waitpid(role->pid, &status, WNOHANG) != role->pid)
            continue;
        role->pid = 0;
        say("ended %zu %s %d", i, WIFEXITED(status) ? "exit" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
}

/* ---- commands ---- */

static void control(struct role_process *role, uint8_t verb, int fd) {
    const struct ipc_control message = {.verb = verb, .peer = IPC_ROLE_CORE};
    enum tm_err err = role->control
                          ? ipc_link_send_fd(role->control, &ipc_control_schema, &message, fd)
                          : TM_ECLOSED;
    need(err == TM_OK || err == TM_ECLOSED, "control");
}

static void link_core(struct role_process *role) {
    int ends[2];
    ipc_link_close(role->core);
    role->core = NULL;
    need(ipc_pair(ends) == TM_OK, "pair");
    need(ipc_link_open(role->program->loop, ends[0], QUEUE, &core_events, role, &role->core) ==
             TM_OK,
         "core link");
    control(role, IPC_CONTROL_LINK, ends[1]);
}

static void publish(struct role_process *role, char **words, int count) {
    const char *fault = count > 7 ? words[7] : "";
    struct bytes content = read_file(words[6]);
    struct ipc_publish message = {.kind = (uint8_t)strtoul(words[2], NULL, 10),
                                  .number = strtoull(words[5], NULL, 10),
                                  .size = content.n + (strcmp(fault, "size") == 0)};
    TEXT_SET(message.issuer, words[3]);
    TEXT_SET(message.object, words[4]);
    sha256(content, message.sha256);
    message.sha256[0] ^= strcmp(fault, "hash") == 0;
    int fd = strcmp(fault, "none") == 0
                 ? -1
                 : memory_file("published", content, strcmp(fault, "unsealed") != 0);
    free((void *)(uintptr_t)content.p);
    if (role->core)
        (void)!ipc_link_send_fd(role->core, &ipc_publish_schema, &message, fd);
}

static void answer(struct role_process *role, char **words) {
    struct ipc_ocsp_answer message = {.id = strtoull(words[2], NULL, 10),
                                      .good = strcmp(words[3], "good") == 0,
                                      .this_update_ms = strtoll(words[4], NULL, 10),
                                      .next_update_ms = strtoll(words[5], NULL, 10)};
    size_t n = 0;
    TEXT_SET(message.issuer, words[6]);
    need(hex_decode(words[7], role->program->octets, sizeof role->program->octets, &n) == TM_OK,
         "hex");
    message.response = (struct bytes){role->program->octets, n};
    need(ipc_link_send(role->core, &ipc_ocsp_answer_schema, &message) == TM_OK, "answer");
}

static void drop(struct role_process *role, char **words) {
    struct ipc_ocsp_drop message = {.serial_n = 0};
    size_t n = 0;
    TEXT_SET(message.issuer, words[2]);
    if (strcmp(words[3], "-") != 0)
        need(hex_decode(words[3], message.serial, sizeof message.serial, &n) == TM_OK, "hex");
    message.serial_n = (uint8_t)n;
    need(ipc_link_send(role->core, &ipc_ocsp_drop_schema, &message) == TM_OK, "drop");
}

static void obey_role(struct role_process *role, char **words, int count) {
    const char *verb = words[0];
    if (strcmp(verb, "link") == 0) {
        link_core(role);
    } else if (strcmp(verb, "unlink") == 0) {
        ipc_link_close(role->core);
        role->core = NULL;
    } else if (strcmp(verb, "drain") == 0) {
        control(role, IPC_CONTROL_DRAIN, -1);
    } else if (strcmp(verb, "stop") == 0) {
        control(role, IPC_CONTROL_STOP, -1);
    } else if (strcmp(verb, "kill") == 0) {
        need(role->pid <= 0 || kill(role->pid, SIGKILL) == 0, "kill");
    } else if (strcmp(verb, "publish") == 0 && count >= 7) {
        publish(role, words, count);
    } else if (strcmp(verb, "answer") == 0 && count == 8) {
        answer(role, words);
    } else {
        need(strcmp(verb, "drop") == 0 && count == 4, verb);
        drop(role, words);
    }
}

static void obey(struct program *program, char **words, int count) {
    if (strcmp(words[0], "start") == 0) {
        start(program, count > 1 ? words[1] : NULL);
    } else if (strcmp(words[0], "filter") == 0 && count == 5) {
        make_filter(words);
    } else {
        size_t index = count > 1 ? strtoul(words[1], NULL, 10) : ROLES_MAX;
        need(index < program->count, words[0]);
        obey_role(&program->roles[index], words, count);
    }
}

static void take_line(struct program *program, char *line) {
    char *words[WORDS_MAX], *rest = line, *next;
    int count = 0;
    while (count < WORDS_MAX && (next = strsep(&rest, " ")))
        words[count++] = next;
    obey(program, words, count);
}

static void on_input(void *arg, uint32_t events) {
    struct program *program = arg;
    char *start_of_line = program->line, *end;
    (void)events;
    ssize_t got = read(STDIN_FILENO, program->line + program->n, sizeof program->line - program->n);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        loop_stop(program->loop);
        return;
    }
    program->n += (size_t)got;
    while (
        (end = memchr(start_of_line, '\n', program->n - (size_t)(start_of_line - program->line)))) {
        *end = '\0';
        take_line(program, start_of_line);
        start_of_line = end + 1;
    }
    program->n -= (size_t)(start_of_line - program->line);
    memmove(program->line, start_of_line, program->n);
}

/* ---- */

static int watch_children(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void end_all(struct program *program) {
    for (size_t i = 0; i < program->count; i++) {
        struct role_process *role = &program->roles[i];
        if (role->pid > 0 && kill(role->pid, SIGKILL) == 0)
            (void)waitpid(role->pid, NULL, 0);
        ipc_link_close(role->control);
        ipc_link_close(role->core);
    }
}

int main(int argc, char **argv) {
    static struct program program;
    struct loop_fd *input = NULL, *children = NULL;
    need(argc == 3, "TOUCHMARKD CONF");
    log_open("statusc", LOG_LEVEL_INFO);
    (void)signal(SIGPIPE, SIG_IGN);
    struct settings settings;
    char error[CONF_ERROR_MAX] = "";
    need(settings_load(argv[2], &settings, error) == TM_OK, error);
    program = (struct program){
        .touchmarkd = argv[1], .conf = argv[2], .conf_fd = settings.text_fd, .listen_fd = -1};
    program.signal_fd = watch_children();
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    need(loop_new(&program.loop) == TM_OK &&
             loop_add(program.loop, STDIN_FILENO, EPOLLIN, on_input, &program, &input) == TM_OK &&
             loop_add(program.loop, program.signal_fd, EPOLLIN, reap, &program, &children) == TM_OK,
         "loop");
    enum tm_err err = loop_run(program.loop);
    end_all(&program);
    loop_remove(input);
    loop_remove(children);
    loop_free(program.loop);
    settings_close(&settings);
    return err ? 1 : 0;
}
