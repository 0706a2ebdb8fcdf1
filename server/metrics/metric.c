/* SPDX-License-Identifier: Apache-2.0 */
/* See metric.h. */
#include "server/metrics/metric.h"

#define CORE .role = IPC_ROLE_CORE
#define FRONT .role = IPC_ROLE_FRONT, .per_process = true
#define EACH .role = IPC_ROLE_SUPERVISOR, .per_process = true
#define FACE .role = IPC_ROLE_METRICS

static const struct metric_row rows[] = {
    {METRIC_UP, "touchmark_up", METRIC_GAUGE, FACE,
     .help = "Whether the core has answered this scrape."},
    {METRIC_READY, "touchmark_ready", METRIC_GAUGE, FACE,
     .help = "Whether certificates can be issued now, as /readyz says."},
    {METRIC_BUILD, "touchmark_build_info", METRIC_GAUGE, FACE, .labels = {"version", "environment"},
     .help = "Always 1; the labels say what runs."},
    {METRIC_PROCESS_START, "touchmark_process_start_time_seconds", METRIC_GAUGE, EACH,
     .help = "When the process was started, in Unix time."},
    {METRIC_PROCESS_CPU, "touchmark_process_cpu_seconds_total", METRIC_COUNTER, EACH,
     .help = "CPU time of the process."},
    {METRIC_PROCESS_RESIDENT, "touchmark_process_resident_memory_bytes", METRIC_GAUGE, EACH,
     .help = "Memory of the process that is resident."},
    {METRIC_ENROLLMENTS, "touchmark_enrollments_total", METRIC_COUNTER, CORE,
     .labels = {"operation", "profile", "outcome"},
     .help = "Requests that were answered, by what was asked, the profile and what came of it; "
             "without a profile: of no label, or touchmarkd's own."},
    {METRIC_RENEWALS, "touchmark_renewals_total", METRIC_COUNTER, CORE,
     .help = "Certificates that were issued to who showed the one before."},
    {METRIC_BURNED, "touchmark_burned_serials_total", METRIC_COUNTER, CORE,
     .help = "Serial numbers that never became a certificate."},
    {METRIC_REQUESTS, "touchmark_requests_under_way", METRIC_GAUGE, CORE,
     .help = "Requests that the core works on."},
    {METRIC_REQUESTS_LIMIT, "touchmark_requests_limit", METRIC_GAUGE, CORE,
     .help = "Requests under way beyond which others are told to come again (core.queue)."},
    {METRIC_ISSUANCE, "touchmark_issuance_seconds", METRIC_HISTOGRAM, CORE, .labels = {"le"},
     .help = "Time in the core from a request to its certificate, durably recorded."},
    {METRIC_TOKEN_READY, "touchmark_token_ready", METRIC_GAUGE, CORE, .labels = {"token"},
     .help = "Whether the token's signer is there and has shown its keys."},
    {METRIC_TOKEN_IN_USE, "touchmark_token_in_use", METRIC_GAUGE, CORE, .labels = {"token"},
     .help = "Whether the token is asked for signatures."},
    {METRIC_TOKEN_BREAKER, "touchmark_token_breaker", METRIC_GAUGE, CORE,
     .labels = {"token", "state"},
     .help = "1 for the state that the token's circuit breaker is in, 0 for the others."},
    {METRIC_TOKEN_WAITING, "touchmark_token_waiting", METRIC_GAUGE, CORE, .labels = {"token"},
     .help = "Signatures that are asked for and not there yet."},
    {METRIC_TOKEN_FAILURES, "touchmark_token_failures_total", METRIC_COUNTER, CORE,
     .labels = {"token"}, .help = "Failures that were counted against the token."},
    {METRIC_TOKEN_SIGNATURE, "touchmark_token_signature_seconds", METRIC_SUMMARY, CORE,
     .labels = {"token"}, .help = "Time from asking the token's signer to its signature."},
    {METRIC_UPSTREAM_ANSWERS, "touchmark_upstream_answers", METRIC_GAUGE, CORE,
     .labels = {"issuer"}, .help = "Whether the issuer's CA answers, as far as is known."},
    {METRIC_STORE_USED, "touchmark_store_used_bytes", METRIC_GAUGE, CORE,
     .help = "Of the store's file, what is in use."},
    {METRIC_STORE_MAP, "touchmark_store_map_bytes", METRIC_GAUGE, CORE,
     .help = "Size of the store's map now; it grows by itself."},
    {METRIC_STORE_LIMIT, "touchmark_store_limit_bytes", METRIC_GAUGE, CORE,
     .help = "Size up to which it grows (core.max_map_size)."},
    {METRIC_STORE_FREE, "touchmark_store_free_bytes", METRIC_GAUGE, CORE,
     .help = "What is left up to that limit."},
    {METRIC_STORE_FULL, "touchmark_store_full", METRIC_GAUGE, CORE,
     .help = "Whether something was refused within the last half minute for want of room."},
    {METRIC_STORE_COMMITS, "touchmark_store_commits_total", METRIC_COUNTER, CORE,
     .help = "Transactions of the store; each makes a group of batches durable."},
    {METRIC_STORE_BATCHES, "touchmark_store_batches_total", METRIC_COUNTER, CORE,
     .help = "Batches that are durable; divided by the commits, the size of a group."},
    {METRIC_STORE_CONFLICTS, "touchmark_store_conflicts_total", METRIC_COUNTER, CORE,
     .help = "Batches that met a record which had changed meanwhile."},
    {METRIC_AUDIT_LEAVES, "touchmark_audit_leaves", METRIC_GAUGE, CORE,
     .help = "Leaves of the audit log."},
    {METRIC_CONSUMER_LAG, "touchmark_consumer_lag_leaves", METRIC_GAUGE, CORE,
     .labels = {"consumer"},
     .help = "Leaves of the audit log that the consumer has not got yet: \"events\" is the bridge, "
             "\"events:NAME\" who asks for them under that name."},
    {METRIC_CHECKPOINT_TIME, "touchmark_checkpoint_timestamp_seconds", METRIC_GAUGE, CORE,
     .help = "When the newest checkpoint of the audit log was signed, in Unix time; 0: there is "
             "none."},
    {METRIC_CHECKPOINT_LEAVES, "touchmark_checkpoint_leaves", METRIC_GAUGE, CORE,
     .help = "Leaves of its tree."},
    {METRIC_COSIGNED_TIME, "touchmark_cosigned_timestamp_seconds", METRIC_GAUGE, CORE,
     .labels = {"witness"},
     .help = "When the witness cosigned last, in Unix time by its clock; 0: it has not."},
    {METRIC_COSIGNED_LEAVES, "touchmark_cosigned_leaves", METRIC_GAUGE, CORE, .labels = {"witness"},
     .help = "Leaves of the tree that it cosigned."},
    {METRIC_INDEX_READY, "touchmark_index_ready", METRIC_GAUGE, CORE,
     .help = "Whether the index of devices is built; until then it answers no question."},
    {METRIC_INDEX_LAG, "touchmark_index_lag_leaves", METRIC_GAUGE, CORE,
     .help = "Leaves of the audit log that the index of devices does not know yet."},
    {METRIC_INDEX_DEVICES, "touchmark_index_devices", METRIC_GAUGE, CORE,
     .help = "Devices that the index knows."},
    {METRIC_IMPORTED, "touchmark_imported_devices_total", METRIC_COUNTER, CORE,
     .help = "Devices that were added to the registry by the file; it rises while an import runs."},
    {METRIC_JOBS, "touchmark_jobs", METRIC_GAUGE, CORE, .labels = {"status"},
     .help = "Production jobs that are not closed."},
    {METRIC_QUARANTINED, "touchmark_quarantined_units", METRIC_GAUGE, CORE,
     .help = "Units that were begun in those jobs: they are in quarantine until their job is "
             "closed."},
    {METRIC_PUBLISHED, "touchmark_published_timestamp_seconds", METRIC_GAUGE, CORE,
     .labels = {"issuer", "object"},
     .help = "thisUpdate of the newest CRL or filter, in Unix time; 0: there is none. Shards are "
             "left out."},
    {METRIC_PUBLISHED_NEXT, "touchmark_published_next_update_timestamp_seconds", METRIC_GAUGE, CORE,
     .labels = {"issuer", "object"}, .help = "Its nextUpdate."},
    {METRIC_PUBLISHED_LATE, "touchmark_published_late", METRIC_GAUGE, CORE,
     .help = "CRLs, shards and filters that should have been served by now."},
    {METRIC_ISSUER_EXPIRY, "touchmark_issuer_expiry_timestamp_seconds", METRIC_GAUGE, CORE,
     .labels = {"issuer"}, .help = "notAfter of the issuing CA's certificate, in Unix time."},
    {METRIC_TLS_EXPIRY, "touchmark_tls_expiry_timestamp_seconds", METRIC_GAUGE, FRONT,
     .help = "notAfter of the server's TLS certificate, in Unix time."},
    {METRIC_FACES, "touchmark_faces_linked", METRIC_GAUGE, CORE, .labels = {"role"},
     .help = "Processes of this role that are linked to the core."},
    {METRIC_FRONT_CONNECTIONS, "touchmark_front_connections", METRIC_GAUGE, FRONT,
     .help = "Connections that are open."},
    {METRIC_FRONT_ACCEPTED, "touchmark_front_connections_total", METRIC_COUNTER, FRONT,
     .help = "Connections that were accepted."},
    {METRIC_FRONT_HANDSHAKE_FAILURES, "touchmark_front_handshake_failures_total", METRIC_COUNTER,
     FRONT, .help = "TLS handshakes that failed, or were not over in time."},
    {METRIC_DROPPED, "touchmark_samples_dropped", METRIC_GAUGE, EACH,
     .help = "Numbers of the process that did not fit into its answer."},
};

const struct metric_row *metric_row(unsigned metric) {
    return metric >= 1 && metric <= sizeof rows / sizeof rows[0] ? &rows[metric - 1] : NULL;
}

const char *metric_type_name(enum metric_type type) {
    static const char *const names[] = {"gauge", "counter", "histogram", "summary"};
    return names[type];
}
