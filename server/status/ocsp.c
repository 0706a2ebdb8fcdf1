/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the core: see ocsp.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/status/ocsp_internal.h"

struct bytes status_ocsp_error(enum status_ocsp_error error) {
    /* SEQUENCE { ENUMERATED } */
    static const uint8_t malformed[] = {0x30, 3, 0x0a, 1, STATUS_OCSP_MALFORMED};
    static const uint8_t try_later[] = {0x30, 3, 0x0a, 1, STATUS_OCSP_TRY_LATER};
    static const uint8_t unauthorized[] = {0x30, 3, 0x0a, 1, STATUS_OCSP_UNAUTHORIZED};
    switch (error) {
    case STATUS_OCSP_MALFORMED:
        return BYTES_OF(malformed);
    case STATUS_OCSP_UNAUTHORIZED:
        return BYTES_OF(unauthorized);
    case STATUS_OCSP_TRY_LATER:
        break;
    }
    return BYTES_OF(try_later);
}

/* ---- questions ---- */

static bool send_question(struct status_ocsp *ocsp, struct status_answer *answer) {
    const struct ipc_ocsp_ask ask = {.id = ocsp->next_id, .cert_id = {answer->key, answer->key_n}};
    enum tm_err err =
        ocsp->link ? ipc_link_send(ocsp->link, &ipc_ocsp_ask_schema, &ask) : TM_ECLOSED;
    if (err && err != TM_ECLOSED)
        front_quiet_log(&ocsp->quiet, LOG_LEVEL_WARN, 0, "cannot ask the core: %s",
                        tm_err_name(err));
    if (err)
        return false;
    answer->id = ocsp->next_id++;
    return true;
}

static bool begin_question(struct status_ocsp *ocsp, struct status_answer *answer) {
    if (answer->id)
        return true;
    if (ocsp->asking >= ocsp->config.asking_max || !send_question(ocsp, answer))
        return false;
    ocsp->asking++;
    front_deadline_start(&ocsp->deadlines, &answer->deadline, answer);
    return true;
}

/* An answer to what was asked before finds nobody. */
static void ask_again(struct status_ocsp *ocsp, struct status_answer *answer) {
    if (!send_question(ocsp, answer))
        answer->id = ocsp->next_id++; /* until its deadline, or the next link */
}

/* All who wait get the item, or else the error. The answer may be gone afterwards. */
static void end_question(struct status_ocsp *ocsp, struct status_answer *answer,
                         struct status_item *item, struct bytes error) {
    struct status_item *held = item ? status_item_ref(item) : NULL;
    struct status_ask *ask;
    answer->id = 0;
    ocsp->asking--;
    front_deadline_stop(&answer->deadline);
    while ((ask = LIST_FIRST(&answer->asks))) {
        status_ocsp_forget(ask);
        ocsp->config.answered(ocsp->config.arg, ask, held, error);
    }
    status_answer_settle(ocsp, answer);
    status_item_unref(held);
}

/* The core gave no answer, or could not: what is kept is still good. */
static void end_without(struct status_ocsp *ocsp, struct status_answer *answer) {
    end_question(ocsp, answer, status_answer_is_valid(answer) ? answer->kept : NULL,
                 status_ocsp_error(STATUS_OCSP_TRY_LATER));
}

static void pass_late(void *arg, void *owner) {
    struct status_ocsp *ocsp = arg;
    front_quiet_log(&ocsp->quiet, LOG_LEVEL_WARN, 0, "the core gave no OCSP answer in time");
    end_without(ocsp, owner);
}

/* ---- */

enum tm_err status_ocsp_new(const struct status_ocsp_config *config,
                            struct status_ocsp **ret_ocsp) {
    struct status_ocsp *ocsp = calloc(1, sizeof *ocsp);
    if (!ocsp)
        return TM_ENOMEM;
    ocsp->config = *config;
    ocsp->next_id = 1;
    TAILQ_INIT(&ocsp->recent);
    if (getrandom(&ocsp->seed, sizeof ocsp->seed, 0) != sizeof ocsp->seed) {
        log_error("cannot get random octets: %s", strerror(errno));
        free(ocsp);
        return TM_EIO;
    }
    if (front_deadline_queue_init(&ocsp->deadlines, config->loop, config->timeout_ms, pass_late,
                                  ocsp)) {
        free(ocsp);
        return TM_ENOMEM;
    }
    *ret_ocsp = ocsp;
    return TM_OK;
}

void status_ocsp_free(struct status_ocsp *ocsp) {
    if (!ocsp)
        return;
    struct front_deadline *deadline;
    while ((deadline = TAILQ_FIRST(&ocsp->deadlines.list)))
        end_without(ocsp, deadline->owner);
    struct status_answer *answer;
    while ((answer = TAILQ_FIRST(&ocsp->recent))) {
        status_answer_let_go(ocsp, answer);
        status_answer_settle(ocsp, answer);
    }
    front_deadline_queue_deinit(&ocsp->deadlines);
    free(ocsp);
}

static void ask_all_again(struct status_ocsp *ocsp) {
    struct front_deadline *deadline;
    TAILQ_FOREACH(deadline, &ocsp->deadlines.list, entry) {
        ask_again(ocsp, deadline->owner);
    }
}

void status_ocsp_link(struct status_ocsp *ocsp, struct ipc_link *link) {
    ocsp->link = link;
    if (!link)
        return;
    ocsp->link_number++;
    ask_all_again(ocsp);
}

enum tm_err status_ocsp_ask(struct status_ocsp *ocsp, const struct pki_ocsp_cert_id *id,
                            struct status_ask *ask, struct status_item **ret_item) {
    struct status_answer *answer = status_answer_find(ocsp, id->whole);
    if (answer && status_answer_is_current(ocsp, answer)) {
        if (status_answer_is_old(answer))
            (void)begin_question(ocsp, answer); /* for those who come later */
        *ret_item = answer->kept;
        return TM_OK;
    }
    if (!answer && (ocsp->asking >= ocsp->config.asking_max || !ocsp->link ||
                    status_answer_new(ocsp, id, &answer)))
        return TM_EFULL;
    if (begin_question(ocsp, answer)) {
        LIST_INSERT_HEAD(&answer->asks, ask, entry);
        ask->answer = answer;
        return TM_EAGAIN;
    }
    if (status_answer_is_valid(answer)) {
        *ret_item = answer->kept;
        return TM_OK;
    }
    status_answer_settle(ocsp, answer);
    return TM_EFULL;
}

void status_ocsp_forget(struct status_ask *ask) {
    if (!ask->answer)
        return;
    LIST_REMOVE(ask, entry);
    ask->answer = NULL;
}

/* ---- what the core says ---- */

static struct status_answer *find_asked(struct status_ocsp *ocsp, uint64_t id) {
    struct front_deadline *deadline;
    TAILQ_FOREACH(deadline, &ocsp->deadlines.list, entry) {
        struct status_answer *answer = deadline->owner;
        if (answer->id == id)
            return answer;
    }
    return NULL;
}

static enum tm_err make_item(const struct ipc_ocsp_answer *message, struct status_item **ret) {
    struct bytes copy = {malloc(message->response.n), message->response.n};
    if (!copy.p)
        return TM_ENOMEM;
    memcpy((void *)(uintptr_t)copy.p, message->response.p, copy.n);
    struct status_item *item = NULL;
    enum tm_err err = status_item_new(copy, false, &item);
    if (err)
        return err;
    item->media_type = "application/ocsp-response";
    item->this_update_ms = message->this_update_ms;
    item->next_update_ms = message->next_update_ms;
    *ret = item;
    return TM_OK;
}

static void take_good(struct status_ocsp *ocsp, struct status_answer *answer,
                      const struct ipc_ocsp_answer *message) {
    struct status_item *item = NULL;
    if (make_item(message, &item)) {
        end_without(ocsp, answer);
        return;
    }
    status_answer_keep(ocsp, answer, item, message->issuer);
    end_question(ocsp, answer, item, (struct bytes){NULL, 0});
}

void status_ocsp_answer(struct status_ocsp *ocsp, const struct ipc_ocsp_answer *message) {
    struct status_answer *answer = find_asked(ocsp, message->id);
    if (!answer)
        return; /* too late, or asked before something changed */
    if (message->response.n == 0 ||
        bytes_equal(message->response, status_ocsp_error(STATUS_OCSP_TRY_LATER))) {
        end_without(ocsp, answer);
    } else if (message->good) {
        take_good(ocsp, answer, message);
    } else {
        status_answer_let_go(ocsp, answer);
        end_question(ocsp, answer, NULL, message->response);
    }
}

static void drop(struct status_ocsp *ocsp, struct status_answer *answer) {
    status_answer_let_go(ocsp, answer);
    if (answer->id)
        ask_again(ocsp, answer);
    else
        status_answer_settle(ocsp, answer);
}

/* Of a question without an answer nobody knows yet whose certificate it is about. */
static void drop_issuer(struct status_ocsp *ocsp, const char *issuer) {
    struct status_answer *answer = TAILQ_FIRST(&ocsp->recent);
    while (answer) {
        struct status_answer *next = TAILQ_NEXT(answer, recent_entry);
        if (strcmp(answer->issuer, issuer) == 0) {
            status_answer_let_go(ocsp, answer);
            status_answer_settle(ocsp, answer);
        }
        answer = next;
    }
    ask_all_again(ocsp);
}

void status_ocsp_drop(struct status_ocsp *ocsp, const struct ipc_ocsp_drop *message) {
    if (message->serial_n == 0)
        drop_issuer(ocsp, message->issuer);
    else
        status_answer_each(ocsp, (struct bytes){message->serial, message->serial_n}, drop);
}
