/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of one unit hand to each other; only for steps*.c. */
#ifndef TOUCHMARK_STATION_STEPS_INTERNAL_H
#define TOUCHMARK_STATION_STEPS_INTERNAL_H

#include "client/station/api.h"
#include "client/station/run.h"

#define STEP_SPKI_MAX 1024
#define STEP_CSR_MAX 4096

struct steps {
    struct run *run;
    const char *id;
    const struct history_unit *unit;     /* what is known of it; NULL before the first record */
    size_t index;                        /* of the label that it is about */
    struct journal_record record;        /* what is recorded of the step under way */
    enum journal_step step;              /* which one that is */
    size_t spki_n, csr_n, certificate_n; /* of this label; 0: not known in this run */
    uint8_t spki[STEP_SPKI_MAX], csr[STEP_CSR_MAX], certificate[TM_CHAIN_MAX];
    struct why *why;
};

const struct manifest_label *steps_label(const struct steps *s);
const struct history_slot *steps_slot(const struct steps *s);

/* SHA-256 in hex. False: it could not be made. */
bool steps_hash(struct bytes octets, char ret[JOURNAL_HEX_MAX]);

/* steps_unit.c: over the serial line */
enum outcome step_probe(struct steps *s);
enum outcome step_keygen(struct steps *s);
enum outcome step_csr(struct steps *s);
enum outcome step_install(struct steps *s);
enum outcome step_read(struct steps *s);
enum outcome step_test(struct steps *s);
enum outcome step_lock(struct steps *s);
/* steps_server.c: with the server */
enum outcome step_enroll(struct steps *s);
enum outcome step_verify(struct steps *s);
enum outcome step_report(struct steps *s);

#endif
