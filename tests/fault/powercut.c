/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A power cut for programs that keep files in one folder, by LD_PRELOAD. It counts the calls that
 * change the folder; before the one whose number it was given it takes back what a disk would not
 * have kept and kills the process with SIGKILL.
 *
 * POWERCUT_FOLDER  the folder, which is there already; regular files right in it
 * POWERCUT_AT      the call before which the power fails, from 1; none: it never does
 * POWERCUT_KEEP    what stays:
 *   synced   (default) contents as they were at each file's last fsync, names as they were at the
 *            folder's last fsync; what was there at the start is durable
 *   names    names as they stand, contents as in `synced`: a journal that kept metadata only
 *   all      everything: only the process dies
 *
 * Seen are open with O_CREAT or O_TRUNC, write, pwrite, ftruncate, fsync, fdatasync, rename and
 * unlink with their variants, as the program calls them; not stdio's own calls, nor mmap. fsync
 * does not reach the disk, so that many cuts take little time.
 */
#undef _FILE_OFFSET_BITS /* open() and open64() are to be two functions here */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(long) == sizeof(off_t), "file offsets go to syscall() as one word");

#define NAMES_MAX 64
#define INODES_MAX 4096

/* What the disk has of one file. Never freed: an unlinked one may come back. */
struct content {
    unsigned char *p;
    size_t n;
    mode_t mode;
};

static struct {
    pthread_mutex_t mutex;
    bool on;
    char path[PATH_MAX];
    struct stat folder;
    unsigned long calls, cut_at;
    const char *keep;
    struct {
        char name[NAME_MAX + 1];
        struct content *content;
    } durable[NAMES_MAX];
    size_t durable_n;
    struct {
        ino_t inode; /* which file has it now; the newest entry of a number counts */
        struct content *content;
    } live[INODES_MAX];
    size_t live_n;
} shim = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void give_up(const char *why) {
    (void)dprintf(STDERR_FILENO, "powercut: %s\n", why);
    abort();
}

/* ---- the real calls ---- */

static int real_openat(int dir, const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static ssize_t real_write(int fd, const void *p, size_t n) {
    return syscall(SYS_write, fd, p, n);
}

static int real_unlinkat(int dir, const char *path, int flags) {
    return (int)syscall(SYS_unlinkat, dir, path, flags);
}

/* ---- files and what is durable of them ---- */

static struct content *new_content(ino_t inode, mode_t mode) {
    struct content *content = calloc(1, sizeof *content);
    if (!content || shim.live_n == INODES_MAX)
        give_up("too many files");
    content->mode = mode & 07777;
    shim.live[shim.live_n].inode = inode;
    shim.live[shim.live_n++].content = content;
    return content;
}

static struct content *content_of(const struct stat *st) {
    for (size_t i = shim.live_n; i-- > 0;)
        if (shim.live[i].inode == st->st_ino)
            return shim.live[i].content;
    return new_content(st->st_ino, st->st_mode); /* made by a call that is not seen */
}

/* Its contents and mode as they are now are on the disk. */
static void sync_content(const char *path) {
    struct stat st;
    int fd = real_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &st))
        give_up("a file cannot be read");
    struct content *content = content_of(&st);
    size_t n = (size_t)st.st_size;
    unsigned char *p = malloc(n + 1);
    if (!p || read(fd, p, n) != (ssize_t)n)
        give_up("a file cannot be read");
    (void)close(fd);
    free(content->p);
    *content = (struct content){p, n, st.st_mode & 07777};
}

static void sync_file(int fd) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sync_content(path);
}

/* Calls `each` with every regular file in the folder. */
static void walk(void (*each)(int folder, const char *name, const struct stat *st)) {
    int fd = real_openat(AT_FDCWD, shim.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct stat st;
    if (!dir)
        give_up("the folder cannot be read");
    for (struct dirent *entry; (entry = readdir(dir));)
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            each(fd, entry->d_name, &st);
    (void)closedir(dir);
}

static void make_durable(int folder, const char *name, const struct stat *st) {
    (void)folder;
    if (shim.durable_n == NAMES_MAX)
        give_up("too many names");
    (void)snprintf(shim.durable[shim.durable_n].name, NAME_MAX + 1, "%s", name);
    shim.durable[shim.durable_n++].content = content_of(st);
}

static void sync_folder(void) {
    shim.durable_n = 0;
    walk(make_durable);
}

/* ---- the cut ---- */

static void put(int folder, const char *name, const struct content *content) {
    int fd = real_openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, content->mode) ||
        real_write(fd, content->p, content->n) != (ssize_t)content->n)
        give_up("a file cannot be taken back");
    (void)close(fd);
}

static void take_back(int folder, const char *name, const struct stat *st) {
    put(folder, name, content_of(st));
}

static void remove_file(int folder, const char *name, const struct stat *st) {
    (void)st;
    if (real_unlinkat(folder, name, 0))
        give_up("a file cannot be removed");
}

static void lose_names(void) {
    walk(remove_file);
    int folder = real_openat(AT_FDCWD, shim.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    for (size_t i = 0; i < shim.durable_n; i++)
        put(folder, shim.durable[i].name, shim.durable[i].content);
    (void)close(folder);
}

static void cut(void) {
    if (strcmp(shim.keep, "synced") == 0)
        lose_names();
    else if (strcmp(shim.keep, "names") == 0)
        walk(take_back);
    (void)kill(getpid(), SIGKILL);
}

/* ---- which calls count ---- */

static bool same(const struct stat *a) {
    return a->st_dev == shim.folder.st_dev && a->st_ino == shim.folder.st_ino;
}

/* Is it a name right in the folder? */
static bool names_ours(int dir, const char *path) {
    struct stat st;
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX];
    if (!shim.on)
        return false;
    if (!slash)
        return (dir == AT_FDCWD ? stat(".", &st) : fstat(dir, &st)) == 0 && same(&st);
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - path) + 1, path);
    return fstatat(dir, parent, &st, 0) == 0 && same(&st);
}

static bool is_folder(int fd) {
    struct stat st;
    return shim.on && fstat(fd, &st) == 0 && same(&st);
}

static bool is_file(int fd) {
    char link[64], path[PATH_MAX];
    size_t n = strlen(shim.path);
    if (!shim.on)
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > (ssize_t)n && memcmp(path, shim.path, n) == 0 && path[n] == '/';
}

/* Before each call that counts; end() after it. */
static void begin(void) {
    (void)pthread_mutex_lock(&shim.mutex);
    if (++shim.calls == shim.cut_at)
        cut();
}

static void end(void) {
    (void)pthread_mutex_unlock(&shim.mutex);
}

/* What is there at the start is on the disk. */
static void load(int folder, const char *name, const struct stat *st) {
    char path[PATH_MAX + NAME_MAX + 2];
    (void)snprintf(path, sizeof path, "%s/%s", shim.path, name);
    sync_content(path);
    make_durable(folder, name, st);
}

__attribute__((constructor)) static void start(void) {
    const char *folder = getenv("POWERCUT_FOLDER"), *at = getenv("POWERCUT_AT");
    const char *keep = getenv("POWERCUT_KEEP");
    shim.keep = keep ? keep : "synced";
    shim.cut_at = at ? strtoul(at, NULL, 10) : 0;
    if (!folder || !realpath(folder, shim.path) || stat(shim.path, &shim.folder))
        give_up("POWERCUT_FOLDER names no folder");
    if (strcmp(shim.keep, "synced") != 0 && strcmp(shim.keep, "names") != 0 &&
        strcmp(shim.keep, "all") != 0)
        give_up("POWERCUT_KEEP is none of synced, names, all");
    walk(load);
    (void)unsetenv("LD_PRELOAD"); /* its children are other programs */
    shim.on = true;
}

/* ---- the calls ---- */

static int do_open(int dir, const char *path, int flags, mode_t mode) {
    if ((flags & (O_CREAT | O_TRUNC)) == 0 || !names_ours(dir, path))
        return real_openat(dir, path, flags, mode);
    struct stat st;
    begin();
    bool was_there = fstatat(dir, path, &st, 0) == 0;
    int fd = real_openat(dir, path, flags, mode);
    int error = errno;
    if (fd >= 0 && !was_there && fstat(fd, &st) == 0)
        (void)new_content(st.st_ino, st.st_mode);
    end();
    errno = error;
    return fd;
}

static int do_sync(int fd, long number) {
    bool folder = is_folder(fd);
    if (!folder && !is_file(fd))
        return (int)syscall(number, fd);
    begin();
    if (folder)
        sync_folder();
    else
        sync_file(fd);
    end();
    return 0;
}

static int do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    bool counts = names_ours(from_dir, from) || names_ours(to_dir, to);
    if (counts)
        begin();
    int result = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (counts)
        end();
    return result;
}

static int do_unlink(int dir, const char *path, int flags) {
    bool counts = names_ours(dir, path);
    if (counts)
        begin();
    int result = real_unlinkat(dir, path, flags);
    if (counts)
        end();
    return result;
}

static long on_file(int fd, long number, long a, long b, long c) {
    bool counts = is_file(fd);
    if (counts)
        begin();
    long result = syscall(number, fd, a, b, c);
    if (counts)
        end();
    return result;
}

/* The C library declares these; a 64-bit program may call either name of each. */
static mode_t mode_argument(int flags, va_list arguments) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return do_open(dir, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));

ssize_t write(int fd, const void *p, size_t n) {
    return on_file(fd, SYS_write, (long)p, (long)n, 0);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    return on_file(fd, SYS_pwrite64, (long)p, (long)n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) __attribute__((alias("pwrite")));

int ftruncate(int fd, off_t n) {
    return (int)on_file(fd, SYS_ftruncate, n, 0, 0);
}

int ftruncate64(int fd, off_t n) __attribute__((alias("ftruncate")));

int fsync(int fd) {
    return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd) {
    return do_sync(fd, SYS_fdatasync);
}

int rename(const char *from, const char *to) {
    return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return do_rename(from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return do_rename(from_dir, from, to_dir, to, flags);
}

int unlink(const char *path) {
    return do_unlink(AT_FDCWD, path, 0);
}

int unlinkat(int dir, const char *path, int flags) {
    return do_unlink(dir, path, flags);
}
