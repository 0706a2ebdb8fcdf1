/* SPDX-License-Identifier: Apache-2.0 */
/* See sandbox.h. Calls are listed by name; libseccomp knows their numbers on each architecture and
 * drops those that an architecture does not have. */
#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "server/landlock.h"
#include "server/sanitized.h"

/* What no role ever does: reaching into other processes, becoming another program, changing the
 * system. One try is proof enough. */
static const char *const killing[] = {
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "bpf",
    "process_vm_writev",
    "kexec_load",
    "kexec_file_load",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "setns",
    "unshare",
    "swapon",
    "swapoff",
    "userfaultfd",
    "perf_event_open",
    "fsopen",
    "open_by_handle_at",
    "fsmount",
    "fsconfig",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "add_key",
    "request_key",
    "keyctl",
    "acct",
    "settimeofday",
    "clock_settime",
    "sethostname",
    "iopl",
    "ioperm",
    "io_uring_setup",
    NULL,
};

/* C library, threads, OpenSSL, the loop and the links. */
static const char *const common[] = {
    "read",
    "readv",
    "write",
    "writev",
    "close",
    "lseek",
    "fcntl",
    "munmap",
    "mremap",
    "madvise",
    "brk",
    "futex",
    "membarrier",
    "rseq",
    "set_robust_list",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "restart_syscall",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "clock_nanosleep",
    "nanosleep",
    "time",
    "getpid",
    "gettid",
    "getppid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getrandom",
    "sched_yield",
    "getcpu",
    "sysinfo",
    "uname",
    "sched_getaffinity",
    "set_tid_address",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd2",
    "poll",
    "ppoll",
    "recvmsg",
    "sendmsg",
    "recvfrom",
    "sendto",
    "shutdown",
    "exit",
    "exit_group",
    "getrlimit",
    NULL,
};

/* Accepts on the open socket, pumps plain text over socket pairs. */
static const char *const front_calls[] = {
    "accept4", "accept", "socketpair", "getsockopt", "setsockopt", "getsockname", "getpeername",
    "dup",     "pipe2",  "select",     "pselect6",   "ioctl",      NULL,
};

/* Connects to the broker, or to other CAs, and, for their names, to name servers; libmosquitto and
 * libcurl wake themselves by a socket pair. Which sockets and which files: allow_outgoing. */
static const char *const outgoing_calls[] = {
    "connect",    "socketpair", "getsockname", "getpeername", "getsockopt", "setsockopt", "select",
    "pselect6",   "sendmmsg",   "recvmmsg",    "ioctl",       "stat",       "lstat",      "statx",
    "newfstatat", "access",     "faccessat",   "faccessat2",  "readlink",   "readlinkat", NULL,
};

/* What the C library resolves names with: below /etc, or linked from there. */
static const char *const resolver_folders[] = {
    "/etc", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/connman", NULL};

/* Works on LMDB's open files, the administration socket, and CRLs and filters in memory files. */
static const char *const core_calls[] = {
    "accept4",   "getsockopt", "pread64",   "pwrite64",     "preadv", "pwritev",
    "fdatasync", "fsync",      "ftruncate", "fallocate",    "flock",  "msync",
    "mlock",     "munlock",    "fstatfs",   "memfd_create", NULL,
};

/* A PKCS#11 module keeps objects in files, which it locks, replaces and looks for as it likes
 * (SoftHSM does); others talk to a device node. */
static const char *const signer_calls[] = {
    "openat",     "open",     "stat",       "lstat",      "statx",    "access",    "faccessat",
    "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd",   "unlink",    "unlinkat",
    "rename",     "renameat", "renameat2",  "pread64",    "pwrite64", "ftruncate", "fsync",
    "fdatasync",  "flock",    "umask",      "mlock",      "munlock",  "ioctl",     "dup",
    "statfs",     "fstatfs",  "mkdir",      "mkdirat",    "rmdir",    "fchmod",    "chmod",
    "pipe2",      NULL,
};

/* A module that reaches its HSM over a network. */
static const char *const network_calls[] = {
    "socket",          "connect",      "bind",     "getsockname", "getpeername", "getsockopt",
    "setsockopt",      "select",       "pselect6", "sendmmsg",    "recvmmsg",    "timerfd_create",
    "timerfd_settime", "epoll_create", NULL,
};

/* Accepts on the open socket; replaces files in its folder. Which files: wall_off. */
static const char *const status_calls[] = {
    "accept4", "accept", "getsockopt", "setsockopt", "getsockname", "getpeername",
    "ioctl",   "openat", "newfstatat", "renameat",   "renameat2",   "unlinkat",
    "fsync",   "fchmod", "flock",      "statx",      NULL,
};

/* Accepts on the open socket; that is all. */
static const char *const metrics_calls[] = {
    "accept4", "accept", "getsockopt", "setsockopt", "getsockname", "getpeername", "ioctl", NULL,
};

/* Writes to the files it has opened and puts them in their place. */
static const char *const tlscert_calls[] = {
    "renameat", "renameat2", "unlinkat", "fsync", "fchmod", NULL,
};

static int allow_all(scmp_filter_ctx ctx, uint32_t action, const char *const *names) {
    for (size_t i = 0; names[i]; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number == __NR_SCMP_ERROR)
            continue; /* newer than this libseccomp, so nothing that we depend on calls it */
        int failed = seccomp_rule_add(ctx, action, number, 0);
        if (failed)
            return failed;
    }
    return 0;
}

/* Memory, but none that can be executed: what was loaded by now is all the code there is. */
static int allow_memory(scmp_filter_ctx ctx, bool executable) {
    static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; i < 2; i++) {
        int failed = executable ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0)
                                : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 1,
                                                   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        if (failed)
            return failed;
    }
    return 0;
}

/* Threads, but no processes. clone3's flags lie in memory where a filter cannot look: the C library
 * falls back to clone when it is not there. */
static int allow_threads(scmp_filter_ctx ctx) {
    int failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    return failed ? failed : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* Looks at itself only: an open descriptor's state, its own limits, its own threads' signals. */
static int allow_self(scmp_filter_ctx ctx) {
    int failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fstat), 0);
    if (!failed)
        failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                                  SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    if (!failed)
        failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                                  SCMP_A2(SCMP_CMP_EQ, 0, 0));
    if (!failed)
        failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                  SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    return failed;
}

/* Internet sockets only: by a local one it would reach the administration socket, which the user
 * that all roles share may use. Files for reading only; O_TRUNC would cut even those. */
static int allow_outgoing(scmp_filter_ctx ctx) {
    static const scmp_datum_t families[] = {AF_INET, AF_INET6};
    const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    int failed = allow_all(ctx, SCMP_ACT_ALLOW, outgoing_calls);
    for (size_t i = 0; i < sizeof families / sizeof families[0] && !failed; i++)
        failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_EQ, families[i], 0));
    if (!failed)
        failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
    return failed ? failed
                  : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
}

static int allow_role(scmp_filter_ctx ctx, enum ipc_role kind, bool network) {
    switch (kind) {
    case IPC_ROLE_FRONT:
        return allow_all(ctx, SCMP_ACT_ALLOW, front_calls);
    case IPC_ROLE_METRICS:
        return allow_all(ctx, SCMP_ACT_ALLOW, metrics_calls);
    case IPC_ROLE_BRIDGE:
    case IPC_ROLE_UPSTREAM:
        return allow_outgoing(ctx);
    case IPC_ROLE_CORE:
        return allow_all(ctx, SCMP_ACT_ALLOW, core_calls);
    case IPC_ROLE_TLSCERT:
        return allow_all(ctx, SCMP_ACT_ALLOW, tlscert_calls);
    case IPC_ROLE_STATUS:
        return allow_all(ctx, SCMP_ACT_ALLOW, status_calls);
    case IPC_ROLE_SIGNER:
        break;
    case IPC_ROLE_SUPERVISOR:
        return -EINVAL;
    }
    int failed = allow_all(ctx, SCMP_ACT_ALLOW, signer_calls);
    if (!failed)
        failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 0);
    if (!failed && network)
        failed = allow_all(ctx, SCMP_ACT_ALLOW, network_calls);
    return failed;
}

static int fill(scmp_filter_ctx ctx, enum ipc_role kind, bool network) {
    /* TSYNC: the core's and the signer's threads run already. */
    int failed = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!failed)
        failed = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!failed)
        failed = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (!failed)
        failed = allow_all(ctx, SCMP_ACT_KILL_PROCESS, killing);
    if (!failed)
        failed = allow_all(ctx, SCMP_ACT_ALLOW, common);
    /* The client library of a network HSM loads parts of itself late. */
    if (!failed)
        failed = allow_memory(ctx, kind == IPC_ROLE_SIGNER && network);
    if (!failed)
        failed = allow_threads(ctx);
    if (!failed)
        failed = allow_self(ctx);
    return failed ? failed : allow_role(ctx, kind, network);
}

/* seccomp sees no paths: those who may open files are kept to theirs. */
static enum tm_err wall_off(enum ipc_role kind, const char *dir) {
    const char *const own[] = {dir, NULL};
    if (kind == IPC_ROLE_BRIDGE || kind == IPC_ROLE_UPSTREAM)
        return landlock_read_only(resolver_folders);
    return kind == IPC_ROLE_STATUS ? landlock_replace_only(own) : TM_OK;
}

enum tm_err sandbox_enter(enum ipc_role kind, bool network, const char *dir) {
    if (SERVER_SANITIZED)
        return TM_OK;
    if (wall_off(kind, dir))
        return TM_EIO;
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int failed = ctx ? fill(ctx, kind, network) : -ENOMEM;
    if (!failed)
        failed = seccomp_load(ctx);
    if (ctx)
        seccomp_release(ctx);
    if (!failed)
        return TM_OK;
    log_error("cannot install the seccomp filter: %s", strerror(-failed));
    return TM_EIO;
}
