/* SPDX-License-Identifier: Apache-2.0 */
/* The schema of every message, between the processes and of the administration. */
#include "ipc/messages.h"

#include "ipc/admin.h"

#define SCHEMA(struct_name, number, field_table)                                                   \
    {                                                                                              \
        .name = #struct_name, .type = (number), .version = 1, .size = sizeof(struct struct_name),  \
        .fields = (field_table), .field_count = sizeof(field_table) / sizeof((field_table)[0])     \
    }

static const struct codec_field enroll_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_enroll, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_enroll, operation, IPC_OP_LAST),
    CODEC_INT(CODEC_U8, struct ipc_enroll, origin, IPC_ORIGIN_LAST),
    CODEC_STRING(struct ipc_enroll, label),
    CODEC_STRING(struct ipc_enroll, remote),
    CODEC_BLOB(struct ipc_enroll, peer_leaf, IPC_CERT_MAX),
    CODEC_BLOB(struct ipc_enroll, peer_chain, IPC_CHAIN_MAX),
    CODEC_STRING(struct ipc_enroll, user),
    CODEC_BLOB(struct ipc_enroll, secret, IPC_SECRET_MAX),
    CODEC_BLOB(struct ipc_enroll, tls_exporter, IPC_BINDING_MAX),
    CODEC_BLOB(struct ipc_enroll, tls_unique, IPC_BINDING_MAX),
    CODEC_BLOB(struct ipc_enroll, csr, IPC_CSR_MAX),
};

static const struct codec_field reply_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_reply, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_reply, outcome, IPC_OUTCOME_LAST),
    CODEC_INT(CODEC_U32, struct ipc_reply, retry_after_s, 0),
    CODEC_STRING(struct ipc_reply, text),
    CODEC_BLOB(struct ipc_reply, certificate, IPC_CERT_MAX),
    CODEC_BLOB(struct ipc_reply, cmc, IPC_CMC_MAX),
    CODEC_BLOB(struct ipc_reply, key, IPC_PRIVATE_KEY_MAX),
    CODEC_INT(CODEC_U8, struct ipc_reply, key_encrypted, 1),
};

static const struct codec_field birth_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_birth, id, 0),
    CODEC_STRING(struct ipc_birth, label),
    CODEC_STRING(struct ipc_birth, device),
    CODEC_INT(CODEC_U8, struct ipc_birth, wants, 1),
};

static const struct codec_field offer_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_offer, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_offer, kind, IPC_OFFER_KIND_LAST),
    CODEC_BLOB(struct ipc_offer, cmc, IPC_CMC_MAX),
};

static const struct codec_field event_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_event, sequence, 0),
    CODEC_STRING(struct ipc_event, name),
    CODEC_STRING(struct ipc_event, tenant),
    CODEC_STRING(struct ipc_event, device),
    CODEC_BLOB(struct ipc_event, json, IPC_EVENT_MAX),
};

static const struct codec_field event_ack_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_event_ack, sequence, 0),
};

static const struct codec_field refused_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_refused, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_refused, operation, IPC_OP_LAST),
    CODEC_INT(CODEC_U8, struct ipc_refused, origin, IPC_ORIGIN_LAST),
    CODEC_INT(CODEC_U8, struct ipc_refused, outcome, IPC_OUTCOME_LAST),
    CODEC_STRING(struct ipc_refused, label),
    CODEC_STRING(struct ipc_refused, remote),
    CODEC_STRING(struct ipc_refused, user),
    CODEC_BLOB(struct ipc_refused, peer_leaf, IPC_CERT_MAX),
    CODEC_STRING(struct ipc_refused, text),
};

static const struct codec_field catalog_fields[] = {
    CODEC_INT(CODEC_U32, struct ipc_catalog, generation, 0),
    CODEC_INT(CODEC_U16, struct ipc_catalog, index, 0),
    CODEC_INT(CODEC_U16, struct ipc_catalog, count, 0),
    CODEC_STRING(struct ipc_catalog, label),
    CODEC_INT(CODEC_U8, struct ipc_catalog, is_default, 1),
    CODEC_INT(CODEC_U8, struct ipc_catalog, wants_link, 2),
    CODEC_BLOB(struct ipc_catalog, cacerts, IPC_CACERTS_MAX),
    CODEC_BLOB(struct ipc_catalog, csrattrs, IPC_CSRATTRS_MAX),
};

static const struct codec_field ticket_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_ticket, id, 0),   CODEC_STRING(struct ipc_ticket, issuer),
    CODEC_STRING(struct ipc_ticket, profile),         CODEC_OCTETS(struct ipc_ticket, profile_hash),
    CODEC_BLOB(struct ipc_ticket, tbs, IPC_CERT_MAX),
};

static const struct codec_field cmc_ticket_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_cmc_ticket, id, 0),
    CODEC_STRING(struct ipc_cmc_ticket, issuer),
    CODEC_INT(CODEC_I64, struct ipc_cmc_ticket, signing_time_ms, 0),
    CODEC_BLOB(struct ipc_cmc_ticket, content, IPC_CERT_MAX),
};

static const struct codec_field status_ticket_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_status_ticket, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_status_ticket, kind, IPC_STATUS_KIND_LAST),
    CODEC_STRING(struct ipc_status_ticket, issuer),
    CODEC_BLOB(struct ipc_status_ticket, content, IPC_OCSP_MAX),
};

static const struct codec_field keygen_ticket_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_keygen_ticket, id, 0),
    CODEC_STRING(struct ipc_keygen_ticket, issuer),
    CODEC_INT(CODEC_I64, struct ipc_keygen_ticket, signing_time_ms, 0),
    CODEC_BLOB(struct ipc_keygen_ticket, digest, IPC_DIGEST_MAX),
};

static const struct codec_field tls_ticket_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_tls_ticket, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_tls_ticket, kind, IPC_TLS_KIND_LAST),
    CODEC_BLOB(struct ipc_tls_ticket, content, IPC_TLS_MAX),
};

static const struct codec_field checkpoint_ticket_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_checkpoint_ticket, id, 0),
    CODEC_BLOB(struct ipc_checkpoint_ticket, content, IPC_CHECKPOINT_MAX),
};

static const struct codec_field tls_ask_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_tls_ask, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_tls_ask, kind, IPC_TLS_KIND_LAST),
    CODEC_BLOB(struct ipc_tls_ask, content, IPC_TLS_MAX),
};

static const struct codec_field tls_answer_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_tls_answer, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_tls_answer, good, 1),
    CODEC_BLOB(struct ipc_tls_answer, octets, IPC_SIGNATURE_MAX),
};

static const struct codec_field station_ask_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_station_ask, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_station_ask, operation, IPC_STATION_OPERATION_LAST),
    CODEC_STRING(struct ipc_station_ask, remote),
    CODEC_BLOB(struct ipc_station_ask, peer_leaf, IPC_CERT_MAX),
    CODEC_BLOB(struct ipc_station_ask, json, IPC_STATION_JSON_MAX),
};

static const struct codec_field station_answer_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_station_answer, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_station_answer, outcome, IPC_OUTCOME_LAST),
    CODEC_INT(CODEC_U32, struct ipc_station_answer, retry_after_s, 0),
    CODEC_STRING(struct ipc_station_answer, text),
    CODEC_BLOB(struct ipc_station_answer, json, IPC_STATION_JSON_MAX),
};

static const struct codec_field metrics_ask_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_metrics_ask, id, 0),
};

static const struct codec_field sample_fields[] = {
    CODEC_INT(CODEC_U16, struct ipc_sample, metric, 0),
    CODEC_INT(CODEC_U8, struct ipc_sample, part, IPC_SAMPLE_PART_LAST),
    CODEC_STRING(struct ipc_sample, first),
    CODEC_STRING(struct ipc_sample, second),
    CODEC_STRING(struct ipc_sample, third),
    CODEC_INT(CODEC_U64, struct ipc_sample, bits, 0),
};
static const struct codec_schema sample_schema = SCHEMA(ipc_sample, 0, sample_fields);

static const struct codec_field reason_fields[] = {
    CODEC_STRING(struct ipc_reason, text),
};
static const struct codec_schema reason_schema = SCHEMA(ipc_reason, 0, reason_fields);

static const struct codec_field metrics_answer_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_metrics_answer, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_metrics_answer, more, 1),
    CODEC_LIST(struct ipc_metrics_answer, samples, sample_count, sample_schema),
    CODEC_LIST(struct ipc_metrics_answer, reasons, reason_count, reason_schema),
};

static const struct codec_field publish_fields[] = {
    CODEC_INT(CODEC_U8, struct ipc_publish, kind, IPC_PUBLISH_KIND_LAST),
    CODEC_STRING(struct ipc_publish, issuer),
    CODEC_STRING(struct ipc_publish, object),
    CODEC_INT(CODEC_U64, struct ipc_publish, number, 0),
    CODEC_INT(CODEC_U64, struct ipc_publish, size, 0),
    CODEC_OCTETS(struct ipc_publish, sha256),
    CODEC_INT(CODEC_I64, struct ipc_publish, this_update_ms, 0),
    CODEC_INT(CODEC_I64, struct ipc_publish, next_update_ms, 0),
};

static const struct codec_field published_fields[] = {
    CODEC_INT(CODEC_U8, struct ipc_published, good, 1),
    CODEC_STRING(struct ipc_published, issuer),
    CODEC_STRING(struct ipc_published, object),
    CODEC_INT(CODEC_U64, struct ipc_published, number, 0),
    CODEC_STRING(struct ipc_published, text),
};

static const struct codec_field ocsp_ask_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_ocsp_ask, id, 0),
    CODEC_BLOB(struct ipc_ocsp_ask, cert_id, IPC_OCSP_ID_MAX),
};

static const struct codec_field ocsp_answer_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_ocsp_answer, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_ocsp_answer, good, 1),
    CODEC_INT(CODEC_I64, struct ipc_ocsp_answer, this_update_ms, 0),
    CODEC_INT(CODEC_I64, struct ipc_ocsp_answer, next_update_ms, 0),
    CODEC_INT(CODEC_U8, struct ipc_ocsp_answer, serial_n, 20),
    CODEC_OCTETS(struct ipc_ocsp_answer, serial),
    CODEC_STRING(struct ipc_ocsp_answer, issuer),
    CODEC_BLOB(struct ipc_ocsp_answer, response, IPC_OCSP_MAX),
};

static const struct codec_field ocsp_drop_fields[] = {
    CODEC_STRING(struct ipc_ocsp_drop, issuer),
    CODEC_INT(CODEC_U8, struct ipc_ocsp_drop, serial_n, 20),
    CODEC_OCTETS(struct ipc_ocsp_drop, serial),
};

static const struct codec_field signed_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_signed, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_signed, status, IPC_SIGN_STATUS_LAST),
    CODEC_STRING(struct ipc_signed, text),
    CODEC_BLOB(struct ipc_signed, signature, IPC_SIGNATURE_MAX),
};

static const struct codec_field key_fields[] = {
    CODEC_INT(CODEC_U16, struct ipc_key, index, 0), CODEC_INT(CODEC_U16, struct ipc_key, count, 0),
    CODEC_STRING(struct ipc_key, issuer),           CODEC_INT(CODEC_U8, struct ipc_key, ocsp, 1),
    CODEC_INT(CODEC_U8, struct ipc_key, tls, 1),    CODEC_BLOB(struct ipc_key, spki, IPC_SPKI_MAX),
};

static const struct codec_field upstream_ask_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_upstream_ask, id, 0),
    CODEC_STRING(struct ipc_upstream_ask, issuer),
    CODEC_BLOB(struct ipc_upstream_ask, csr, IPC_UPSTREAM_CSR_MAX),
};

static const struct codec_field upstream_answer_fields[] = {
    CODEC_INT(CODEC_U64, struct ipc_upstream_answer, id, 0),
    CODEC_INT(CODEC_U8, struct ipc_upstream_answer, status, IPC_UPSTREAM_STATUS_LAST),
    CODEC_INT(CODEC_U32, struct ipc_upstream_answer, retry_after_s, 0),
    CODEC_STRING(struct ipc_upstream_answer, text),
    CODEC_BLOB(struct ipc_upstream_answer, certificate, IPC_CERT_MAX),
};

static const struct codec_field control_fields[] = {
    CODEC_INT(CODEC_U8, struct ipc_control, verb, IPC_CONTROL_VERB_LAST),
    CODEC_INT(CODEC_U8, struct ipc_control, peer, IPC_ROLE_LAST),
    CODEC_INT(CODEC_U16, struct ipc_control, peer_index, 0),
    CODEC_STRING(struct ipc_control, text),
};

static const struct codec_field admin_request_fields[] = {
    CODEC_INT(CODEC_U8, struct ipc_admin_request, verb, IPC_ADMIN_VERB_LAST),
    CODEC_STRING(struct ipc_admin_request, tenant),
    CODEC_STRING(struct ipc_admin_request, device),
    CODEC_STRING(struct ipc_admin_request, serial),
    CODEC_STRING(struct ipc_admin_request, state),
    CODEC_STRING(struct ipc_admin_request, reason),
    CODEC_STRING(struct ipc_admin_request, sku),
    CODEC_STRING(struct ipc_admin_request, hardware_revision),
    CODEC_STRING(struct ipc_admin_request, batch),
    CODEC_STRING(struct ipc_admin_request, site),
    CODEC_STRING(struct ipc_admin_request, station),
    CODEC_STRING(struct ipc_admin_request, job),
    CODEC_STRING(struct ipc_admin_request, profile),
    CODEC_STRING(struct ipc_admin_request, issuer),
    CODEC_STRING(struct ipc_admin_request, officer),
    CODEC_INT(CODEC_I64, struct ipc_admin_request, from_ms, 0),
    CODEC_INT(CODEC_I64, struct ipc_admin_request, until_ms, 0),
    CODEC_INT(CODEC_U8, struct ipc_admin_request, all, 1),
    CODEC_STRING(struct ipc_admin_request, cursor),
    CODEC_INT(CODEC_U32, struct ipc_admin_request, limit, 0),
    CODEC_INT(CODEC_U32, struct ipc_admin_request, seconds, 0),
    CODEC_BLOB(struct ipc_admin_request, data, IPC_ADMIN_DATA_MAX),
    CODEC_STRING(struct ipc_admin_request, question),
    CODEC_STRING(struct ipc_admin_request, outcome),
};

static const struct codec_field admin_reply_fields[] = {
    CODEC_INT(CODEC_U8, struct ipc_admin_reply, ok, 1),
    CODEC_INT(CODEC_U8, struct ipc_admin_reply, more, 1),
    CODEC_STRING(struct ipc_admin_reply, text),
    CODEC_STRING(struct ipc_admin_reply, cursor),
    CODEC_BLOB(struct ipc_admin_reply, json, IPC_ADMIN_JSON_MAX),
    CODEC_BLOB(struct ipc_admin_reply, secret, IPC_SECRET_MAX),
    CODEC_BLOB(struct ipc_admin_reply, der, IPC_CERT_MAX),
};

static const struct codec_field import_key_fields[] = {
    CODEC_OCTETS(struct ipc_import_key, sha256),
};
static const struct codec_schema import_key_schema = SCHEMA(ipc_import_key, 0, import_key_fields);
static const struct codec_field import_row_fields[] = {
    CODEC_INT(CODEC_U32, struct ipc_import_row, line, 0),
    CODEC_STRING(struct ipc_import_row, device),
    CODEC_STRING(struct ipc_import_row, sku),
    CODEC_STRING(struct ipc_import_row, hardware_revision),
    CODEC_STRING(struct ipc_import_row, batch),
    CODEC_STRING(struct ipc_import_row, site),
    CODEC_STRING(struct ipc_import_row, job),
    CODEC_STRING(struct ipc_import_row, firmware),
    CODEC_INT(CODEC_U32, struct ipc_import_row, provisioning_version, 0),
    CODEC_LIST(struct ipc_import_row, keys, key_count, import_key_schema),
};
static const struct codec_schema import_row_schema = SCHEMA(ipc_import_row, 0, import_row_fields);
static const struct codec_field import_fields[] = {
    CODEC_LIST(struct ipc_import, rows, count, import_row_schema),
};

const struct codec_schema ipc_import_schema = SCHEMA(ipc_import, IPC_TYPE_IMPORT, import_fields);
const struct codec_schema ipc_enroll_schema = SCHEMA(ipc_enroll, IPC_TYPE_ENROLL, enroll_fields);
const struct codec_schema ipc_reply_schema = SCHEMA(ipc_reply, IPC_TYPE_REPLY, reply_fields);
const struct codec_schema ipc_refused_schema =
    SCHEMA(ipc_refused, IPC_TYPE_REFUSED, refused_fields);
const struct codec_schema ipc_catalog_schema =
    SCHEMA(ipc_catalog, IPC_TYPE_CATALOG, catalog_fields);
const struct codec_schema ipc_ticket_schema = SCHEMA(ipc_ticket, IPC_TYPE_TICKET, ticket_fields);
const struct codec_schema ipc_birth_schema = SCHEMA(ipc_birth, IPC_TYPE_BIRTH, birth_fields);
const struct codec_schema ipc_offer_schema = SCHEMA(ipc_offer, IPC_TYPE_OFFER, offer_fields);
const struct codec_schema ipc_event_schema = SCHEMA(ipc_event, IPC_TYPE_EVENT, event_fields);
const struct codec_schema ipc_event_ack_schema =
    SCHEMA(ipc_event_ack, IPC_TYPE_EVENT_ACK, event_ack_fields);
const struct codec_schema ipc_cmc_ticket_schema =
    SCHEMA(ipc_cmc_ticket, IPC_TYPE_CMC_TICKET, cmc_ticket_fields);
const struct codec_schema ipc_status_ticket_schema =
    SCHEMA(ipc_status_ticket, IPC_TYPE_STATUS_TICKET, status_ticket_fields);
const struct codec_schema ipc_keygen_ticket_schema =
    SCHEMA(ipc_keygen_ticket, IPC_TYPE_KEYGEN_TICKET, keygen_ticket_fields);
const struct codec_schema ipc_tls_ticket_schema =
    SCHEMA(ipc_tls_ticket, IPC_TYPE_TLS_TICKET, tls_ticket_fields);
const struct codec_schema ipc_checkpoint_ticket_schema =
    SCHEMA(ipc_checkpoint_ticket, IPC_TYPE_CHECKPOINT_TICKET, checkpoint_ticket_fields);
const struct codec_schema ipc_tls_ask_schema =
    SCHEMA(ipc_tls_ask, IPC_TYPE_TLS_ASK, tls_ask_fields);
const struct codec_schema ipc_tls_answer_schema =
    SCHEMA(ipc_tls_answer, IPC_TYPE_TLS_ANSWER, tls_answer_fields);
const struct codec_schema ipc_station_ask_schema =
    SCHEMA(ipc_station_ask, IPC_TYPE_STATION_ASK, station_ask_fields);
const struct codec_schema ipc_station_answer_schema =
    SCHEMA(ipc_station_answer, IPC_TYPE_STATION_ANSWER, station_answer_fields);
const struct codec_schema ipc_metrics_ask_schema =
    SCHEMA(ipc_metrics_ask, IPC_TYPE_METRICS_ASK, metrics_ask_fields);
const struct codec_schema ipc_metrics_answer_schema =
    SCHEMA(ipc_metrics_answer, IPC_TYPE_METRICS_ANSWER, metrics_answer_fields);
const struct codec_schema ipc_publish_schema =
    SCHEMA(ipc_publish, IPC_TYPE_PUBLISH, publish_fields);
const struct codec_schema ipc_published_schema =
    SCHEMA(ipc_published, IPC_TYPE_PUBLISHED, published_fields);
const struct codec_schema ipc_ocsp_ask_schema =
    SCHEMA(ipc_ocsp_ask, IPC_TYPE_OCSP_ASK, ocsp_ask_fields);
const struct codec_schema ipc_ocsp_answer_schema =
    SCHEMA(ipc_ocsp_answer, IPC_TYPE_OCSP_ANSWER, ocsp_answer_fields);
const struct codec_schema ipc_ocsp_drop_schema =
    SCHEMA(ipc_ocsp_drop, IPC_TYPE_OCSP_DROP, ocsp_drop_fields);
const struct codec_schema ipc_signed_schema = SCHEMA(ipc_signed, IPC_TYPE_SIGNED, signed_fields);
const struct codec_schema ipc_key_schema = SCHEMA(ipc_key, IPC_TYPE_KEY, key_fields);
const struct codec_schema ipc_upstream_ask_schema =
    SCHEMA(ipc_upstream_ask, IPC_TYPE_UPSTREAM_ASK, upstream_ask_fields);
const struct codec_schema ipc_upstream_answer_schema =
    SCHEMA(ipc_upstream_answer, IPC_TYPE_UPSTREAM_ANSWER, upstream_answer_fields);
const struct codec_schema ipc_control_schema =
    SCHEMA(ipc_control, IPC_TYPE_CONTROL, control_fields);
const struct codec_schema ipc_admin_request_schema =
    SCHEMA(ipc_admin_request, IPC_TYPE_ADMIN_REQUEST, admin_request_fields);
const struct codec_schema ipc_admin_reply_schema =
    SCHEMA(ipc_admin_reply, IPC_TYPE_ADMIN_REPLY, admin_reply_fields);
