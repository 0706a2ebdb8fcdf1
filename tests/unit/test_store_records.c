/* SPDX-License-Identifier: Apache-2.0 */
/* Records as octets: their hash, their bounds, and that their format stays what it is. */
#include "store/datafile.h"
#include "store/records.h"
#include "tests/unit/store_rows.h"

static int setup(void **state) {
    struct ca_hasher *hasher;
    assert_int_equal(ca_hasher_new(&hasher), TM_OK);
    *state = hasher;
    return 0;
}

static int teardown(void **state) {
    ca_hasher_free(*state);
    return 0;
}

/* One record of each kind with every member set. */
struct samples {
    uint8_t der[16], response[24];
    struct ca_device device;
    struct store_certificate certificate;
    struct ca_intent intent;
    struct store_owner owner;
    struct ca_leaf leaf;
    struct store_format format;
    struct audit_frontier frontier;
    struct ca_transaction transaction;
    struct store_cursor cursor;
    struct ca_revoked revoked;
    struct store_tile tile;
    struct row_memory memory[CA_TABLE_LAST + 1];
    union store_row rows[CA_TABLE_LAST + 1];
};

static void samples_init(struct samples *s) {
    memset(s, 0, sizeof *s);
    for (enum ca_table table = CA_TABLE_PENDING; table <= CA_TABLE_LAST; table = next_table(table))
        s->rows[table] = sample_row(table, 258, &s->memory[table]);
    s->rows[CA_TABLE_ACT].act.text.n = 40;
    s->rows[CA_TABLE_KEYGEN].keygen.sealed.n = 40;
    s->rows[CA_TABLE_ASK].ask.csr.n = 40;
    s->rows[CA_TABLE_AGREED].agreed.value.n = 40;
    s->rows[CA_TABLE_CHECKPOINT].checkpoint.note.n = 40;
    s->rows[CA_TABLE_COSIGNATURE].cosignature.line.n = 40;
    s->tile = (struct store_tile){BYTES_OF(s->der)};
    s->rows[CA_TABLE_JOB_IDS].job_ids.ids.n = 40;
    s->revoked = (struct ca_revoked){.revoked_ms = -1, .not_after_ms = 1800000000000, .reason = 4};
    s->device = sample_owner(258);
    (void)strcpy(s->device.station, "st-9");
    (void)strcpy(s->device.operator_name, "Ada");
    (void)strcpy(s->device.firmware, "1.2.3");
    s->device.rma_count = 2;
    s->device.rework_count = 3;
    s->device.certs_from_ms = 1700000000002;
    s->device.pinned = 1;
    s->device.secret.used = 1;
    s->device.secret.hash[31] = 4;
    s->device.secret.request[0] = 5;
    s->device.secret.has_proof = 1;
    memset(s->device.secret.proof, 6, sizeof s->device.secret.proof);
    s->certificate.certificate = sample_certificate(258, s->der, sizeof s->der);
    s->certificate.certificate.revoked_ms = -1;
    s->certificate.certificate.revoked_reason = 1;
    s->certificate.leaf = 0x0102030405060708;
    s->intent = sample_intent(258);
    (void)strcpy(s->intent.job, "job-1");
    s->owner = (struct store_owner){"acme", "dev-1"};
    s->leaf = sample_leaf(CA_EVENT_ISSUED, &s->certificate.certificate);
    s->leaf.outcome = IPC_BAD_SECRET;
    s->leaf.count = 6;
    (void)strcpy(s->leaf.reason, "because");
    (void)strcpy(s->leaf.station, "jig-7");
    (void)strcpy(s->leaf.job, "gateways-47");
    (void)strcpy(s->leaf.operator_name, "anna");
    (void)strcpy(s->leaf.issuer, "factory");
    (void)strcpy(s->leaf.provider, "hsm-1");
    s->leaf.since_ms = 1700000000001;
    s->leaf.until_ms = 1700000000002;
    s->leaf.terms = BYTES_OF(s->response);
    s->format = (struct store_format){1, "test", 1700000000000};
    s->frontier = (struct audit_frontier){.size = 5, .count = 2, .nodes = {{{1}}, {{2}}}};
    s->transaction = sample_transaction(258, s->response, sizeof s->response);
    s->cursor = (struct store_cursor){0x0102030405060708};
}

struct kind {
    const struct codec_schema *schema;
    size_t offset;
    const char *sha256; /* of the encoded sample: changes only with a new schema version */
};

static const struct kind KINDS[] = {
    {&store_device_schema, offsetof(struct samples, device),
     "df70972e5b15df89cfc1416231355f193f036920902d36195181bcb7171280b3"},
    {&store_certificate_schema, offsetof(struct samples, certificate),
     "d3674809022494ed17c23014f49ef7dd9f0029a2f9cf4f4ecabf379bef206f4a"},
    {&store_intent_schema, offsetof(struct samples, intent),
     "20ac1c030e5be2d4cbf78a91a0632b9e23cc1c312b57a240380fb5a37684f2ed"},
    {&store_owner_schema, offsetof(struct samples, owner),
     "5e8cfa0b548c8c795333d2240ed6a0996942db8770d061f66070b966f09a87e9"},
    {&store_leaf_schema, offsetof(struct samples, leaf),
     "1021e8e0da2190930fa3db71cefadd2da73f94da276be75ed3093abdcd167fe2"},
    {&store_format_schema, offsetof(struct samples, format),
     "0fe65cc6c22b2791b2f7a84cb8065738ddfd73a473160c91d10f14b927a16402"},
    {&store_frontier_schema, offsetof(struct samples, frontier),
     "fe599ec75d182822a41133402a41f906524424d90c58b9940ee328c3d32bde31"},
    {&store_transaction_schema, offsetof(struct samples, transaction),
     "33961fadfa54263e9eb2c0b171e3177c141a61fedb2b7812aa17523dd32c92a4"},
    {&store_cursor_schema, offsetof(struct samples, cursor),
     "34f9ca475a87c6cc496cdaf13a3cda7c3728e32a41af9ab68ffb6c38c85612ea"},
    {&store_revoked_schema, offsetof(struct samples, revoked),
     "28de999f1494b1a37fb82aac01d8c19a8d19f4ba61a85c88633cf4bdfc3e236f"},
    {&store_tile_schema, offsetof(struct samples, tile),
     "07a351a2cb7163d48cbf2e5edd037b4f560e087de0d1fefe317122b0dc288a91"},
};
#define RECORD_COUNT (sizeof KINDS / sizeof KINDS[0])
#define KIND_COUNT (RECORD_COUNT + CA_TABLE_LAST)

static const char *const ROW_HASHES[CA_TABLE_LAST] = {
    "e4cad9455e437ca12db6042481729e40c0841cb32a8c811276bdbc2b5480a96f",
    "4528df171b933327cf579d8a05a8a55f673a66f1b4a6913237ed98559337fcd2",
    "0977dc11fe04c7dd50e3fd04ec7fc301e935d10611a7c948af8fe59df9fe00d7",
    "9a5cbda7aa771f701e90def4878f73e0493f45a3e00cda824942aa407ee43be1",
    "ba63d6e12ffdc44952241b11b0b81398115aa37456af86238827ddcd9f27c23e",
    "5fa0287810b745a81db79243bbb6f58a3924a3aee0993cceaae0419cbec9e68b",
    "d4961bdb1856d86b902daf4e983c71f66db807d8f8e0af90087bc66324fcdc3a",
    "5feb8ede5a29978b1063d8934709a2efdb525b56209bfeecee22e0ce67a83a3d",
    "712ac407e3947cc538d013064d54321f4c13c4a02d7daaab7aaa198d5f788e83",
    "45800da2fc6f1a5bb41eb98efed5c61cdad63cd129194558816a5cad36d262cb",
    "c8f1701a8f3a262926d8fa275107683644edaaf5293d995006beb2481b7b83b3",
    "ff0091aec29cb7a7eddb09f40eb709d7688fd0301b4080c6f62e92ccbf81b61d",
    "8a7a7e1ae6fa6454afd7b68b22891ffa7764c531d1917bb8b733049e2b7038af",
    "1924a32a9914be165828eb27a859cfd7447673768cb8d74625d5f0312bbfbdaf",
    "2839f4d21a80a419e1fafb4407dcc546acc21f7e305cc155a313a42ebe9b3163",
    "0839effa7f7abe791d8381c60d1fe6b801a94f2dfeda46ca9e6fe71eeac9c29c",
    "e7f115ac370823d7a5b44b91d2b346fe436827e50be04736ae997a51e0f64e40",
    "9e2f812c14e9a4caf6735f1ee5a48bbfa00e20c3d23d17b065ee312e5548f696",
};

/* The records above, then the tables' rows. */
static struct kind kind_at(size_t i) {
    if (i < RECORD_COUNT)
        return KINDS[i];
    enum ca_table table = (enum ca_table)(i - RECORD_COUNT + 1);
    size_t offset = offsetof(struct samples, rows) + table * sizeof(union store_row);
    return (struct kind){store_row_schema(table), offset, ROW_HASHES[table - 1]};
}

static void every_record_comes_back_whole(void **state) {
    struct samples samples, decoded;
    samples_init(&samples);
    struct bytes key = bytes_str("some key");
    for (size_t i = 0; i < KIND_COUNT; i++) {
        uint8_t octets[STORE_RECORD_MAX], hash[CA_HASH_SIZE];
        char text[2 * CA_HASH_SIZE + 1];
        struct buf value = BUF_ON(octets);
        const struct kind kind = kind_at(i);
        const struct codec_schema *schema = kind.schema;
        if (!schema) /* a number that no table has */
            continue;
        const uint8_t *record = (const uint8_t *)&samples + kind.offset;
        assert_int_equal(store_seal(*state, key, schema, record, &value), TM_OK);
        assert_int_equal(store_unseal(*state, key, buf_bytes(&value), schema, &decoded), TM_OK);
        assert_same(schema, &decoded, record);
        struct bytes encoded = store_sealed_record(buf_bytes(&value));
        assert_int_equal(ca_hash(*state, &encoded, 1, hash), TM_OK);
        assert_int_equal(hex_encode(BYTES_OF(hash), text, sizeof text), TM_OK);
        assert_string_equal(text, kind.sha256);
        /* The record hash as store/records.h defines it. */
        uint8_t length = (uint8_t)key.n;
        struct bytes parts[] = {{&length, 1}, key, encoded};
        assert_int_equal(ca_hash(*state, parts, 3, hash), TM_OK);
        assert_memory_equal(octets, hash, STORE_RECORD_HASH_SIZE);
    }
}

static void every_flipped_bit_is_noticed(void **state) {
    struct samples samples, decoded;
    samples_init(&samples);
    uint8_t key_octets[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct bytes key = BYTES_OF(key_octets);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        uint8_t octets[STORE_RECORD_MAX];
        struct buf value = BUF_ON(octets);
        const struct kind kind = kind_at(i);
        const struct codec_schema *schema = kind.schema;
        if (!schema) /* a number that no table has */
            continue;
        assert_int_equal(
            store_seal(*state, key, schema, (const uint8_t *)&samples + kind.offset, &value),
            TM_OK);
        for (size_t bit = 0; bit < 8 * value.n; bit++) {
            octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(store_unseal(*state, key, buf_bytes(&value), schema, &decoded),
                             TM_ECORRUPT);
            octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t n = 0; n < value.n; n++)
            assert_int_equal(store_unseal(*state, key, (struct bytes){octets, n}, schema, &decoded),
                             TM_ECORRUPT);
        for (size_t bit = 0; bit < 8 * sizeof key_octets; bit++) {
            key_octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(store_unseal(*state, key, buf_bytes(&value), schema, &decoded),
                             TM_ECORRUPT);
            key_octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

/* A whole, sound record that landed under another's key, or in another table. */
static void a_swapped_record_is_noticed(void **state) {
    struct samples samples, decoded;
    samples_init(&samples);
    uint8_t octets[STORE_RECORD_MAX];
    struct buf value = BUF_ON(octets);
    assert_int_equal(
        store_seal(*state, bytes_str("a"), &store_owner_schema, &samples.owner, &value), TM_OK);
    struct bytes v = buf_bytes(&value);
    assert_int_equal(store_unseal(*state, bytes_str("a"), v, &store_owner_schema, &decoded), TM_OK);
    assert_int_equal(store_unseal(*state, bytes_str("b"), v, &store_owner_schema, &decoded),
                     TM_ECORRUPT);
    assert_int_equal(store_unseal(*state, bytes_str(""), v, &store_owner_schema, &decoded),
                     TM_ECORRUPT);
    assert_int_equal(store_unseal(*state, bytes_str("a"), v, &store_intent_schema, &decoded),
                     TM_ECORRUPT);
}

static void bounds_hold(void **state) {
    static uint8_t octets[STORE_RECORD_MAX], long_key[STORE_KEY_MAX + 1];
    struct samples samples, decoded;
    samples_init(&samples);
    struct bytes key = bytes_str("k");
    struct buf value = {octets, 40, 0, false};
    assert_int_equal(store_seal(*state, key, &store_device_schema, &samples.device, &value),
                     TM_ELIMIT);
    assert_int_equal(value.n, 0);
    value = BUF_ON(octets);
    assert_int_equal(
        store_seal(*state, BYTES_OF(long_key), &store_owner_schema, &samples.owner, &value),
        TM_ELIMIT);
    memset(samples.owner.device, 'x', sizeof samples.owner.device);
    assert_int_equal(store_seal(*state, key, &store_owner_schema, &samples.owner, &value),
                     TM_EINVAL);
    /* LMDB's word on a damaged page: far more octets than a record has. Not one is read. */
    struct bytes absurd = {(const uint8_t *)16, STORE_RECORD_MAX + 1};
    assert_int_equal(store_unseal(*state, key, absurd, &store_owner_schema, &decoded), TM_ECORRUPT);
}

/* The device's schema as it was in that version. */
static struct codec_schema older_device(uint8_t version, struct codec_field fields[32]) {
    struct codec_schema older = store_device_schema;
    assert_true(store_device_schema.field_count <= 32);
    older.version = version;
    older.fields = fields;
    older.field_count = 0;
    for (size_t i = 0; i < store_device_schema.field_count; i++)
        if (store_device_schema.fields[i].since <= version)
            fields[older.field_count++] = store_device_schema.fields[i];
    return older;
}

/* What older programs wrote of a device: the first without a proof, the second without a job,
 * rework and pins. The hashes were taken when each was the newest. */
static void older_device_records_are_still_read(void **state) {
    static const char *const hashes[] = {
        "a506e6f7dee6b3779ff2283453e85f2360f232c51084e44c27473db043227e6d",
        "39dbc791cdfc819cd6f0a48d5abeff5c1f7311adb79f624ea24635891a83d86d"};
    struct samples samples;
    samples_init(&samples);
    for (uint8_t version = 2; version >= 1; version--) { /* what is missing in 2 is in 1 too */
        struct codec_field fields[32];
        struct codec_schema older = older_device(version, fields);
        uint8_t octets[STORE_RECORD_MAX], hash[CA_HASH_SIZE];
        char text[2 * CA_HASH_SIZE + 1];
        struct buf value = BUF_ON(octets);
        struct bytes key = bytes_str("k");
        assert_int_equal(store_seal(*state, key, &older, &samples.device, &value), TM_OK);
        struct bytes encoded = store_sealed_record(buf_bytes(&value));
        assert_int_equal(ca_hash(*state, &encoded, 1, hash), TM_OK);
        assert_int_equal(hex_encode(BYTES_OF(hash), text, sizeof text), TM_OK);
        assert_string_equal(text, hashes[version - 1]);
        struct ca_device read;
        assert_int_equal(store_unseal(*state, key, buf_bytes(&value), &store_device_schema, &read),
                         TM_OK);
        memset(samples.device.job, 0, sizeof samples.device.job);
        samples.device.rework_count = 0;
        samples.device.certs_from_ms = 0;
        samples.device.pinned = 0;
        if (version == 1) {
            samples.device.secret.has_proof = 0;
            memset(samples.device.secret.proof, 0, sizeof samples.device.secret.proof);
        }
        assert_same(&store_device_schema, &read, &samples.device);
    }
}

static void encoded_leaf(void *hasher, const struct ca_leaf *leaf, char ret[2 * CA_HASH_SIZE + 1]) {
    uint8_t octets[STORE_RECORD_MAX], hash[CA_HASH_SIZE];
    struct buf out = BUF_ON(octets);
    assert_int_equal(codec_encode(store_leaf_schema_of(leaf), leaf, &out), TM_OK);
    struct bytes encoded = buf_bytes(&out);
    assert_int_equal(ca_hash(hasher, &encoded, 1, hash), TM_OK);
    assert_int_equal(hex_encode(BYTES_OF(hash), ret, 2 * CA_HASH_SIZE + 1), TM_OK);
}

/* What an older program wrote is read, and comes to the octets that the tree has hashed. */
static void a_leaf_is_written_in_the_oldest_version_that_says_it(void **state) {
    struct samples samples;
    struct ca_leaf read;
    char first[2 * CA_HASH_SIZE + 1], again[2 * CA_HASH_SIZE + 1];
    uint8_t octets[STORE_RECORD_MAX];
    struct buf out = BUF_ON(octets);
    samples_init(&samples);
    struct ca_leaf *leaf = &samples.leaf;
    const struct ca_leaf whole = *leaf;
    leaf->issuer[0] = leaf->provider[0] = '\0';
    leaf->since_ms = leaf->until_ms = 0;
    leaf->terms = (struct bytes){0};
    encoded_leaf(*state, leaf, first); /* as version 2 was when it was the newest */
    assert_string_equal(first, "223b9090df4fdea97ddd49f2ff6b6f86f91723aab7b2e403b4c9f0ca43b37d4a");
    assert_int_equal(codec_encode(store_leaf_schema_of(leaf), leaf, &out), TM_OK);
    assert_int_equal(octets[2], 2);
    assert_int_equal(codec_decode(&store_leaf_schema, buf_bytes(&out), &read), TM_OK);
    encoded_leaf(*state, &read, again);
    assert_string_equal(first, again);
    assert_string_equal(read.operator_name, "anna");
    assert_string_equal(read.issuer, "");
    assert_int_equal(read.terms.n, 0);
    const size_t newer[] = {offsetof(struct ca_leaf, issuer), offsetof(struct ca_leaf, provider),
                            offsetof(struct ca_leaf, since_ms), offsetof(struct ca_leaf, until_ms)};
    for (size_t i = 0; i < sizeof newer / sizeof newer[0]; i++) {
        uint8_t *octet = (uint8_t *)leaf + newer[i];
        *octet = 'x';
        assert_ptr_equal(store_leaf_schema_of(leaf), &store_leaf_schema);
        *octet = 0;
    }
    leaf->terms = whole.terms;
    assert_ptr_equal(store_leaf_schema_of(leaf), &store_leaf_schema);
}

static void the_largest_transaction_fits(void **state) {
    static uint8_t octets[STORE_RECORD_MAX], response[CA_RESPONSE_MAX + 1];
    struct ca_transaction t = sample_transaction(1, response, CA_RESPONSE_MAX), read;
    memset(t.tenant, 't', IPC_NAME_MAX);
    memset(t.device, 'd', IPC_NAME_MAX);
    struct buf value = BUF_ON(octets);
    struct bytes key = bytes_str("k");
    assert_int_equal(store_seal(*state, key, &store_transaction_schema, &t, &value), TM_OK);
    assert_int_equal(store_unseal(*state, key, buf_bytes(&value), &store_transaction_schema, &read),
                     TM_OK);
    assert_true(bytes_equal(read.response, t.response));
    t.response.n++;
    value.n = 0;
    assert_int_equal(store_seal(*state, key, &store_transaction_schema, &t, &value), TM_ELIMIT);
}

static void keys_sort_as_they_should(void **state) {
    (void)state;
    uint8_t a[STORE_KEY_MAX], b[STORE_KEY_MAX];
    struct buf low = BUF_ON(a), high = BUF_ON(b);
    store_put_leaf_key(&low, 255);
    store_put_leaf_key(&high, 256);
    assert_true(memcmp(a, b, 8) < 0);
    low.n = high.n = 0;
    store_put_device_key(&low, "acme", "z"); /* before every device of a longer tenant */
    store_put_device_key(&high, "acme2", "a");
    assert_true(memcmp(a, b, low.n) < 0);
    assert_int_equal(low.n, 6);
}

/* The two meta pages of a file that LMDB made, and what is none. */
static void meta_pages_are_read_as_lmdb_writes_them(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f);
    issue_many(&f, 1, 50);
    struct store_stats stats;
    store_stats(f.store, &stats);
    char name[160];
    uint8_t page[STORE_META_SIZE];
    struct store_meta metas[2], got = {0, 0, 0};
    (void)snprintf(name, sizeof name, "%s/%s", f.path, STORE_DATA_FILE);
    int fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    uint64_t page_size = 0;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pread(fd, page, sizeof page, (off_t)(i * page_size)), sizeof page);
        assert_int_equal(store_meta_parse(BYTES_OF(page), &metas[i]), TM_OK);
        page_size = metas[i].page_size;
    }
    (void)close(fd);
    got = metas[metas[1].txn > metas[0].txn];
    assert_int_equal((got.last_page + 1) * got.page_size, stats.used);
    assert_int_equal(store_meta_parse((struct bytes){page, sizeof page - 1}, &got), TM_EPARSE);
    page[16] ^= 1; /* magic */
    assert_int_equal(store_meta_parse(BYTES_OF(page), &got), TM_EPARSE);
    page[16] ^= 1;
    page[20] ^= 1; /* data version */
    assert_int_equal(store_meta_parse(BYTES_OF(page), &got), TM_EPARSE);
    page[20] ^= 1;
    page[40] ^= 1; /* page size: no power of two */
    assert_int_equal(store_meta_parse(BYTES_OF(page), &got), TM_EPARSE);
    page[40] ^= 1;
    page[143] = 0x7f; /* last page beyond any file */
    assert_int_equal(store_meta_parse(BYTES_OF(page), &got), TM_EPARSE);
    fixture_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_back_whole),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(a_swapped_record_is_noticed),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(older_device_records_are_still_read),
        cmocka_unit_test(a_leaf_is_written_in_the_oldest_version_that_says_it),
        cmocka_unit_test(the_largest_transaction_fits),
        cmocka_unit_test(keys_sort_as_they_should),
        cmocka_unit_test(meta_pages_are_read_as_lmdb_writes_them),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
