/* SPDX-License-Identifier: Apache-2.0 */
/* See privileges.h. */
#include "server/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "server/sanitized.h"

enum tm_err privileges_user(const char *user, uid_t *ret_uid, gid_t *ret_gid) {
    struct passwd entry, *found = NULL;
    char room[4096];
    int failed = getpwnam_r(user, &entry, room, sizeof room, &found);
    if (failed || !found) {
        log_error("process.user: there is no system user \"%s\"%s%s", user, failed ? ": " : "",
                  failed ? strerror(failed) : "");
        return TM_ENOTFOUND;
    }
    if (ret_uid)
        *ret_uid = entry.pw_uid;
    if (ret_gid)
        *ret_gid = entry.pw_gid;
    return TM_OK;
}

static bool became(uid_t uid, gid_t gid) {
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;
    if (getresuid(&real, &effective, &saved) || real != uid || effective != uid || saved != uid)
        return false;
    if (getresgid(&real_group, &effective_group, &saved_group) || real_group != gid ||
        effective_group != gid || saved_group != gid)
        return false;
    return uid == 0 || setuid(0) != 0;
}

enum tm_err privileges_drop(const char *user) {
    uid_t uid;
    gid_t gid;
    if (geteuid() != 0 || !user || !user[0])
        return TM_OK;
    enum tm_err err = privileges_user(user, &uid, &gid);
    if (err)
        return err;
    if (initgroups(user, gid) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid) ||
        !became(uid, gid)) {
        log_error("cannot become user \"%s\": %s", user, strerror(errno));
        return TM_EDENIED;
    }
    return TM_OK;
}

enum tm_err privileges_seal(void) {
    static const struct rlimit none = {0, 0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) ||
        setrlimit(RLIMIT_CORE, &none) ||
        (!SERVER_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))) {
        log_error("cannot give up privileges: %s", strerror(errno));
        return TM_EDENIED;
    }
    return TM_OK;
}
