/* SPDX-License-Identifier: Apache-2.0 */
/* Links over real socket pairs: order, bounds, back-pressure, descriptors, endings. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ipc/link.h"
#include "ipc/messages.h"

struct fixture {
    struct loop *loop;
    struct ipc_link *link;
    int peer; /* the other end, used raw or blocking */
    unsigned messages, closed;
    unsigned stop_after; /* messages; 0 = only at the end */
    bool close_in_message;
    uint64_t last_id;
    int got_fd;
    struct loop_timer guard;
};

static void on_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct fixture *f = arg;
    struct ipc_reply reply;
    assert_ptr_equal(link, f->link);
    assert_int_equal(codec_decode(&ipc_reply_schema, message, &reply), TM_OK);
    assert_true(reply.id == f->last_id + 1);
    f->last_id = reply.id;
    if (fd >= 0) {
        assert_int_equal(f->got_fd, -1);
        f->got_fd = fd;
    }
    f->messages++;
    if (f->close_in_message) {
        ipc_link_close(link);
        f->link = NULL;
    }
    if (f->messages == f->stop_after)
        loop_stop(f->loop);
}

static void on_closed(void *arg, struct ipc_link *link) {
    struct fixture *f = arg;
    assert_ptr_equal(link, f->link);
    f->closed++;
    ipc_link_close(link);
    f->link = NULL;
    loop_stop(f->loop);
}

static const struct ipc_link_events events = {.message = on_message, .closed = on_closed};

/* A loop that would wait for ever fails its test instead. */
static void on_guard(void *arg) {
    (void)arg;
    fail_msg("nothing happened for ten seconds");
}

static void open_link(struct fixture *f, size_t queue_max) {
    int fds[2];
    assert_int_equal(ipc_pair(fds), TM_OK);
    assert_int_equal(ipc_link_open(f->loop, fds[0], queue_max, &events, f, &f->link), TM_OK);
    f->peer = fds[1];
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f || loop_new(&f->loop))
        return -1;
    f->got_fd = -1;
    f->guard = (struct loop_timer){.fn = on_guard};
    open_link(f, 4);
    return (int)loop_timer_set(f->loop, &f->guard, clock_mono_ms() + 10000);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    ipc_link_close(f->link);
    loop_free(f->loop);
    if (f->peer >= 0)
        (void)close(f->peer);
    if (f->got_fd >= 0)
        (void)close(f->got_fd);
    free(f);
    return 0;
}

static void stop(void *arg) {
    struct fixture *f = arg;
    loop_stop(f->loop);
}

static void run(struct fixture *f) {
    assert_int_equal(loop_run(f->loop), TM_OK);
}

static void close_peer(struct fixture *f) {
    assert_int_equal(close(f->peer), 0);
    f->peer = -1;
}

static void peer_sends(struct fixture *f, uint64_t id) {
    struct ipc_reply reply = {.id = id, .outcome = IPC_ISSUED};
    assert_int_equal(ipc_send(f->peer, &ipc_reply_schema, &reply), TM_OK);
}

static struct ipc_reply big_reply(uint64_t id) {
    static const uint8_t certificate[IPC_CERT_MAX];
    return (struct ipc_reply){
        .id = id, .outcome = IPC_ISSUED, .certificate = BYTES_OF(certificate)};
}

static enum tm_err link_sends(struct fixture *f, uint64_t id) {
    struct ipc_reply reply = big_reply(id);
    return ipc_link_send(f->link, &ipc_reply_schema, &reply);
}

/* Sends until the queue is full; returns how many were taken. */
static uint64_t fill(struct fixture *f) {
    for (uint64_t id = 1; id < 100000; id++) {
        enum tm_err err = link_sends(f, id);
        if (err == TM_EFULL)
            return id - 1;
        assert_int_equal(err, TM_OK);
    }
    fail_msg("the queue has no bound");
    return 0;
}

static void assert_peer_receives(struct fixture *f, uint64_t id) {
    static uint8_t room[IPC_MESSAGE_MAX];
    struct bytes message;
    struct ipc_reply reply;
    assert_int_equal(ipc_receive(f->peer, room, sizeof room, 1000, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_reply_schema, message, &reply), TM_OK);
    assert_true(reply.id == id);
    assert_int_equal(reply.certificate.n, IPC_CERT_MAX);
}

static void test_messages_in_order(void **state) {
    struct fixture *f = *state;
    for (uint64_t id = 1; id <= 100; id++)
        peer_sends(f, id);
    f->stop_after = 100;
    run(f);
    assert_int_equal(f->messages, 100);
    assert_int_equal(f->closed, 0);
}

static void test_sent_messages_arrive(void **state) {
    struct fixture *f = *state;
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(link_sends(f, id), TM_OK);
    for (uint64_t id = 1; id <= 3; id++)
        assert_peer_receives(f, id);
}

/* What was sent before the end is delivered before `closed`. */
static void test_peer_closed(void **state) {
    struct fixture *f = *state;
    peer_sends(f, 1);
    peer_sends(f, 2);
    close_peer(f);
    run(f);
    assert_int_equal(f->messages, 2);
    assert_int_equal(f->closed, 1);
}

static void test_send_to_closed_peer(void **state) {
    struct fixture *f = *state;
    close_peer(f);
    assert_int_equal(link_sends(f, 1), TM_ECLOSED);
    run(f);
    assert_int_equal(f->closed, 1);
}

static void *drains_peer(void *arg) {
    struct fixture *f = arg;
    static uint8_t room[IPC_MESSAGE_MAX];
    struct bytes message;
    uint64_t expected = f->last_id;
    for (uint64_t id = 1; id <= expected; id++) {
        struct ipc_reply reply;
        if (ipc_receive(f->peer, room, sizeof room, 10000, &message) ||
            codec_decode(&ipc_reply_schema, message, &reply) || reply.id != id)
            return NULL;
    }
    (void)shutdown(f->peer, SHUT_RDWR);
    return f;
}

/* The queue takes queue_max messages beyond the kernel's buffer, no more, and all of them
 * arrive in order once the peer reads. */
static void test_queue_is_bounded_and_flushed(void **state) {
    struct fixture *f = *state;
    pthread_t thread;
    void *result = NULL;
    uint64_t sent = fill(f);
    assert_true(sent > 4);
    assert_int_equal(link_sends(f, sent + 1), TM_EFULL);
    f->last_id = sent;
    assert_int_equal(pthread_create(&thread, NULL, drains_peer, f), 0);
    run(f);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, f);
    assert_int_equal(f->closed, 1);
}

static void test_queue_grows_by_its_bound(void **state) {
    struct fixture *f = *state;
    uint64_t with_four = fill(f);
    ipc_link_close(f->link);
    close_peer(f);
    open_link(f, 0);
    assert_int_equal(fill(f), with_four - 4);
}

static void test_peer_dies_with_a_full_queue(void **state) {
    struct fixture *f = *state;
    (void)fill(f);
    close_peer(f);
    run(f);
    assert_int_equal(f->closed, 1);
}

static void test_paused_link_does_not_read(void **state) {
    struct fixture *f = *state;
    struct loop_timer later = {.fn = stop, .arg = f};
    assert_int_equal(ipc_link_pause(f->link, true), TM_OK);
    for (uint64_t id = 1; id <= 3; id++)
        peer_sends(f, id);
    assert_int_equal(loop_timer_set(f->loop, &later, clock_mono_ms() + 20), TM_OK);
    run(f);
    assert_int_equal(f->messages, 0);
    assert_int_equal(ipc_link_pause(f->link, false), TM_OK);
    f->stop_after = 3;
    run(f);
    assert_int_equal(f->messages, 3);
}

static void count_round(void *arg) {
    unsigned *rounds = arg;
    ++*rounds;
}

/* The end of the other side cannot be masked in epoll: a paused link must neither spin nor lose
 * what was sent before. */
static void test_paused_link_survives_the_end(void **state) {
    struct fixture *f = *state;
    struct loop_timer later = {.fn = stop, .arg = f};
    unsigned rounds = 0;
    assert_int_equal(ipc_link_pause(f->link, true), TM_OK);
    peer_sends(f, 1);
    close_peer(f);
    loop_after_round(f->loop, count_round, &rounds);
    assert_int_equal(loop_timer_set(f->loop, &later, clock_mono_ms() + 20), TM_OK);
    run(f);
    assert_in_range(rounds, 1, 4);
    assert_int_equal(f->closed, 0);
    assert_int_equal(ipc_link_pause(f->link, false), TM_OK);
    run(f);
    assert_int_equal(f->messages, 1);
    assert_int_equal(f->closed, 1);
}

static void test_back_pressure_reaches_the_sender(void **state) {
    struct fixture *f = *state;
    static const uint8_t packet[IPC_CERT_MAX];
    unsigned sent = 0;
    assert_int_equal(ipc_link_pause(f->link, true), TM_OK);
    while (send(f->peer, packet, sizeof packet, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        assert_in_range(++sent, 1, 10000);
    assert_int_equal(errno, EAGAIN);
}

static void test_close_inside_message(void **state) {
    struct fixture *f = *state;
    f->close_in_message = true;
    f->stop_after = 1;
    peer_sends(f, 1);
    peer_sends(f, 2);
    run(f);
    assert_int_equal(f->messages, 1);
    assert_int_equal(f->closed, 0);
}

static void assert_same_pipe(int write_end, int read_end) {
    char c = 0;
    assert_int_equal(write(write_end, "x", 1), 1);
    assert_int_equal(read(read_end, &c, 1), 1);
    assert_int_equal(c, 'x');
}

static void test_descriptor_passes(void **state) {
    struct fixture *f = *state;
    struct ipc_reply reply = {.id = 1, .outcome = IPC_ISSUED};
    struct ipc_link *sender = NULL;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ipc_link_open(f->loop, f->peer, 1, &events, f, &sender), TM_OK);
    f->peer = -1;
    assert_int_equal(ipc_link_send_fd(sender, &ipc_reply_schema, &reply, ends[1]), TM_OK);
    assert_int_equal(write(ends[1], "x", 1), -1); /* closed here: it was handed over */
    f->stop_after = 1;
    run(f);
    assert_true(f->got_fd >= 0);
    assert_same_pipe(f->got_fd, ends[0]);
    ipc_link_close(sender);
    (void)close(ends[0]);
}

/* A queued descriptor is not leaked when the link goes: the pipe sees its end. */
static void test_queued_descriptor_is_closed(void **state) {
    struct fixture *f = *state;
    struct ipc_reply reply = {.id = 1, .outcome = IPC_ISSUED};
    int ends[2];
    char c;
    ipc_link_close(f->link);
    close_peer(f);
    open_link(f, 1000);
    assert_int_equal(pipe(ends), 0);
    for (uint64_t id = 1; id <= 900; id++) /* far more than the kernel's buffer takes */
        assert_int_equal(link_sends(f, id), TM_OK);
    assert_int_equal(ipc_link_send_fd(f->link, &ipc_reply_schema, &reply, ends[1]), TM_OK);
    ipc_link_close(f->link);
    f->link = NULL;
    assert_int_equal(read(ends[0], &c, 1), 0);
    (void)close(ends[0]);
}

static void send_fds(int to, const int *fds, size_t count) {
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)"abcdefgh", 8};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, count * sizeof(int));
    assert_int_equal(sendmsg(to, &header, 0), 8);
}

/* More than one descriptor is not a message of ours, and none of them stays open. */
static void test_many_descriptors_are_refused(void **state) {
    struct fixture *f = *state;
    for (size_t count = 2; count <= 8; count++) {
        int ends[2], copies[8];
        char c;
        assert_int_equal(pipe(ends), 0);
        for (size_t i = 0; i < count; i++)
            copies[i] = ends[1];
        send_fds(f->peer, copies, count);
        (void)close(ends[1]);
        f->closed = 0;
        run(f);
        assert_int_equal(f->closed, 1);
        assert_int_equal(read(ends[0], &c, 1), 0);
        (void)close(ends[0]);
        close_peer(f);
        open_link(f, 4);
    }
    assert_int_equal(f->messages, 0);
}

static void assert_packet_refused(struct fixture *f, size_t n) {
    static const uint8_t zeros[IPC_MESSAGE_MAX + 1];
    assert_int_equal(send(f->peer, zeros, n, 0), n);
    f->closed = 0;
    run(f);
    assert_int_equal(f->closed, 1);
    close_peer(f);
    open_link(f, 4);
}

static void test_impossible_packets_end_the_link(void **state) {
    struct fixture *f = *state;
    assert_packet_refused(f, IPC_MESSAGE_MAX + 1);
    assert_packet_refused(f, 2);
    assert_packet_refused(f, 0);
    assert_int_equal(f->messages, 0);
}

static void test_over_a_bound_is_not_sent(void **state) {
    struct fixture *f = *state;
    static const uint8_t over[IPC_CERT_MAX + 1];
    uint8_t room[16];
    struct bytes message;
    struct ipc_reply reply = {.id = 1, .outcome = IPC_ISSUED, .certificate = BYTES_OF(over)};
    assert_int_equal(ipc_link_send(f->link, &ipc_reply_schema, &reply), TM_ELIMIT);
    assert_int_equal(ipc_receive(f->peer, room, sizeof room, 0, &message), TM_ETIMEOUT);
}

static void test_blocking_receive(void **state) {
    struct fixture *f = *state;
    uint8_t room[64], tight[32];
    struct bytes message = {NULL, 0};
    int64_t start = clock_mono_ms();
    assert_int_equal(ipc_receive(f->peer, room, sizeof room, 30, &message), TM_ETIMEOUT);
    assert_in_range(clock_mono_ms() - start, 29, 5000);
    assert_int_equal(link_sends(f, 1), TM_OK);
    assert_int_equal(ipc_receive(f->peer, tight, sizeof tight, 1000, &message), TM_ELIMIT);
    assert_null(message.p);
    ipc_link_close(f->link);
    f->link = NULL;
    assert_int_equal(ipc_receive(f->peer, room, sizeof room, -1, &message), TM_ECLOSED);
}

/* One descriptor comes through, none is told apart from one, and what is too many, too long for the
 * buffer or not asked for stays open nowhere. */
static void test_blocking_receive_of_descriptors(void **state) {
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        int fds[2], ends[2], got = -7;
        uint8_t room[16];
        char c;
        struct bytes message = {NULL, 0};
        assert_int_equal(ipc_pair(fds), TM_OK);
        assert_int_equal(pipe(ends), 0);
        const int copies[] = {ends[1], ends[1]};
        if (kind == 0)
            assert_int_equal(send(fds[1], "abcdefgh", 8, 0), 8);
        else
            send_fds(fds[1], copies, kind == 2 ? 2 : 1);
        if (kind != 1)
            (void)close(ends[1]);
        if (kind == 4)
            assert_int_equal(ipc_receive(fds[0], room, sizeof room, 1000, &message), TM_OK);
        else
            assert_int_equal(
                ipc_receive_fd(fds[0], room, kind == 3 ? 4 : sizeof room, 1000, &message, &got),
                kind == 2   ? TM_EPARSE
                : kind == 3 ? TM_ELIMIT
                            : TM_OK);
        assert_int_equal(message.n, kind == 2 || kind == 3 ? 0 : 8);
        if (kind == 1) {
            assert_true(got >= 0);
            assert_same_pipe(got, ends[0]);
            (void)close(got);
            (void)close(ends[1]);
        } else {
            assert_int_equal(got, kind == 0 ? -1 : -7);
        }
        assert_int_equal(read(ends[0], &c, 1), 0);
        (void)close(ends[0]);
        (void)close(fds[0]);
        (void)close(fds[1]);
    }
}

#define THREADS 4
#define PER_THREAD 500

struct shared {
    int fd;
    unsigned got;
};

static void *answers(void *arg) {
    struct shared *s = arg;
    uint8_t room[1024];
    struct bytes message;
    while (ipc_receive(s->fd, room, sizeof room, -1, &message) == TM_OK) {
        struct ipc_reply reply;
        if (codec_decode(&ipc_reply_schema, message, &reply) ||
            ipc_send(s->fd, &ipc_reply_schema, &reply))
            return NULL;
        s->got++;
    }
    return s;
}

/* Several threads serve one socket, as the signer's do: every message gets one whole answer. */
static void test_threads_share_a_socket(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    struct shared shares[THREADS];
    static bool answered[THREADS * PER_THREAD + 1];
    uint8_t room[1024];
    int fds[2];
    assert_int_equal(ipc_pair(fds), TM_OK);
    for (size_t i = 0; i < THREADS; i++) {
        shares[i] = (struct shared){.fd = fds[1]};
        assert_int_equal(pthread_create(&threads[i], NULL, answers, &shares[i]), 0);
    }
    for (uint64_t id = 1; id <= THREADS * PER_THREAD; id++) {
        struct ipc_reply reply = {.id = id, .outcome = IPC_ISSUED};
        struct bytes message;
        assert_int_equal(ipc_send(fds[0], &ipc_reply_schema, &reply), TM_OK);
        assert_int_equal(ipc_receive(fds[0], room, sizeof room, 10000, &message), TM_OK);
        assert_int_equal(codec_decode(&ipc_reply_schema, message, &reply), TM_OK);
        assert_in_range(reply.id, 1, THREADS * PER_THREAD);
        assert_false(answered[reply.id]);
        answered[reply.id] = true;
    }
    (void)close(fds[0]);
    unsigned total = 0;
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &shares[i]);
        total += shares[i].got;
    }
    (void)close(fds[1]);
    assert_int_equal(total, THREADS * PER_THREAD);
}

static void test_open_takes_the_descriptor_even_on_failure(void **state) {
    struct fixture *f = *state;
    struct ipc_link *link = NULL;
    char path[] = "/tmp/touchmark-link-XXXXXX";
    int file = mkstemp(path); /* epoll refuses plain files */
    assert_true(file >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ipc_link_open(f->loop, file, 1, &events, f, &link), TM_EIO);
    assert_null(link);
    assert_int_equal(close(file), -1);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_messages_in_order),
        LINK_TEST(test_sent_messages_arrive),
        LINK_TEST(test_peer_closed),
        LINK_TEST(test_send_to_closed_peer),
        LINK_TEST(test_queue_is_bounded_and_flushed),
        LINK_TEST(test_queue_grows_by_its_bound),
        LINK_TEST(test_peer_dies_with_a_full_queue),
        LINK_TEST(test_paused_link_does_not_read),
        LINK_TEST(test_paused_link_survives_the_end),
        LINK_TEST(test_back_pressure_reaches_the_sender),
        LINK_TEST(test_close_inside_message),
        LINK_TEST(test_descriptor_passes),
        LINK_TEST(test_queued_descriptor_is_closed),
        LINK_TEST(test_many_descriptors_are_refused),
        LINK_TEST(test_impossible_packets_end_the_link),
        LINK_TEST(test_over_a_bound_is_not_sent),
        LINK_TEST(test_blocking_receive),
        LINK_TEST(test_blocking_receive_of_descriptors),
        LINK_TEST(test_threads_share_a_socket),
        LINK_TEST(test_open_takes_the_descriptor_even_on_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
