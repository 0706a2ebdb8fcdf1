/* SPDX-License-Identifier: Apache-2.0 */
/* What the head of a request is worth: path, label, method, media type. Only for est/service. */
#ifndef TOUCHMARK_EST_SERVICE_JUDGE_H
#define TOUCHMARK_EST_SERVICE_JUDGE_H

#include "est/service/catalog.h"
#include "est/service/service.h"

struct judgement {
    enum ipc_outcome outcome; /* 0 = nothing is wrong */
    const char *text;         /* the sentence for the peer */
    const char *allow;        /* with BAD_METHOD */
    bool record;              /* it is a refusal for the audit */
    enum ipc_operation operation;
    char label[IPC_NAME_MAX + 1];
    const struct catalog_entry *entry; /* when nothing is wrong */
};

/* catalog: a whole one, or NULL while there is none. */
struct judgement judge_head(const struct catalog *catalog, const struct est_request *request);

#endif
