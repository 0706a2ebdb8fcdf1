/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store opens all that it needs at the start: inside the core's seccomp filter, which
 * lets nothing be opened, it commits, reads, grows its map and its file, checks itself and
 * closes.
 */
#include <errno.h>
#include <sys/wait.h>

#include "server/sandbox.h"
#include "server/sanitized.h"
#include "store/env.h"
#include "tests/unit/store_fixture.h"

/* A walk begins within the filter too, and so does all that rows need. */
static void walk_confined(struct fixture *f) {
    struct ca_issuer_row issuer = {.version = 0};
    struct ca_revoked rows[4];
    revoke_one(f, 1);
    assert_int_equal(read_revoked(f, rows, 4), 1);
    assert_int_equal(COMMIT(f, NULL,
                            (struct ca_change){.kind = CA_COUNT_USE,
                                               .u.use = {"factory", CA_USE_CERTIFICATE, 1}}),
                     TM_OK);
    (void)strcpy(issuer.name, "factory");
    assert_int_equal(f->store->ops->row(f->store, CA_TABLE_ISSUER, &issuer, NULL), TM_OK);
    assert_int_equal(issuer.uses[CA_USE_CERTIFICATE], 1);
}

/* In a process of its own: a filter is for good. A failed assertion makes it exit with 1. */
static void work_confined(struct fixture *f) {
    struct store_stats before, after;
    fixture_open(f);
    store_stats(f->store, &before);
    assert_int_equal(sandbox_enter(IPC_ROLE_CORE, false, NULL), TM_OK);
#if !SERVER_SANITIZED
    assert_int_equal(open("/dev/null", O_RDONLY), -1);
    assert_int_equal(errno, EPERM);
#endif
    /* More than the disk was reserved for, and several doublings of the map. */
    for (uint64_t n = 0; n < 30; n++)
        issue_many(f, n * 500, 500);
    walk_confined(f);
    store_stats(f->store, &after);
    assert_true(after.map_size >= 8 * before.map_size);
    assert_true(after.used > before.used + STORE_DISK_AHEAD);
    assert_sound(f);
    store_close(f->store);
    _exit(0);
}

static void nothing_is_opened_after_the_start(void **state) {
    (void)state;
    struct fixture f;
    int status;
    fixture_start(&f);
    store_close(f.store);
    f.store = NULL;
    f.config.map_size = STORE_MAP_LEAST;
    f.config.max_map_size = 1024 * MIB;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        work_confined(&f);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fixture_open(&f);
    struct ca_audit_head head;
    assert_int_equal(f.store->ops->audit_head(f.store, &head), TM_OK);
    assert_int_equal(head.size, 30000);
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_opened_after_the_start)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
