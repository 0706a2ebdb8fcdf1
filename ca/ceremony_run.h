/* SPDX-License-Identifier: Apache-2.0 */
/* A ceremony under way, shared by its phases: ceremony.c makes, ceremony_check.c looks
 * before anything is made, ceremony_sign.c certifies. Internal to ca/ceremony*.c. */
#ifndef TOUCHMARK_CA_CEREMONY_RUN_H
#define TOUCHMARK_CA_CEREMONY_RUN_H

#include "ca/ceremony.h"
#include "ca/ceremony_transcript.h"
#include "ca/types.h"
#include "pki/cert.h"

#define CA_SPKI_MAX 1024

/* What is known of one CA of the plan. */
struct ca_held {
    const struct ca_ceremony_ca *ca;
    uint8_t spki_memory[CA_SPKI_MAX];
    struct pki_spki spki; /* of spki_memory or der */
    uint8_t der_memory[IPC_CERT_MAX];
    struct bytes der;
    struct pki_cert view; /* of der */
};

struct ca_run {
    const struct ca_ceremony *plan;
    struct ca_keystore *keystore;
    const struct ca_ceremony_host *host;
    struct ca_transcript *transcript;
    int64_t now_ms;
    size_t count;         /* CAs */
    struct ca_held *held; /* the root first */
    char *error;          /* CONF_ERROR_MAX octets */
};

/* Writes the sentence and returns err. */
enum tm_err ca_run_fail(const struct ca_run *run, enum tm_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* OUT/NAME.pem, OUT/NAME-chain.pem. TM_ELIMIT. */
#define CA_RUN_PATH_MAX 1024
MUST_USE enum tm_err ca_run_path(const struct ca_run *run, const struct ca_ceremony_ca *ca,
                                 const char *suffix, char ret[CA_RUN_PATH_MAX]);

/* Reads one certificate from a PEM file into held->der and ->view. */
MUST_USE enum tm_err ca_run_load(const struct ca_run *run, struct ca_held *held, const char *path);

/* SHA-256 in hex. TM_ECRYPTO. */
MUST_USE enum tm_err ca_run_sha256(struct bytes data, char ret[65]);

/* The same for one CA: "CA NAME: text". */
enum tm_err ca_run_fault(const struct ca_run *run, const struct ca_ceremony_ca *ca, enum tm_err err,
                         const char *text);

/* To the transcript, then to whoever is told the steps. */
MUST_USE enum tm_err ca_run_record(const struct ca_run *run,
                                   const struct ca_transcript_entry *entry);

/* Looks at everything that the plan will touch. Changes nothing. */
MUST_USE enum tm_err ca_run_check(struct ca_run *run);

/* Makes all certificates that are not there yet; all keys are known and the root's token is open.
 */
MUST_USE enum tm_err ca_run_certificates(const struct ca_run *run);

#endif
