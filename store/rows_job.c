/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas of production jobs' records (ca/job_rows.h): see store/records.h. */
#include "store/records.h"
#include "store/schema.h"

static const struct codec_field PROFILE_FIELDS[] = {
    CODEC_STRING(struct ca_job_profile, name),
    CODEC_INT(CODEC_U32, struct ca_job_profile, quota, 0),
    CODEC_INT(CODEC_U32, struct ca_job_profile, spent, 0),
};
static SCHEMA(PROFILE_SCHEMA, "profile of a job", 0, 1, struct ca_job_profile, PROFILE_FIELDS);

static const struct codec_field TEXT_FIELDS[] = {CODEC_STRING(struct ca_job_text, text)};
static SCHEMA(TEXT_SCHEMA, "name in a job", 0, 1, struct ca_job_text, TEXT_FIELDS);

static const struct codec_field JOB_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_job, version, 0),
    CODEC_STRING(struct ca_job, tenant),
    CODEC_STRING(struct ca_job, name),
    CODEC_STRING(struct ca_job, of),
    CODEC_INT(CODEC_U8, struct ca_job, status, CA_JOB_STATUS_LAST),
    CODEC_INT(CODEC_U32, struct ca_job, terms, 0),
    CODEC_STRING(struct ca_job, product),
    CODEC_STRING(struct ca_job, batch),
    CODEC_STRING(struct ca_job, site),
    CODEC_LIST(struct ca_job, profiles, profile_count, PROFILE_SCHEMA),
    CODEC_STRING(struct ca_job, first),
    CODEC_STRING(struct ca_job, last),
    CODEC_INT(CODEC_U32, struct ca_job, listed, 0),
    CODEC_OCTETS(struct ca_job, list),
    CODEC_INT(CODEC_I64, struct ca_job, from_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_job, until_ms, 0),
    CODEC_LIST(struct ca_job, networks, network_count, TEXT_SCHEMA),
    CODEC_LIST(struct ca_job, stations, station_count, TEXT_SCHEMA),
    CODEC_INT(CODEC_U32, struct ca_job, rate, 0),
    CODEC_INT(CODEC_U8, struct ca_job, operator_required, 1),
    CODEC_INT(CODEC_U32, struct ca_job, limits[CA_RULE_DUPLICATE_ID], 0),
    CODEC_INT(CODEC_U32, struct ca_job, limits[CA_RULE_DUPLICATE_KEY], 0),
    CODEC_INT(CODEC_U32, struct ca_job, limits[CA_RULE_UNKNOWN_ID], 0),
    CODEC_INT(CODEC_U32, struct ca_job, limits[CA_RULE_RATE], 0),
    CODEC_INT(CODEC_U32, struct ca_job, limits[CA_RULE_ERRORS], 0),
    CODEC_STRING(struct ca_job, reason),
    CODEC_INT(CODEC_U32, struct ca_job, begun, 0),
    CODEC_INT(CODEC_U32, struct ca_job, passed, 0),
    CODEC_INT(CODEC_U32, struct ca_job, failed, 0),
    CODEC_INT(CODEC_U32, struct ca_job, scrapped, 0),
    CODEC_INT(CODEC_I64, struct ca_job, opened_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_job, changed_ms, 0),
    CODEC_OCTETS(struct ca_job, act),
    CODEC_STRING(struct ca_job, closer),
};
_Static_assert(CA_RULE_COUNT == CA_RULE_ERRORS + 1, "every rule has its field");
SCHEMA(store_job_schema, "job", STORE_TYPE_JOB, 1, struct ca_job, JOB_FIELDS);

static const struct codec_field JOB_IDS_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_job_ids, version, 0),
    CODEC_STRING(struct ca_job_ids, tenant),
    CODEC_OCTETS(struct ca_job_ids, list),
    CODEC_STRING(struct ca_job_ids, last),
    CODEC_BLOB(struct ca_job_ids, ids, CA_JOB_IDS_MAX),
};
SCHEMA(store_job_ids_schema, "list of IDs", STORE_TYPE_JOB_IDS, 1, struct ca_job_ids,
       JOB_IDS_FIELDS);

static const struct codec_field PROOF_FIELDS[] = {CODEC_STRING(struct ca_unit_proof, profile),
                                                  SERIAL(struct ca_unit_proof, serial)};
static SCHEMA(PROOF_SCHEMA, "proof of a unit", 0, 1, struct ca_unit_proof, PROOF_FIELDS);

static const struct codec_field UNIT_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_unit, version, 0),
    CODEC_STRING(struct ca_unit, tenant),
    CODEC_STRING(struct ca_unit, job),
    CODEC_STRING(struct ca_unit, device),
    CODEC_INT(CODEC_U8, struct ca_unit, result, CA_UNIT_SCRAPPED),
    CODEC_INT(CODEC_U8, struct ca_unit, locked, 1),
    CODEC_STRING(struct ca_unit, station),
    CODEC_STRING(struct ca_unit, operator_name),
    CODEC_INT(CODEC_I64, struct ca_unit, begun_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_unit, reported_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_unit, challenge_ms, 0),
    CODEC_LIST(struct ca_unit, proofs, proof_count, PROOF_SCHEMA),
};
SCHEMA(store_unit_schema, "unit", STORE_TYPE_UNIT, 1, struct ca_unit, UNIT_FIELDS);

static const struct codec_field OPERATOR_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_operator, version, 0),
    CODEC_STRING(struct ca_operator, tenant),
    CODEC_STRING(struct ca_operator, name),
    CODEC_INT(CODEC_U8, struct ca_operator, kdf, 0),
    CODEC_OCTETS(struct ca_operator, salt),
    CODEC_OCTETS(struct ca_operator, hash),
    CODEC_INT(CODEC_I64, struct ca_operator, created_ms, 0),
};
SCHEMA(store_operator_schema, "operator", STORE_TYPE_OPERATOR, 1, struct ca_operator,
       OPERATOR_FIELDS);

static const struct codec_field SHIFT_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_shift, version, 0),
    CODEC_STRING(struct ca_shift, tenant),
    CODEC_STRING(struct ca_shift, station),
    CODEC_STRING(struct ca_shift, operator_name),
    CODEC_INT(CODEC_U64, struct ca_shift, operator_version, 0),
    CODEC_INT(CODEC_I64, struct ca_shift, since_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_shift, until_ms, 0),
    CODEC_INT(CODEC_U32, struct ca_shift, failures, 0),
    CODEC_INT(CODEC_I64, struct ca_shift, retry_ms, 0),
};
SCHEMA(store_shift_schema, "shift", STORE_TYPE_SHIFT, 1, struct ca_shift, SHIFT_FIELDS);
