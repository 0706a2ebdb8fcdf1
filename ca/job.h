/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A production job's terms: what a station may have certificates issued for (requirement D1). How
 * they are read, judged and shown, and what they hold. Pure, thread-safe; the jobs that there are
 * stand in ca/jobs.h.
 *
 *   job.c       what the terms hold
 *   job_file.c  from YAML
 *   job_text.c  as facts for people, as text, and its hash
 *   job_terms.c that text read again
 */
#ifndef TOUCHMARK_CA_JOB_H
#define TOUCHMARK_CA_JOB_H

#include "ca/rows.h"
#include "conf/schema.h"

#define CA_JOB_HASH_TEXT (2 * CA_HASH_SIZE + 1)
#define CA_JOB_LISTED_MAX 100000 /* IDs in a list */

/* The rows of a job's file, for its manual page. */
extern const struct conf_row ca_job_rows[];

/* Terms from YAML: of a job that is not there yet (terms 1, status PROPOSED, no tenant). `name` is
 * the file's, for messages. from: now_ms where the file has none. TM_EPARSE with "file:line:
 * sentence"; TM_ENOMEM, TM_ELIMIT. */
MUST_USE enum tm_err ca_job_read(const char *text, size_t n, const char *name, int64_t now_ms,
                                 struct ca_job *ret, char error[CONF_ERROR_MAX]);

/* One term after the other, in an order that stays, as name and value of at most IPC_TEXT_MAX
 * octets. Names are those that parameters of acts may have (ca/act.h). */
typedef void ca_job_fact_fn(void *arg, const char *name, const char *value);
void ca_job_describe(const struct ca_job *job, ca_job_fact_fn *fact, void *arg);
/* Appends the terms as text: tenant, job and all that ca_job_describe tells, one "name=value" and
 * LF after the other. TM_ELIMIT; CA_TERMS_MAX octets are enough. */
MUST_USE enum tm_err ca_job_terms_put(const struct ca_job *job, struct buf *out);
/* What such a text says: tenant, name and terms of an open job. TM_EPARSE: ca_job_terms_put would
 * not have written it. */
MUST_USE enum tm_err ca_job_terms_read(struct bytes text, struct ca_job *ret);
/* SHA-256 over that text. TM_ECRYPTO, TM_ELIMIT. */
MUST_USE enum tm_err ca_job_hash(const struct ca_job *job, uint8_t ret[CA_HASH_SIZE]);

const char *ca_job_status_name(enum ca_job_status status); /* never NULL */
const char *ca_job_rule_name(enum ca_job_rule rule);       /* "duplicate_ids"; never NULL */

/* ---- what the terms hold ---- */

bool ca_job_names_station(const struct ca_job *job, const char *station);
/* NULL: the job issues none of this profile. */
const struct ca_job_profile *ca_job_profile(const struct ca_job *job, const char *profile);
/* Of a range; false for a list. */
bool ca_job_in_range(const struct ca_job *job, const char *id);
/* remote: an address as faces write it, "192.0.2.1:4711" or "[2001:db8::1]:4711". True where the
 * job names no networks. */
bool ca_job_in_network(const struct ca_job *job, const char *remote);
/* Is it "192.0.2.0/24" or the like, with no bits set behind the prefix? */
bool ca_job_network_valid(const char *network);
/* Do first and last make a range: of one length, with one beginning, followed by digits only? */
bool ca_job_range_valid(const char *first, const char *last);

#endif
