/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter of each role, in a child that really enters it: what a role needs works, what
 * it must not do fails with EPERM, and what only an intruder does kills the process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/memfile.h"
#include "ipc/link.h"
#include "server/privileges.h"
#include "server/sandbox.h"
#include "server/sanitized.h"

/* What a child has open before it enters the filter. */
struct opened {
    int file;
    int sealed;
    int folder;
    int tcp;
    int unix_listener;
    int pair[2];
    struct loop *loop;
};

typedef int attempt_fn(const struct opened *opened); /* 0 = as hoped; errno else */

#define NOT_ENTERED 99

static void open_all(struct opened *o) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    o->file = memfd_create("test", MFD_CLOEXEC);
    o->folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    o->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (memfile_new("test", &o->sealed) || memfile_write(o->sealed, bytes_str("a CRL")) ||
        memfile_seal(o->sealed) || o->file < 0 || o->folder < 0 || o->tcp < 0 ||
        ipc_pair(o->pair) || loop_new(&o->loop) ||
        bind(o->tcp, (struct sockaddr *)&address, sizeof address) || listen(o->tcp, 1))
        _exit(NOT_ENTERED);
}

/* The status of a child that entered the filter of `kind` and then ran `attempt`. */
static int run_inside(enum ipc_role kind, bool network, attempt_fn *attempt) {
    int status = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct opened opened;
        open_all(&opened);
        if (privileges_seal() || sandbox_enter(kind, network, "/tmp"))
            _exit(NOT_ENTERED);
        _exit(attempt(&opened));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_works(enum ipc_role kind, attempt_fn *attempt) {
    int status = run_inside(kind, false, attempt);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void assert_refused(enum ipc_role kind, attempt_fn *attempt) {
    int status = run_inside(kind, false, attempt);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EPERM);
}

static void assert_killed(enum ipc_role kind, attempt_fn *attempt) {
    int status = run_inside(kind, false, attempt);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int result(long returned) {
    return returned < 0 ? errno : 0;
}

/* ---- attempts ---- */

static int opens_file(const struct opened *o) {
    (void)o;
    return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int makes_socket(const struct opened *o) {
    (void)o;
    return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int makes_unix_socket(const struct opened *o) {
    (void)o;
    return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int connects(const struct opened *o) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(9),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    return result(connect(o->tcp, (struct sockaddr *)&address, sizeof address));
}

static int forks(const struct opened *o) {
    (void)o;
    return result(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static int forks_by_clone3(const struct opened *o) {
    (void)o;
    uint64_t arguments[8] = {0};
    return result(syscall(SYS_clone3, arguments, sizeof arguments)) == ENOSYS ? EPERM : 0;
}

static int maps_code(const struct opened *o) {
    (void)o;
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

static int makes_code(const struct opened *o) {
    (void)o;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? 0 : result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int kills_parent(const struct opened *o) {
    (void)o;
    return result(kill(getppid(), SIGTERM));
}

static int signals_parent_thread(const struct opened *o) {
    (void)o;
    return result(syscall(SYS_tgkill, getppid(), getppid(), SIGTERM));
}

static int raises_limit(const struct opened *o) {
    (void)o;
    const uint64_t limit[2] = {1, 1};
    return result(syscall(SYS_prlimit64, 0, 4 /* RLIMIT_CORE */, limit, NULL));
}

static int becomes_dumpable(const struct opened *o) {
    (void)o;
    return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int executes(const struct opened *o) {
    (void)o;
    char *const argv[] = {(char[]){"true"}, NULL};
    return result(execv("/bin/true", argv));
}

static int executes_descriptor(const struct opened *o) {
    char *const argv[] = {(char[]){"x"}, NULL};
    return result(fexecve(o->file, argv, argv + 1));
}

static int traces(const struct opened *o) {
    (void)o;
    return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int reads_memory(const struct opened *o) {
    (void)o;
    char octet = 0;
    struct iovec iov = {&octet, 1};
    return result(syscall(SYS_process_vm_readv, getppid(), &iov, 1, &iov, 1, 0));
}

static int loads_bpf(const struct opened *o) {
    (void)o;
    return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int mounts(const struct opened *o) {
    (void)o;
    return result(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int unshares(const struct opened *o) {
    (void)o;
    return result(syscall(SYS_unshare, 0));
}

static int rings(const struct opened *o) {
    (void)o;
    return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int renames(const struct opened *o) {
    int failed = result(renameat(o->folder, "touchmark-none-1", o->folder, "touchmark-none-2"));
    return failed == ENOENT ? 0 : failed;
}

static int truncates(const struct opened *o) {
    return result(ftruncate(o->file, 8192));
}

static int accepts(const struct opened *o) {
    int failed = result(accept4(o->tcp, NULL, NULL, SOCK_CLOEXEC));
    return failed == EAGAIN ? 0 : failed;
}

static int pairs_sockets(const struct opened *o) {
    (void)o;
    int fds[2];
    return result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
}

/* LMDB's way of writing: positioned writes, a longer file, a durable one, a larger map. */
static int works_on_file(const struct opened *o) {
    char page[4096] = "page";
    if (ftruncate(o->file, 8192) || pwrite(o->file, page, sizeof page, 4096) != sizeof page ||
        pread(o->file, page, sizeof page, 0) != sizeof page || fdatasync(o->file))
        return errno;
    char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, o->file, 0);
    if (map == MAP_FAILED)
        return errno;
    map = mremap(map, 4096, 8192, MREMAP_MAYMOVE);
    if (map == MAP_FAILED)
        return errno;
    struct stat st;
    struct flock lock = {.l_type = F_WRLCK};
    return strcmp(map + 4096, "page") != 0 || fstat(o->file, &st) || fcntl(o->file, F_SETLK, &lock)
               ? errno
               : 0;
}

static void *thread_works(void *arg) {
    char *memory = malloc((size_t)1 << 20);
    if (memory)
        memset(memory, 1, (size_t)1 << 20);
    free(memory);
    (void)clock_wall_ms();
    return arg;
}

static bool threads_work(void) {
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, thread_works, (void *)(uintptr_t)(i + 1)))
            return false;
    for (size_t i = 0; i < 4; i++) {
        void *back = NULL;
        if (pthread_join(threads[i], &back) || back != (void *)(uintptr_t)(i + 1))
            return false;
    }
    return true;
}

static bool openssl_works(void) {
    unsigned char random[32], digest[EVP_MAX_MD_SIZE], signature[128];
    unsigned int n = 0;
    size_t signature_n = sizeof signature;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = RAND_bytes(random, sizeof random) == 1 &&
                EVP_Digest(random, sizeof random, digest, &n, EVP_sha384(), NULL) == 1 && key &&
                ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(ctx, signature, &signature_n, digest, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return good;
}

static void stop(void *arg) {
    loop_stop(arg);
}

static bool loop_works(const struct opened *o) {
    struct loop_timer timer = {.fn = stop, .arg = o->loop};
    struct loop *another = NULL;
    bool good = loop_timer_set(o->loop, &timer, clock_mono_ms() + 2) == TM_OK &&
                loop_run(o->loop) == TM_OK && loop_new(&another) == TM_OK;
    loop_free(another);
    return good;
}

static bool links_work(const struct opened *o) {
    const struct ipc_control control = {.verb = IPC_CONTROL_READY};
    uint8_t room[64];
    struct bytes message;
    return ipc_send(o->pair[0], &ipc_control_schema, &control) == TM_OK &&
           ipc_receive(o->pair[1], room, sizeof room, 1000, &message) == TM_OK;
}

/* Everything that all roles build on, the number of the failing part else. */
static int lives(const struct opened *o) {
    const struct timespec nap = {.tv_nsec = 1000000};
    if (!threads_work())
        return 1;
    if (!openssl_works())
        return 2;
    if (!loop_works(o))
        return 3;
    if (!links_work(o))
        return 4;
    log_info("a line from inside the filter");
    if (nanosleep(&nap, NULL))
        return 5;
    return raise(0) ? 6 : 0;
}

/* ---- the bridge: a broker that has a name ---- */

static int makes_netlink_socket(const struct opened *o) {
    (void)o;
    return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int connects_out(const struct opened *o) {
    struct sockaddr_in address;
    socklen_t n = sizeof address;
    int option = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && getsockname(o->tcp, (struct sockaddr *)&address, &n) == 0 &&
                connect(fd, (struct sockaddr *)&address, n) == 0 &&
                setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &option, sizeof option) == 0;
    return good ? 0 : errno;
}

static int resolves_names(const struct opened *o) {
    (void)o;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo("localhost", NULL, &hints, &found);
    if (!failed)
        freeaddrinfo(found);
    return failed ? EIO : 0;
}

static int listens(const struct opened *o) {
    return result(listen(o->tcp, 8));
}

static int binds(const struct opened *o) {
    (void)o;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    return result(
        bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
}

static int writes_file(const struct opened *o) {
    (void)o;
    return result(open("/etc/touchmark-none", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int truncates_file(const struct opened *o) {
    return result(openat(o->folder, "touchmark-none", O_RDONLY | O_TRUNC | O_CLOEXEC));
}

/* Not EPERM: it is Landlock that says no. */
static int reads_other_file(const struct opened *o) {
    (void)o;
    return result(open("/proc/version", O_RDONLY | O_CLOEXEC)) == EACCES ? EPERM : 0;
}

/* What SoftHSM does with its token's files. */
static int works_on_token_files(const struct opened *o) {
    char name[] = "/tmp/touchmark-sandbox-XXXXXX", other[64];
    struct flock lock = {.l_type = F_WRLCK};
    struct stat st;
    (void)o;
    int fd = mkstemp(name);
    (void)snprintf(other, sizeof other, "%s.new", name);
    bool good = fd >= 0 && fcntl(fd, F_SETLKW, &lock) == 0 && write(fd, "x", 1) == 1 &&
                fsync(fd) == 0 && rename(name, other) == 0 && stat(other, &st) == 0;
    int failed = good ? 0 : errno;
    return unlink(other) == 0 ? failed : errno;
}

/* What the core does to make a CRL. */
static int makes_memory_file(const struct opened *o) {
    int fd;
    (void)o;
    if (memfile_new("test", &fd) || fallocate(fd, 0, 0, 4096))
        return errno;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    bool good = p != MAP_FAILED && fallocate(fd, 0, 4096, 4096) == 0 &&
                (p = mremap(p, 4096, 8192, MREMAP_MAYMOVE)) != MAP_FAILED && munmap(p, 8192) == 0 &&
                ftruncate(fd, 100) == 0 && !memfile_seal(fd);
    return good ? 0 : errno;
}

static int maps_memory_file(const struct opened *o) {
    struct bytes mapped;
    if (memfile_map(o->sealed, 64, &mapped))
        return NOT_ENTERED;
    bool good = bytes_equal(mapped, bytes_str("a CRL"));
    memfile_unmap(mapped);
    return good ? 0 : NOT_ENTERED;
}

/* ---- the status role: replaces files in one folder ---- */

static int replaces_file(const struct opened *o) {
    char name[64], other[80];
    struct stat st;
    (void)snprintf(name, sizeof name, "touchmark-sandbox-%ld", (long)getpid());
    (void)snprintf(other, sizeof other, "%s.new", name);
    int fd = openat(o->folder, other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && flock(o->folder, LOCK_EX) == 0 && fchmod(fd, 0644) == 0 &&
                write(fd, "x", 1) == 1 && fsync(fd) == 0 &&
                renameat(o->folder, other, o->folder, name) == 0 && fsync(o->folder) == 0 &&
                fstatat(o->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    int failed = good ? 0 : errno;
    return unlinkat(o->folder, name, 0) == 0 ? failed : errno;
}

/* Landlock says no, not EPERM. */
static int reads_passwd(const struct opened *o) {
    return opens_file(o) == EACCES ? EPERM : 0;
}

static int writes_passwd(const struct opened *o) {
    (void)o;
    return result(open("/etc/passwd", O_WRONLY | O_APPEND | O_CLOEXEC)) == EACCES ? EPERM : 0;
}

static int crashes(const struct opened *o) {
    (void)o;
    return raise(SIGKILL);
}

/* ---- tests ---- */

static const enum ipc_role roles[] = {IPC_ROLE_FRONT,    IPC_ROLE_CORE,   IPC_ROLE_SIGNER,
                                      IPC_ROLE_TLSCERT,  IPC_ROLE_BRIDGE, IPC_ROLE_STATUS,
                                      IPC_ROLE_UPSTREAM, IPC_ROLE_METRICS};
#define ROLES (sizeof roles / sizeof roles[0])

static void test_every_role_lives(void **state) {
    (void)state;
    for (size_t i = 0; i < ROLES; i++)
        assert_works(roles[i], lives);
}

static void test_roles_do_their_work(void **state) {
    (void)state;
    assert_works(IPC_ROLE_FRONT, accepts);
    assert_works(IPC_ROLE_FRONT, pairs_sockets);
    assert_works(IPC_ROLE_CORE, accepts);
    assert_works(IPC_ROLE_CORE, works_on_file);
    assert_works(IPC_ROLE_CORE, makes_memory_file);
    assert_works(IPC_ROLE_CORE, maps_memory_file);
    assert_works(IPC_ROLE_SIGNER, maps_memory_file);
    assert_works(IPC_ROLE_SIGNER, works_on_token_files);
    assert_works(IPC_ROLE_TLSCERT, renames);
    assert_works(IPC_ROLE_BRIDGE, connects_out);
    assert_works(IPC_ROLE_BRIDGE, resolves_names);
    assert_works(IPC_ROLE_BRIDGE, pairs_sockets);
    assert_works(IPC_ROLE_UPSTREAM, connects_out);
    assert_works(IPC_ROLE_UPSTREAM, resolves_names);
    assert_works(IPC_ROLE_UPSTREAM, pairs_sockets);
    assert_works(IPC_ROLE_STATUS, accepts);
    assert_works(IPC_ROLE_METRICS, accepts);
    assert_works(IPC_ROLE_STATUS, maps_memory_file);
    assert_works(IPC_ROLE_STATUS, replaces_file);
}

static void test_nobody_may(void **state) {
    (void)state;
    static attempt_fn *const forbidden[] = {
        makes_unix_socket,
        makes_netlink_socket,
        forks,
        forks_by_clone3,
        maps_code,
        makes_code,
        kills_parent,
        raises_limit,
        signals_parent_thread,
        becomes_dumpable,
        binds,
        listens,
    };
    for (size_t i = 0; i < ROLES; i++)
        for (size_t j = 0; j < sizeof forbidden / sizeof forbidden[0]; j++)
            assert_refused(roles[i], forbidden[j]);
}

static void test_only_those_who_need_it_may(void **state) {
    (void)state;
    static const enum ipc_role offline[] = {IPC_ROLE_FRONT,   IPC_ROLE_CORE,   IPC_ROLE_SIGNER,
                                            IPC_ROLE_TLSCERT, IPC_ROLE_STATUS, IPC_ROLE_METRICS};
    for (size_t i = 0; i < sizeof offline / sizeof offline[0]; i++) {
        assert_refused(offline[i], makes_socket);
        assert_refused(offline[i], connects);
    }
    assert_refused(IPC_ROLE_FRONT, opens_file);
    assert_refused(IPC_ROLE_CORE, opens_file);
    assert_refused(IPC_ROLE_TLSCERT, opens_file);
    assert_refused(IPC_ROLE_METRICS, opens_file);
    assert_refused(IPC_ROLE_METRICS, pairs_sockets);
    assert_refused(IPC_ROLE_METRICS, renames);
    assert_works(IPC_ROLE_SIGNER, opens_file);
    assert_refused(IPC_ROLE_FRONT, renames);
    assert_refused(IPC_ROLE_CORE, renames);
    assert_refused(IPC_ROLE_FRONT, truncates);
    assert_refused(IPC_ROLE_TLSCERT, truncates);
    assert_refused(IPC_ROLE_SIGNER, accepts);
    assert_refused(IPC_ROLE_TLSCERT, accepts);
    assert_refused(IPC_ROLE_CORE, pairs_sockets);
    assert_refused(IPC_ROLE_BRIDGE, accepts);
    assert_refused(IPC_ROLE_BRIDGE, renames);
    assert_refused(IPC_ROLE_BRIDGE, truncates);
    assert_refused(IPC_ROLE_UPSTREAM, accepts);
    assert_refused(IPC_ROLE_UPSTREAM, renames);
    assert_refused(IPC_ROLE_UPSTREAM, truncates);
    assert_refused(IPC_ROLE_STATUS, pairs_sockets);
    assert_refused(IPC_ROLE_STATUS, truncates);
}

static void test_who_reaches_out_reads_only_what_resolves_names(void **state) {
    (void)state;
    static const enum ipc_role outgoing[] = {IPC_ROLE_BRIDGE, IPC_ROLE_UPSTREAM};
    for (size_t i = 0; i < sizeof outgoing / sizeof outgoing[0]; i++) {
        assert_works(outgoing[i], opens_file);
        assert_refused(outgoing[i], writes_file);
        assert_refused(outgoing[i], truncates_file);
        /* A kernel without Landlock is served too, and warned about. */
        if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0)
            assert_refused(outgoing[i], reads_other_file);
    }
}

static void test_status_touches_only_its_folder(void **state) {
    (void)state;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) <= 0)
        return; /* a kernel without Landlock is served too, and warned about */
    assert_refused(IPC_ROLE_STATUS, reads_passwd);
    assert_refused(IPC_ROLE_STATUS, writes_passwd);
}

static void test_intruders_die(void **state) {
    (void)state;
    static attempt_fn *const deadly[] = {
        executes, executes_descriptor, traces, reads_memory, loads_bpf, mounts, unshares, rings};
    for (size_t i = 0; i < ROLES; i++)
        for (size_t j = 0; j < sizeof deadly / sizeof deadly[0]; j++)
            assert_killed(roles[i], deadly[j]);
}

static void test_network_signer_has_sockets(void **state) {
    (void)state;
    int status = run_inside(IPC_ROLE_SIGNER, true, makes_socket);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    status = run_inside(IPC_ROLE_SIGNER, true, executes);
    assert_true(WIFSIGNALED(status));
}

/* Crash points (base/crash.h) still work inside. */
static void test_process_can_kill_itself(void **state) {
    (void)state;
    int status = run_inside(IPC_ROLE_CORE, false, crashes);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

struct waiting {
    int wake[2];
    int failed;
};

static void *opens_when_woken(void *arg) {
    struct waiting *w = arg;
    char octet;
    if (read(w->wake[0], &octet, 1) == 1)
        w->failed = opens_file(NULL);
    return NULL;
}

/* The filter reaches threads that run already: the core's writer does. */
static void test_filter_covers_running_threads(void **state) {
    (void)state;
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct waiting w = {.failed = 0};
        pthread_t thread;
        if (pipe(w.wake) || pthread_create(&thread, NULL, opens_when_woken, &w) ||
            sandbox_enter(IPC_ROLE_CORE, false, NULL) || write(w.wake[1], "x", 1) != 1 ||
            pthread_join(thread, NULL))
            _exit(NOT_ENTERED);
        _exit(w.failed);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EPERM);
}

/* Started as root, a role becomes another user for good, and is opaque to that user's others. */
static void test_privileges_are_dropped(void **state) {
    (void)state;
    int status = 0;
    if (geteuid() != 0)
        return; /* nothing to drop: privileges_drop is defined to do nothing */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (privileges_drop("nobody") || privileges_seal())
            _exit(1);
        if (geteuid() == 0 || getegid() == 0 || setuid(0) == 0 ||
            open("/etc/shadow", O_RDONLY) >= 0)
            _exit(2);
        if ((!SERVER_SANITIZED && prctl(PR_GET_DUMPABLE) != 0) ||
            prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
            _exit(3);
        int signal_number = 0;
        if (prctl(PR_GET_PDEATHSIG, &signal_number) || signal_number != SIGKILL)
            _exit(4);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_unknown_user_is_refused(void **state) {
    (void)state;
    if (geteuid() == 0)
        assert_int_equal(privileges_drop("touchmark-no-such-user"), TM_ENOTFOUND);
    assert_int_equal(privileges_drop(""), TM_OK);
    assert_int_equal(privileges_drop(NULL), TM_OK);
}

static const struct CMUnitTest filter_tests[] = {
    cmocka_unit_test(test_every_role_lives),
    cmocka_unit_test(test_roles_do_their_work),
    cmocka_unit_test(test_nobody_may),
    cmocka_unit_test(test_only_those_who_need_it_may),
    cmocka_unit_test(test_who_reaches_out_reads_only_what_resolves_names),
    cmocka_unit_test(test_status_touches_only_its_folder),
    cmocka_unit_test(test_intruders_die),
    cmocka_unit_test(test_network_signer_has_sockets),
    cmocka_unit_test(test_process_can_kill_itself),
    cmocka_unit_test(test_filter_covers_running_threads),
};

static const struct CMUnitTest privilege_tests[] = {
    cmocka_unit_test(test_privileges_are_dropped),
    cmocka_unit_test(test_unknown_user_is_refused),
};

int main(void) {
    int failed = cmocka_run_group_tests(privilege_tests, NULL, NULL);
    /* A sanitizer build has no filter to test: server/sanitized.h says why. */
    return SERVER_SANITIZED ? failed : failed + cmocka_run_group_tests(filter_tests, NULL, NULL);
}
