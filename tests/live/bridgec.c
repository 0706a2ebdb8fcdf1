/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MQTT bridge without a server: tests play the core, in lines on standard input and output.
 *
 *     bridgec name=value ...       configuration, as in mqtt/bridge/bridge.h; tls_* name files
 *
 * Out: "enroll ID REMOTE LABEL HEX", "birth ID WANTS LABEL DEVICE", "ack SEQUENCE",
 * "stats NAME=NUMBER ...", "drained 0|1". In: "reply ID OUTCOME RETRY HEX", "offer ID KIND HEX",
 * "event SEQUENCE NAME TENANT DEVICE HEX", "core 0|1", "deaf 0|1" (it takes nothing), "stats",
 * "drain". An empty value is "-". The end of the input is the end of the bridge.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "mqtt/bridge/bridge.h"

#define LINE_MAX_OCTETS 131072
#define WORDS_MAX 8
#define PEM_MAX 65536
#define GROUPS_MAX 8

struct program {
    struct loop *loop;
    struct mqtt_bridge *bridge;
    bool deaf;
    size_t n;
    char line[LINE_MAX_OCTETS];
    uint8_t octets[LINE_MAX_OCTETS / 2];
};

/* ---- out: what the bridge asks of the core ---- */

static const char *word(const char *text) {
    return text[0] ? text : "-";
}

static void print_hex(struct bytes data) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.n; i++) {
        (void)putchar(digits[data.p[i] >> 4]);
        (void)putchar(digits[data.p[i] & 15]);
    }
    (void)printf("%s\n", data.n ? "" : "-");
    (void)fflush(stdout);
}

static bool enroll(void *arg, const struct ipc_enroll *request) {
    const struct program *program = arg;
    if (program->deaf)
        return false;
    if (request->operation != IPC_OP_FULLCMC || request->origin != IPC_ORIGIN_MQTT)
        abort();
    (void)printf("enroll %llu %s %s ", (unsigned long long)request->id, word(request->remote),
                 word(request->label));
    print_hex(request->csr);
    return true;
}

static bool birth(void *arg, const struct ipc_birth *said) {
    const struct program *program = arg;
    if (program->deaf)
        return false;
    (void)printf("birth %llu %d %s %s\n", (unsigned long long)said->id, said->wants,
                 word(said->label), word(said->device));
    (void)fflush(stdout);
    return true;
}

static bool event_ack(void *arg, const struct ipc_event_ack *ack) {
    const struct program *program = arg;
    if (program->deaf)
        return false;
    (void)printf("ack %llu\n", (unsigned long long)ack->sequence);
    (void)fflush(stdout);
    return true;
}

static void print_stats(const struct mqtt_bridge *bridge) {
    struct mqtt_bridge_stats s;
    mqtt_bridge_stats(bridge, &s);
    (void)printf("stats connected=%d connects=%llu births=%llu deaths=%llu requests=%llu "
                 "replies=%llu offers=%llu retransmissions=%llu rebirths=%llu malformed=%llu "
                 "too_large=%llu events=%llu dropped=%llu nodes=%zu waiting=%zu unconfirmed=%zu\n",
                 s.connected, (unsigned long long)s.connects, (unsigned long long)s.births,
                 (unsigned long long)s.deaths, (unsigned long long)s.requests,
                 (unsigned long long)s.replies, (unsigned long long)s.offers,
                 (unsigned long long)s.retransmissions, (unsigned long long)s.rebirths,
                 (unsigned long long)s.malformed, (unsigned long long)s.too_large,
                 (unsigned long long)s.events, (unsigned long long)s.dropped, s.nodes, s.waiting,
                 s.unconfirmed);
    (void)fflush(stdout);
}

/* ---- in: what the core says ---- */

static struct bytes octets_of(struct program *program, const char *hex) {
    size_t n = 0;
    if (strcmp(hex, "-") != 0 && hex_decode(hex, program->octets, sizeof program->octets, &n))
        abort();
    return (struct bytes){program->octets, n};
}

static uint8_t outcome_of(const char *name) {
    for (int i = 1; i <= IPC_OUTCOME_LAST; i++)
        if (strcmp(ipc_outcome_name((enum ipc_outcome)i), name) == 0)
            return (uint8_t)i;
    abort();
}

static void give_reply(struct program *program, char **words) {
    struct ipc_reply reply = {
        .id = strtoull(words[1], NULL, 10),
        .outcome = outcome_of(words[2]),
        .retry_after_s = (uint32_t)strtoul(words[3], NULL, 10),
        .cmc = octets_of(program, words[4]),
    };
    mqtt_bridge_reply(program->bridge, &reply);
}

static void give_offer(struct program *program, char **words) {
    struct ipc_offer offer = {
        .id = strtoull(words[1], NULL, 10),
        .kind = (uint8_t)strtoul(words[2], NULL, 10),
        .cmc = octets_of(program, words[3]),
    };
    mqtt_bridge_offer(program->bridge, &offer);
}

static void give_event(struct program *program, char **words) {
    struct ipc_event event = {.sequence = strtoull(words[1], NULL, 10),
                              .json = octets_of(program, words[5])};
    TEXT_SET(event.name, words[2]);
    TEXT_SET(event.tenant, words[3]);
    TEXT_SET(event.device, words[4]);
    mqtt_bridge_event(program->bridge, &event);
}

static void obey(struct program *program, char **words, int count) {
    if (count == 5 && strcmp(words[0], "reply") == 0) {
        give_reply(program, words);
    } else if (count == 4 && strcmp(words[0], "offer") == 0) {
        give_offer(program, words);
    } else if (count == 6 && strcmp(words[0], "event") == 0) {
        give_event(program, words);
    } else if (count == 2 && strcmp(words[0], "core") == 0) {
        mqtt_bridge_core(program->bridge, words[1][0] == '1');
    } else if (count == 2 && strcmp(words[0], "deaf") == 0) {
        program->deaf = words[1][0] == '1';
    } else if (count == 1 && strcmp(words[0], "stats") == 0) {
        print_stats(program->bridge);
    } else if (count == 1 && strcmp(words[0], "drain") == 0) {
        (void)printf("drained %d\n", mqtt_bridge_drain(program->bridge));
        (void)fflush(stdout);
    } else {
        (void)fprintf(stderr, "not understood: %s\n", words[0]);
        abort();
    }
}

static void take_line(struct program *program, char *line) {
    char *words[WORDS_MAX], *rest = line, *next;
    int count = 0;
    while (count < WORDS_MAX && (next = strsep(&rest, " ")))
        words[count++] = next;
    obey(program, words, count);
}

static void take_lines(struct program *program) {
    char *start = program->line, *end;
    while ((end = memchr(start, '\n', program->n - (size_t)(start - program->line)))) {
        *end = '\0';
        take_line(program, start);
        start = end + 1;
    }
    program->n -= (size_t)(start - program->line);
    memmove(program->line, start, program->n);
}

static void on_input(void *arg, uint32_t events) {
    struct program *program = arg;
    (void)events;
    ssize_t n = read(STDIN_FILENO, program->line + program->n, sizeof program->line - program->n);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        loop_stop(program->loop);
        return;
    }
    program->n += (size_t)n;
    take_lines(program);
}

/* ---- configuration ---- */

/* The program's memory, until its end. */
static struct bytes read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *text = malloc(PEM_MAX);
    if (!file || !text)
        abort();
    size_t n = fread(text, 1, PEM_MAX, file);
    (void)fclose(file);
    return (struct bytes){text, n};
}

struct setting {
    const char *name;
    enum { TEXT, NUMBER, FLAG, SIZE, UNSIGNED, FILE_TEXT, OCTETS } kind;
    size_t at;
};
#define ROW(name, kind)                                                                            \
    { #name, kind, offsetof(struct mqtt_bridge_config, name) }
static const struct setting settings[] = {
    ROW(host, TEXT),
    ROW(port, UNSIGNED),
    ROW(client_id, TEXT),
    ROW(username, TEXT),
    ROW(password, OCTETS),
    ROW(tls_anchors, FILE_TEXT),
    ROW(tls_certificate, FILE_TEXT),
    ROW(tls_key, FILE_TEXT),
    ROW(tls_name, TEXT),
    ROW(sparkplug, FLAG),
    ROW(host_id, TEXT),
    ROW(plain, FLAG),
    ROW(prefix, TEXT),
    ROW(events, FLAG),
    ROW(queue, SIZE),
    ROW(nodes_max, SIZE),
    ROW(births_per_second, UNSIGNED),
    ROW(retransmit_ms, NUMBER),
    ROW(retransmit_max_ms, NUMBER),
    ROW(keepalive_s, NUMBER),
    ROW(reorder_ms, NUMBER),
};

static void set(struct mqtt_bridge_config *config, const struct setting *row, const char *value) {
    void *at = (char *)config + row->at;
    switch (row->kind) {
    case TEXT:
        *(const char **)at = value;
        break;
    case NUMBER:
        *(int64_t *)at = strtoll(value, NULL, 10);
        break;
    case FLAG:
        *(bool *)at = value[0] == '1';
        break;
    case SIZE:
        *(size_t *)at = strtoul(value, NULL, 10);
        break;
    case UNSIGNED:
        *(unsigned *)at = (unsigned)strtoul(value, NULL, 10);
        break;
    case FILE_TEXT:
        *(struct bytes *)at = read_file(value);
        break;
    case OCTETS:
        *(struct bytes *)at = bytes_str(value);
        break;
    }
}

static bool configure(struct mqtt_bridge_config *config, const char **groups, const char *word_in) {
    const char *value = strchr(word_in, '=');
    if (!value)
        return false;
    size_t n = (size_t)(value - word_in);
    if (n == 5 && strncmp(word_in, "group", n) == 0 && config->group_count < GROUPS_MAX) {
        groups[config->group_count++] = value + 1;
        return true;
    }
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (strlen(settings[i].name) == n && strncmp(settings[i].name, word_in, n) == 0) {
            set(config, &settings[i], value + 1);
            return true;
        }
    return false;
}

static int run(struct program *program, const struct mqtt_bridge_config *config) {
    static const struct mqtt_bridge_upstream upstream = {
        .enroll = enroll, .birth = birth, .event_ack = event_ack};
    struct loop_fd *input = NULL;
    char text[IPC_TEXT_MAX + 1];
    enum tm_err err = loop_new(&program->loop);
    if (err)
        return 1;
    err = mqtt_bridge_new(program->loop, config, &upstream, program, &program->bridge, text);
    if (err) {
        (void)fprintf(stderr, "refused: %s\n", text[0] ? text : tm_err_name(err));
        loop_free(program->loop);
        return 2;
    }
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    err = loop_add(program->loop, STDIN_FILENO, EPOLLIN, on_input, program, &input);
    if (!err)
        err = loop_run(program->loop);
    loop_remove(input);
    mqtt_bridge_free(program->bridge);
    loop_free(program->loop);
    return err ? 1 : 0;
}

int main(int argc, char **argv) {
    const char *groups[GROUPS_MAX];
    struct mqtt_bridge_config config = {
        .host = "127.0.0.1",
        .client_id = "bridge",
        .groups = groups,
        .prefix = "touchmark/v1",
        .queue = 16,
        .nodes_max = 1000,
        .births_per_second = 1000,
        .retransmit_ms = 60000,
        .retransmit_max_ms = 60000,
        .keepalive_s = 30,
        .now_ms = clock_wall_ms,
    };
    log_open("bridgec", LOG_LEVEL_INFO);
    (void)signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; i++)
        if (!configure(&config, groups, argv[i])) {
            (void)fprintf(stderr, "not understood: %s\n", argv[i]);
            return 2;
        }
    AUTO_MEM struct program *program = calloc(1, sizeof *program);
    int rc = program ? run(program, &config) : 1;
    free((void *)(uintptr_t)config.tls_anchors.p);
    free((void *)(uintptr_t)config.tls_certificate.p);
    free((void *)(uintptr_t)config.tls_key.p);
    return rc;
}
