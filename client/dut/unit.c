/* SPDX-License-Identifier: Apache-2.0 */
/* See unit.h. Files in the flash: "boot", "locked", and for each slot its name with ".key", ".crt"
 * and ".chain" behind it. */
#include "client/dut/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/dut/keys.h"
#include "pki/cert.h"

/* What a question is answered from. */
struct work {
    struct unit *unit;
    const struct faults *faults;
    const struct wire_question *question;
    struct wire_answer answer;
    struct buf room; /* for what the answer borrows */
};

struct file_name {
    char text[FLASH_NAME_MAX];
};

static enum tm_err refuse(struct work *w, enum wire_error error, const char *text) {
    w->answer.ok = false;
    w->answer.error = error;
    TEXT_SET(w->answer.text, text);
    return TM_OK;
}

static struct file_name file_of(const char *slot, const char *ending) {
    struct file_name name;
    int n = snprintf(name.text, sizeof name.text, "%s%s", slot, ending);
    if (n < 0 || (size_t)n >= sizeof name.text)
        name.text[0] = '\0';
    return name;
}

static bool is_locked(const struct unit *unit) {
    uint8_t octets[16];
    struct buf out = BUF_ON(octets);
    return flash_read(&unit->flash, "locked", &out) == TM_OK;
}

/* ---- keys and certificates in the flash ---- */

static enum tm_err read_file(struct work *w, const char *ending, struct bytes *ret) {
    size_t start = w->room.n;
    struct file_name name = file_of(w->question->slot, ending);
    enum tm_err err = flash_read(&w->unit->flash, name.text, &w->room);
    if (!err)
        *ret = (struct bytes){w->room.p + start, w->room.n - start};
    return err;
}

static enum tm_err write_file(struct work *w, const char *ending, struct bytes data) {
    struct file_name name = file_of(w->question->slot, ending);
    return flash_write(&w->unit->flash, name.text, data);
}

static enum tm_err erase_file(struct work *w, const char *ending) {
    struct file_name name = file_of(w->question->slot, ending);
    return flash_erase(&w->unit->flash, name.text);
}

static enum tm_err public_of(struct work *w, struct bytes key, struct bytes *ret) {
    size_t start = w->room.n;
    enum tm_err err = dut_key_public(key, &w->room);
    if (!err)
        *ret = (struct bytes){w->room.p + start, w->room.n - start};
    return err;
}

/* ---- operations ---- */

static unsigned state_of(const struct unit *unit) {
    size_t keys = 0, certificates = 0;
    if (is_locked(unit))
        return WIRE_LOCKED;
    if (flash_count(&unit->flash, ".key", &keys, NULL) ||
        flash_count(&unit->flash, ".crt", &certificates, NULL) || keys == 0)
        return WIRE_BLANK;
    return certificates == keys ? WIRE_INSTALLED : WIRE_KEYED;
}

static enum tm_err hello(struct work *w) {
    const struct unit_model *model = w->unit->model;
    w->answer.protocol = WIRE_PROTOCOL;
    w->answer.state = state_of(w->unit);
    w->answer.boot = w->unit->boot;
    TEXT_SET(w->answer.device, w->unit->id);
    TEXT_SET(w->answer.product, model->product);
    TEXT_SET(w->answer.hardware, model->hardware);
    TEXT_SET(w->answer.firmware, model->firmware);
    return TM_OK;
}

/* A certificate of another key goes first, so that no cut leaves one without its key. */
static enum tm_err make_key(struct work *w, struct bytes *ret) {
    uint8_t octets[DUT_KEY_MAX];
    struct buf made = BUF_ON(octets);
    enum tm_err err = dut_key_make((enum wire_key)w->question->key, &made);
    if (!err)
        err = erase_file(w, ".crt");
    if (!err)
        err = write_file(w, ".key", buf_bytes(&made));
    bytes_wipe(octets, sizeof octets);
    return err ? err : read_file(w, ".key", ret);
}

static enum tm_err keygen(struct work *w) {
    struct bytes key = {0};
    enum tm_err err = read_file(w, ".key", &key);
    if (err && err != TM_ENOTFOUND)
        return err;
    if (err || !dut_key_fits(key, (enum wire_key)w->question->key)) {
        if (is_locked(w->unit))
            return refuse(w, WIRE_IS_LOCKED, "a unit that is locked makes no key");
        err = make_key(w, &key);
    }
    return err ? err : public_of(w, key, &w->answer.spki);
}

static enum tm_err request(struct work *w) {
    uint8_t other[DUT_KEY_MAX];
    struct buf made = BUF_ON(other);
    struct bytes key;
    enum tm_err err = read_file(w, ".key", &key);
    if (err == TM_ENOTFOUND)
        return refuse(w, WIRE_NO_KEY, "there is no key in this slot");
    if (!err && w->faults->wrong_key) {
        err = dut_key_make(WIRE_P256, &made);
        key = buf_bytes(&made);
    }
    size_t start = w->room.n;
    if (!err)
        err = dut_key_request(key, w->question->subject, &w->room);
    w->answer.csr = (struct bytes){w->room.p + start, w->room.n - start};
    bytes_wipe(other, sizeof other);
    return err;
}

static bool is_for(struct bytes certificate, struct bytes spki) {
    struct pki_cert cert;
    return pki_cert_parse(certificate, &cert) == TM_OK && bytes_equal(cert.spki.whole, spki);
}

static enum tm_err write_chain(struct work *w) {
    uint8_t octets[WIRE_DER_MAX];
    struct buf all = BUF_ON(octets);
    for (size_t i = 0; i < w->question->chain_n; i++)
        buf_put(&all, w->question->chain[i]);
    return write_file(w, ".chain", buf_bytes(&all));
}

static enum tm_err install(struct work *w) {
    struct bytes key, spki = {0};
    if (is_locked(w->unit))
        return refuse(w, WIRE_IS_LOCKED, "a unit that is locked takes no certificate");
    enum tm_err err = read_file(w, ".key", &key);
    if (err == TM_ENOTFOUND)
        return refuse(w, WIRE_NO_KEY, "there is no key in this slot");
    if (!err)
        err = public_of(w, key, &spki);
    if (!err && !is_for(w->question->certificate, spki))
        return refuse(w, WIRE_KEY_MISMATCH, "the certificate is for another key");
    if (!err)
        err = write_chain(w);
    return err ? err : write_file(w, ".crt", w->question->certificate);
}

static enum tm_err read_back(struct work *w) {
    enum tm_err err = read_file(w, ".crt", &w->answer.certificate);
    if (err == TM_ENOTFOUND)
        return refuse(w, WIRE_NO_CERTIFICATE, "there is no certificate in this slot");
    if (!err && w->faults->bad_read)
        w->room.p[w->room.n - 1] ^= 1;
    return err;
}

static enum tm_err sign(struct work *w) {
    struct bytes key;
    enum tm_err err = read_file(w, ".key", &key);
    if (err == TM_ENOTFOUND)
        return refuse(w, WIRE_NO_KEY, "there is no key in this slot");
    size_t start = w->room.n;
    if (!err)
        err = dut_key_sign(key, w->question->data, &w->room);
    w->answer.signature = (struct bytes){w->room.p + start, w->room.n - start};
    return err;
}

static enum tm_err test(struct work *w) {
    w->answer.passed = !w->faults->fails_test;
    w->answer.tests_n = 2;
    w->answer.tests[0] = (struct wire_test){"flash", true};
    w->answer.tests[1] = (struct wire_test){"radio", w->answer.passed};
    return TM_OK;
}

static enum tm_err lock(struct work *w) {
    if (w->faults->refuses_lock)
        return refuse(w, WIRE_FAILED, "the fuse did not burn");
    return is_locked(w->unit) ? TM_OK : flash_write(&w->unit->flash, "locked", bytes_str("1"));
}

static enum tm_err erase_all(struct work *w, const char *ending) {
    char name[FLASH_NAME_MAX];
    size_t n = 0;
    enum tm_err err = flash_count(&w->unit->flash, ending, &n, name);
    while (!err && n > 0) {
        err = flash_erase(&w->unit->flash, name);
        if (!err)
            err = flash_count(&w->unit->flash, ending, &n, name);
    }
    return err;
}

static enum tm_err erase(struct work *w) {
    if (is_locked(w->unit))
        return refuse(w, WIRE_IS_LOCKED, "a unit that is locked keeps what it has");
    enum tm_err err = erase_all(w, ".crt");
    if (!err)
        err = erase_all(w, ".chain");
    return err ? err : erase_all(w, ".key");
}

static enum tm_err (*const operations[WIRE_OP_COUNT])(struct work *) = {
    [WIRE_HELLO] = hello,     [WIRE_KEYGEN] = keygen,  [WIRE_CSR] = request,
    [WIRE_INSTALL] = install, [WIRE_READ] = read_back, [WIRE_SIGN] = sign,
    [WIRE_TEST] = test,       [WIRE_LOCK] = lock,      [WIRE_ERASE] = erase,
};

/* What the question says of the unit's ID; "": nothing. */
static const char *named(const struct wire_question *question) {
    return question->op == WIRE_CSR ? question->subject : question->device;
}

static enum tm_err operate(struct work *w) {
    const char *id = named(w->question);
    if (id[0] && strcmp(id, w->unit->id) != 0)
        return refuse(w, WIRE_OTHER_DEVICE, w->unit->id);
    return operations[w->question->op](w);
}

/* ---- power ---- */

static enum tm_err count_boot(struct flash *flash, uint64_t *ret) {
    uint8_t octets[32] = {0};
    struct buf out = {octets, sizeof octets - 1, 0, false};
    char text[32];
    enum tm_err err = flash_read(flash, "boot", &out);
    if (err && err != TM_ENOTFOUND)
        return err;
    uint64_t boot = strtoull((const char *)octets, NULL, 10) + 1;
    (void)snprintf(text, sizeof text, "%" PRIu64, boot);
    err = flash_write(flash, "boot", bytes_str(text));
    if (!err)
        *ret = boot;
    return err;
}

enum tm_err unit_power_on(const struct unit_model *model, const char *id, struct unit *ret) {
    struct flash flash = {-1, FLASH_UNLIMITED};
    uint64_t boot = 0;
    if (id[0] == '\0' || id[0] == '.' || strchr(id, '/') || strlen(id) > WIRE_NAME_MAX)
        return TM_EINVAL;
    enum tm_err err = flash_open(model->flash, id, &flash);
    if (!err)
        err = count_boot(&flash, &boot);
    if (err) {
        flash_close(&flash);
        return err;
    }
    *ret = (struct unit){.model = model, .flash = flash, .boot = boot};
    TEXT_SET(ret->id, id);
    return TM_OK;
}

void unit_power_off(struct unit *unit) {
    flash_close(&unit->flash);
    memset(unit, 0, sizeof *unit);
    unit->flash.folder = -1;
}

/* ---- lines ---- */

static enum tm_err answer_question(struct unit *unit, const struct faults *faults,
                                   const struct wire_question *question, struct buf *out) {
    uint8_t octets[2 * WIRE_DER_MAX];
    struct work w = {.unit = unit,
                     .faults = faults,
                     .question = question,
                     .answer = {.id = question->id, .ok = true},
                     .room = BUF_ON(octets)};
    enum tm_err err = operate(&w);
    if (err && err != TM_ECLOSED)
        err = refuse(&w, WIRE_FAILED, tm_err_name(err));
    if (!err)
        err = wire_answer_write(&w.answer, (enum wire_op)question->op, out);
    bytes_wipe(octets, sizeof octets);
    return err;
}

static enum tm_err answer_fault(const struct wire_fault *fault, struct buf *out) {
    struct wire_answer answer = {.id = fault->id, .error = fault->error};
    if (!fault->has_id)
        return TM_OK;
    TEXT_SET(answer.text, fault->text);
    return wire_answer_write(&answer, WIRE_HELLO, out);
}

static bool is_repeated(const struct unit *unit, struct bytes line) {
    return unit->answer_n > 0 &&
           bytes_equal(line, (struct bytes){unit->question, unit->question_n});
}

static void remember(struct unit *unit, struct bytes line, struct bytes answer) {
    memcpy(unit->question, line.p, line.n);
    unit->question_n = line.n;
    memcpy(unit->answer, answer.p, answer.n);
    unit->answer_n = answer.n;
}

enum tm_err unit_answer(struct unit *unit, const struct faults *faults, struct bytes line,
                        struct buf *out) {
    uint8_t der[WIRE_DER_MAX], text[WIRE_LINE_MAX];
    struct buf room = BUF_ON(der), answer = BUF_ON(text);
    struct wire_question question;
    struct wire_fault fault;
    if (line.n > 0 && is_repeated(unit, line)) {
        buf_put(out, (struct bytes){unit->answer, unit->answer_n});
        return TM_OK;
    }
    enum tm_err err = wire_question_read(line, &room, &question, &fault);
    err = err ? answer_fault(&fault, &answer) : answer_question(unit, faults, &question, &answer);
    if (!err && answer.n > 0) {
        remember(unit, line, buf_bytes(&answer));
        buf_put(out, buf_bytes(&answer));
    }
    return err;
}
