/* SPDX-License-Identifier: Apache-2.0 */
/* A transcript for people, held against the files that it names. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "admin/ceremony_internal.h"
#include "admin/command.h"
#include "base/auto.h"
#include "ca/ceremony_transcript.h"
#include "ca/pem.h"
#include "conf/schema.h"
#include "pki/cert.h"

#define PATH_SIZE 4608

struct show {
    const char *transcript;
    const struct ca_transcript_entry *entries;
    size_t count;
    size_t differ; /* files that are not what was recorded */
};

static const char *or_none(const char *text) {
    return text && text[0] ? text : "-";
}

/* Where a recorded file is: where it was written, or else beside the transcript or in the folder
 * there that it was in. False: nowhere. */
static bool locate(const struct show *show, const char *recorded, char ret[PATH_SIZE]) {
    const char *slash = strrchr(show->transcript, '/');
    int folder_n = slash ? (int)(slash - show->transcript) : 1;
    const char *folder = slash ? show->transcript : ".";
    const char *name = recorded + strlen(recorded);
    (void)snprintf(ret, PATH_SIZE, "%s", recorded);
    for (unsigned parts = 0; access(ret, R_OK) != 0; parts++) {
        while (name > recorded && *--name != '/')
            ;
        if (parts == 2 || (name == recorded && parts > 0))
            return false;
        (void)snprintf(ret, PATH_SIZE, "%.*s/%s", folder_n, folder, name + (*name == '/'));
    }
    return true;
}

static bool hash_is(struct bytes data, const char *wanted) {
    uint8_t hash[32];
    char text[65] = "";
    return wanted && EVP_Digest(data.p, data.n, hash, NULL, EVP_sha256(), NULL) == 1 &&
           hex_encode(BYTES_OF(hash), text, sizeof text) == TM_OK && strcmp(text, wanted) == 0;
}

static void say(struct show *show, const char *path, bool good) {
    printf("    %s: %s\n", path, good ? "as recorded" : "NOT WHAT WAS RECORDED");
    show->differ += !good;
}

/* ---- entries ---- */

static void show_begin(struct show *show, const struct ca_transcript_entry *e) {
    char path[PATH_SIZE], error[CONF_ERROR_MAX];
    AUTO_MEM char *text = NULL;
    size_t n;
    bool resumed = e->step == CA_STEP_RESUMED;
    printf("%s  ceremony %s on %s by %s, %s\n", or_none(e->time), resumed ? "resumed" : "began",
           or_none(e->host), or_none(e->user), or_none(e->program));
    if (resumed)
        return;
    printf("    environment %s%s%s\n    input %s, SHA-256 %s\n", or_none(e->environment),
           e->note ? "; " : "", e->note ? e->note : "", or_none(e->input),
           or_none(e->input_sha256));
    if (e->input && locate(show, e->input, path) && !conf_read_file(path, &text, &n, error))
        say(show, path, hash_is((struct bytes){(const uint8_t *)text, n}, e->input_sha256));
}

static void show_token(const struct ca_transcript_entry *e) {
    printf("%s  token %s: labelled \"%s\", %s\n", or_none(e->time), or_none(e->token),
           or_none(e->token_label), e->step == CA_STEP_TOKEN_READY ? "made here" : "opened");
    if (e->step == CA_STEP_TOKEN_OPEN)
        printf("    %s %s, serial %s, by %s\n", or_none(e->manufacturer), or_none(e->model),
               or_none(e->serial), or_none(e->library));
}

static void show_key(const struct ca_transcript_entry *e) {
    printf(
        "%s  key \"%s\" of CA %s%s%s on token %s: %s\n    %s\n    SHA-256 of the public key %s\n",
        or_none(e->time), or_none(e->key_label), or_none(e->ca), e->purpose ? " for " : "",
        e->purpose ? e->purpose : "", or_none(e->token), or_none(e->key_type),
        or_none(e->attributes), or_none(e->spki_sha256));
}

/* Is the key that the certificate names one that the transcript says was made for this CA? */
static bool key_is_recorded(const struct show *show, const struct ca_transcript_entry *e) {
    bool any = false, same = false;
    for (size_t i = 0; i < show->count; i++) {
        const struct ca_transcript_entry *key = &show->entries[i];
        if (key->step != CA_STEP_KEY || key->purpose || !key->ca || !e->ca ||
            strcmp(key->ca, e->ca) != 0)
            continue;
        any = true;
        same = same || (key->spki_sha256 && e->spki_sha256 &&
                        strcmp(key->spki_sha256, e->spki_sha256) == 0);
    }
    return same || !any;
}

static void check_certificate(struct show *show, const struct ca_transcript_entry *e) {
    char path[PATH_SIZE], text[IPC_TEXT_MAX + 1];
    struct bytes der;
    struct pki_cert view;
    if (!e->file || !locate(show, e->file, path)) {
        printf("    %s: not here\n", or_none(e->file));
        return;
    }
    if (ca_pem_load(path, &der, text)) {
        say(show, path, false);
        return;
    }
    say(show, path,
        hash_is(der, e->sha256) && !pki_cert_parse(der, &view) &&
            hash_is(view.spki.whole, e->spki_sha256));
    free((void *)(uintptr_t)der.p);
}

static void show_certificate(struct show *show, const struct ca_transcript_entry *e) {
    printf("%s  certificate %s%s%s\n    subject %s\n    issuer %s\n    serial %s, valid from %s to "
           "%s\n    SHA-256 %s\n",
           or_none(e->time), or_none(e->ca), e->scope ? ": " : "", e->scope ? e->scope : "",
           or_none(e->subject), or_none(e->issuer), or_none(e->serial_number),
           or_none(e->not_before), or_none(e->not_after), or_none(e->sha256));
    check_certificate(show, e);
    if (!key_is_recorded(show, e)) {
        printf("    its key is NOT THE ONE that was recorded as made\n");
        show->differ++;
    }
}

static void show_entry(struct show *show, const struct ca_transcript_entry *e) {
    switch ((enum ca_step)e->step) {
    case CA_STEP_BEGAN:
    case CA_STEP_RESUMED:
        show_begin(show, e);
        break;
    case CA_STEP_TOKEN_READY:
    case CA_STEP_TOKEN_OPEN:
        show_token(e);
        break;
    case CA_STEP_KEY:
        show_key(e);
        break;
    case CA_STEP_CERTIFICATE:
        show_certificate(show, e);
        break;
    case CA_STEP_KEY_REMOVING:
        printf("%s  unfinished key \"%s\" of CA %s removed: %s\n", or_none(e->time),
               or_none(e->key_label), or_none(e->ca), or_none(e->note));
        break;
    case CA_STEP_FINISHED:
        printf("%s  ceremony finished\n", or_none(e->time));
        break;
    case CA_STEP_TOKEN_INIT: /* announced; what came of it follows */
    case CA_STEP_KEY_MAKING:
    case CA_STEP_SIGNING:
        break;
    }
}

/* A token is opened again at each resumption; only the first time is news. */
static bool is_news(const struct show *show, size_t i) {
    const struct ca_transcript_entry *e = &show->entries[i];
    for (size_t j = 0; e->step == CA_STEP_TOKEN_OPEN && j < i; j++)
        if (show->entries[j].step == CA_STEP_TOKEN_OPEN && e->token && show->entries[j].token &&
            strcmp(e->token, show->entries[j].token) == 0)
            return false;
    return true;
}

int ceremony_show(const char *transcript) {
    struct conf_list entries = {0};
    char error[CONF_ERROR_MAX];
    if (ca_transcript_read(transcript, &entries, error)) {
        fprintf(stderr, "touchmark ceremony: %s\n", error);
        return ADMIN_EXIT_REFUSED;
    }
    struct show show = {.transcript = transcript, .entries = entries.items, .count = entries.count};
    bool finished = false;
    for (size_t i = 0; i < show.count; i++) {
        finished = finished || show.entries[i].step == CA_STEP_FINISHED;
        if (is_news(&show, i))
            show_entry(&show, &show.entries[i]);
    }
    ca_transcript_free_entries(&entries);
    if (!finished)
        printf("the ceremony is NOT FINISHED\n");
    if (show.differ)
        printf("%zu NOT WHAT WAS RECORDED\n", show.differ);
    return finished && !show.differ ? EX_OK : ADMIN_EXIT_REFUSED;
}
