/* SPDX-License-Identifier: Apache-2.0 */
/* Forks the clients, starts them together, adds up what they left in shared memory. */
#include "bench/load.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/auto.h"
#include "bench/work.h"

#define CERTIFICATE_MAX 2048
#define READY_TIMEOUT_MS 120000 /* for a client to open its first sessions */

struct tally {
    size_t resumed, connections;
    size_t failures[BENCH_FAIL_COUNT];
    size_t statuses[BENCH_STATUS_MAX];
    uint64_t end_ns;
    uint64_t cpu_us;
};

/* What the clients write and the parent reads once they have ended. */
struct shared {
    void *map;
    size_t size;
    struct tally *tallies;
    uint32_t *latency_us; /* per item, 0 = not done */
    struct kept {
        uint16_t n;
        uint8_t der[CERTIFICATE_MAX];
    } * kept; /* per item, NULL unless certificates are kept */
};

struct client {
    const struct bench_load_config *config;
    struct bench_item *items;
    size_t count;
    struct tally *tally;
    uint32_t *latency_us;
    struct kept *kept;
    SSL_SESSION **sessions; /* per item; the first item of each device holds it */
    struct bench_conn *conn;
    const struct bench_device *connected; /* as whom */
    size_t asked;                         /* requests on conn */
};

const char *bench_failure_name(enum bench_failure failure) {
    switch (failure) {
    case BENCH_FAIL_CONNECT:
        return "no TCP connection";
    case BENCH_FAIL_HANDSHAKE:
        return "TLS handshake failed";
    case BENCH_FAIL_TIMEOUT:
        return "timeout";
    case BENCH_FAIL_CLOSED:
        return "connection closed";
    case BENCH_FAIL_MALFORMED:
        return "malformed answer";
    case BENCH_FAIL_WRONG_KEY:
        return "certificate for another key";
    case BENCH_FAIL_COUNT:
        break;
    }
    return "?";
}

static uint64_t now_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static enum bench_failure failure_of(enum tm_err err) {
    switch (err) {
    case TM_EIO:
        return BENCH_FAIL_CONNECT;
    case TM_ETIMEOUT:
        return BENCH_FAIL_TIMEOUT;
    case TM_ECLOSED:
        return BENCH_FAIL_CLOSED;
    case TM_ECRYPTO:
        return BENCH_FAIL_HANDSHAKE;
    case TM_EDENIED:
        return BENCH_FAIL_WRONG_KEY;
    default:
        return BENCH_FAIL_MALFORMED;
    }
}

/* Devices come round again in the same order: where a device's first item is. */
static size_t first_item_of(const struct client *client, size_t i) {
    size_t first = 0;
    while (client->items[first].device != client->items[i].device)
        first++;
    return first;
}

static enum tm_err open_for(struct client *client, const struct bench_item *item,
                            SSL_SESSION *session) {
    bool identify = client->config->credential != BENCH_SECRET;
    struct bench_identity identity = {
        .certificate = identify ? item->device->certificate : NULL,
        .key = identify ? item->device->key : NULL,
        .chain = item->device->chain,
    };
    enum tm_err err = bench_conn_open(client->config->client, &identity, session, &client->conn);
    if (err != TM_OK)
        return err;
    client->connected = item->device;
    client->asked = 0;
    client->tally->connections++;
    client->tally->resumed += bench_conn_resumed(client->conn);
    return TM_OK;
}

static void hang_up(struct client *client) {
    bench_conn_close(client->conn);
    client->conn = NULL;
}

/* May this item go over the connection that is open? */
static bool connection_serves(const struct client *client, const struct bench_item *item) {
    const struct bench_load_config *config = client->config;
    if (!client->conn || config->mode != BENCH_KEEPALIVE)
        return false;
    if (config->per_connection && client->asked >= config->per_connection)
        return false;
    return config->credential == BENCH_SECRET || client->connected == item->device;
}

static enum tm_err exchange(struct client *client, const struct bench_item *item,
                            struct bench_answer *ret_answer) {
    client->asked++;
    enum tm_err err =
        bench_conn_send(client->conn, (struct bytes){item->request, item->request_size});
    return err == TM_OK ? bench_conn_receive(client->conn, ret_answer) : err;
}

static enum tm_err keep_answer(struct client *client, size_t i, const struct bench_answer *answer) {
    uint8_t der[BENCH_ANSWER_MAX];
    struct buf decoded = BUF_ON(der);
    struct bytes certificate;
    if (client->config->operation == BENCH_CACERTS)
        return TM_OK;
    enum tm_err err = bench_work_judge(&client->items[i], answer->body, &decoded, &certificate);
    if (err != TM_OK || !client->kept)
        return err;
    if (certificate.n > CERTIFICATE_MAX)
        return TM_ELIMIT;
    memcpy(client->kept[i].der, certificate.p, certificate.n);
    client->kept[i].n = (uint16_t)certificate.n;
    return TM_OK;
}

static enum tm_err one(struct client *client, size_t i, struct bench_answer *answer) {
    const struct bench_item *item = &client->items[i];
    bool resume = client->config->mode == BENCH_RESUME;
    size_t slot = resume ? first_item_of(client, i) : 0;
    enum tm_err err = TM_OK;
    if (!connection_serves(client, item)) {
        hang_up(client);
        err = open_for(client, item, resume ? client->sessions[slot] : NULL);
    }
    if (err == TM_OK)
        err = exchange(client, item, answer);
    if (err != TM_OK)
        return err;
    if (resume) {
        SSL_SESSION *newer = bench_conn_session(client->conn);
        if (newer) {
            SSL_SESSION_free(client->sessions[slot]);
            client->sessions[slot] = newer;
        }
    }
    return answer->status == 200 ? keep_answer(client, i, answer) : TM_OK;
}

static void timed(struct client *client, size_t i) {
    struct bench_answer answer = {0};
    uint64_t start = now_ns();
    enum tm_err err = one(client, i, &answer);
    uint64_t us = (now_ns() - start) / 1000;
    if (err != TM_OK)
        client->tally->failures[failure_of(err)]++;
    else if (answer.status != 200)
        client->tally->statuses[answer.status < BENCH_STATUS_MAX ? answer.status : 0]++;
    else
        client->latency_us[i] = us < UINT32_MAX ? (uint32_t)(us ? us : 1) : UINT32_MAX;
    if (err != TM_OK || answer.close || client->config->mode != BENCH_KEEPALIVE)
        hang_up(client);
}

/* The sessions that resumed connections start from: a full handshake and a request that
 * needs no credential per device, outside the clock. */
static void prime(struct client *client) {
    char request[1024];
    const struct bench_url *url = client->config->url;
    int n = snprintf(request, sizeof request, "GET %s/cacerts HTTP/1.1\r\nHost: %s:%s\r\n\r\n",
                     url->path, url->host, url->port);
    struct bench_item get = {.request = (uint8_t *)request, .request_size = (size_t)n};
    for (size_t i = 0; client->sessions && i < client->count; i++) {
        struct bench_answer answer;
        if (first_item_of(client, i) != i)
            break;
        get.device = client->items[i].device;
        if (open_for(client, &get, NULL) == TM_OK && exchange(client, &get, &answer) == TM_OK)
            client->sessions[i] = bench_conn_session(client->conn);
        hang_up(client);
    }
    *client->tally = (struct tally){0};
}

static uint64_t cpu_us(void) {
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* A client's life. `ready` gets one octet when it is set up, `go` ends when all are. */
static _Noreturn void live(struct client *client, int ready, int go) {
    char octet = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (client->config->mode == BENCH_RESUME) {
        client->sessions = calloc(client->count, sizeof(SSL_SESSION *));
        if (!client->sessions)
            _exit(1);
        prime(client);
    }
    if (write(ready, &octet, 1) != 1 || read(go, &octet, 1) != 0)
        _exit(1);
    uint64_t start = now_ns(), cpu = cpu_us();
    uint64_t end = start + (uint64_t)client->config->seconds * 1000000000u;
    for (size_t i = 0; i < client->count && now_ns() < end; i++)
        timed(client, i);
    hang_up(client);
    client->tally->end_ns = now_ns();
    client->tally->cpu_us = cpu_us() - cpu;
    _exit(0);
}

static enum tm_err share(const struct bench_work *work, bool keep, struct shared *ret) {
    size_t items = work->per_client * work->clients;
    size_t tallies = work->clients * sizeof(struct tally);
    size_t kept = keep ? items * sizeof(struct kept) : 0;
    struct shared shared = {.size = tallies + items * sizeof(uint32_t) + kept};
    shared.map = mmap(NULL, shared.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared.map == MAP_FAILED)
        return TM_ENOMEM;
    shared.tallies = shared.map;
    shared.latency_us = (uint32_t *)(void *)(shared.tallies + work->clients);
    shared.kept = keep ? (struct kept *)(void *)(shared.latency_us + items) : NULL;
    *ret = shared;
    return TM_OK;
}

struct crew {
    pid_t *pids;
    unsigned count;
    int ready[2];
    int go[2];
};

static enum tm_err start(const struct bench_load_config *config, const struct bench_work *work,
                         const struct shared *shared, struct crew *crew) {
    for (; crew->count < work->clients; crew->count++) {
        size_t first = crew->count * work->per_client;
        struct client client = {
            .config = config,
            .items = work->items + first,
            .count = work->per_client,
            .tally = &shared->tallies[crew->count],
            .latency_us = shared->latency_us + first,
            .kept = shared->kept ? shared->kept + first : NULL,
        };
        pid_t pid = fork();
        if (pid < 0)
            return TM_EIO;
        if (pid == 0) {
            (void)close(crew->go[1]);
            (void)close(crew->ready[0]);
            live(&client, crew->ready[1], crew->go[0]);
        }
        crew->pids[crew->count] = pid;
    }
    (void)close(crew->ready[1]);
    crew->ready[1] = -1;
    for (unsigned n = 0; n < crew->count; n++) {
        struct pollfd wait = {.fd = crew->ready[0], .events = POLLIN};
        char octet;
        if (poll(&wait, 1, READY_TIMEOUT_MS) != 1 || read(crew->ready[0], &octet, 1) != 1)
            return TM_EIO;
    }
    return TM_OK;
}

static void kill_all(const struct crew *crew) {
    for (unsigned i = 0; i < crew->count; i++)
        (void)kill(crew->pids[i], SIGKILL);
}

static enum tm_err finish(struct crew *crew) {
    enum tm_err err = TM_OK;
    for (unsigned i = 0; i < crew->count; i++) {
        int status = 0;
        pid_t ended;
        do
            ended = waitpid(crew->pids[i], &status, 0);
        while (ended < 0 && errno == EINTR);
        if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            err = TM_EIO;
    }
    return err;
}

static void close_all(struct crew *crew) {
    for (int i = 0; i < 2; i++) {
        if (crew->ready[i] >= 0)
            (void)close(crew->ready[i]);
        if (crew->go[i] >= 0)
            (void)close(crew->go[i]);
    }
    free(crew->pids);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(const uint32_t *sorted, size_t n, double share_below) {
    size_t at = (size_t)((double)n * share_below);
    return n ? sorted[at < n ? at : n - 1] / 1000.0 : 0;
}

static enum tm_err sum_up(const struct bench_work *work, const struct shared *shared,
                          uint64_t start_ns, struct bench_load_result *result) {
    size_t items = work->per_client * work->clients;
    uint64_t end = start_ns, cpu = 0;
    AUTO_MEM uint32_t *done = calloc(items, sizeof *done);
    if (!done)
        return TM_ENOMEM;
    for (size_t i = 0; i < items; i++)
        if (shared->latency_us[i])
            done[result->done++] = shared->latency_us[i];
    qsort(done, result->done, sizeof *done, by_size);
    result->p50_ms = percentile_ms(done, result->done, 0.5);
    result->p99_ms = percentile_ms(done, result->done, 0.99);
    result->p999_ms = percentile_ms(done, result->done, 0.999);
    for (unsigned c = 0; c < work->clients; c++) {
        const struct tally *tally = &shared->tallies[c];
        end = tally->end_ns > end ? tally->end_ns : end;
        cpu += tally->cpu_us;
        result->resumed += tally->resumed;
        result->connections += tally->connections;
        for (size_t i = 0; i < BENCH_FAIL_COUNT; i++)
            result->failures[i] += tally->failures[i];
        for (size_t i = 0; i < BENCH_STATUS_MAX; i++)
            result->statuses[i] += tally->statuses[i];
    }
    result->seconds = (double)(end - start_ns) / 1e9;
    result->client_cpu_us = result->done ? (double)cpu / (double)result->done : 0;
    return TM_OK;
}

/* The pool gets what was issued; a secret that was sent is spent. */
static enum tm_err keep_all(const struct bench_load_config *config, struct bench_work *work,
                            const struct shared *shared) {
    for (size_t i = 0; shared->kept && i < work->per_client * work->clients; i++) {
        struct bench_device *device = work->items[i].device;
        const uint8_t *p = shared->kept[i].der;
        if (shared->kept[i].n == 0)
            continue;
        X509 *certificate = d2i_X509(NULL, &p, shared->kept[i].n);
        if (!certificate)
            return TM_EPARSE;
        X509_free(device->certificate);
        device->certificate = certificate;
        EVP_PKEY_free(device->key);
        device->key = TAKE(work->items[i].key);
        if (config->credential != BENCH_CERTIFICATE)
            bytes_wipe(device->secret, sizeof device->secret);
    }
    return TM_OK;
}

static enum tm_err run(const struct bench_load_config *config, struct bench_work *work,
                       const struct shared *shared, struct bench_load_result *result) {
    struct crew crew = {.ready = {-1, -1}, .go = {-1, -1}};
    crew.pids = calloc(config->clients, sizeof *crew.pids);
    enum tm_err err = crew.pids && pipe(crew.ready) == 0 && pipe(crew.go) == 0 ? TM_OK : TM_EIO;
    if (err == TM_OK)
        err = start(config, work, shared, &crew);
    if (err != TM_OK)
        kill_all(&crew);
    result->has_server = config->server != 0;
    if (err == TM_OK && result->has_server)
        err = bench_use_read(config->server, &result->before);
    if (err == TM_OK && config->started)
        config->started();
    uint64_t start_ns = now_ns();
    if (crew.go[1] >= 0)
        (void)close(crew.go[1]);
    crew.go[1] = -1;
    enum tm_err ended = finish(&crew);
    if (err == TM_OK)
        err = ended;
    if (err == TM_OK && result->has_server)
        err = bench_use_read(config->server, &result->after);
    close_all(&crew);
    if (err == TM_OK)
        err = sum_up(work, shared, start_ns, result);
    return err == TM_OK ? keep_all(config, work, shared) : err;
}

enum tm_err bench_load(const struct bench_load_config *config,
                       struct bench_load_result *ret_result) {
    struct bench_load_result result = {0};
    struct bench_work work;
    struct shared shared;
    enum tm_err err = bench_work_new(config, &work);
    if (err != TM_OK)
        return err;
    err = share(&work, config->keep, &shared);
    if (err == TM_OK) {
        err = run(config, &work, &shared, &result);
        (void)munmap(shared.map, shared.size);
    }
    bench_work_free(&work);
    if (err == TM_OK)
        *ret_result = result;
    return err;
}
