/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touchmark-bench-filter: what a revocation filter weighs and costs. Makes one over serials as the
 * CA gives them out, holds every answer against what went in, and times look-ups.
 */
#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/argument.h"
#include "ca/filter.h"

#define FROM_MS INT64_C(1760000000000)
#define APART_MS 40  /* 25 certificates a second */
#define SAMPLE 65536 /* serials for the look-ups */
#define LOOK_UPS 10000000
#define SIGNATURE_SIZE 72 /* ECDSA on P-256 */
#define LENGTH_SIZE 2     /* of the signature's length */

struct arguments {
    unsigned long issued, revoked;
};

/* Of this process, which has one thread: what else the machine does counts little. */
static double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Walks over the same serials as often as they are needed (SplitMix64). */
struct walk {
    const struct arguments *a;
    unsigned long at, revoked_left;
    uint64_t state;
};

static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static struct walk walk_over(const struct arguments *a) {
    return (struct walk){a, 0, a->revoked, 1};
}

static bool walk_next(struct walk *w, struct ca_serial *ret_serial, bool *ret_revoked) {
    unsigned long left = w->a->issued - w->at;
    if (left == 0)
        return false;
    struct ca_serial serial = {.n = PKI_FILTER_SERIAL_SIZE};
    struct buf out = {serial.octets, serial.n, 0, false};
    buf_put_be(&out, (uint64_t)FROM_MS + w->at++ * APART_MS, 6);
    buf_put_be(&out, next_random(&w->state), 8);
    buf_put_be(&out, next_random(&w->state) >> 48, 2);
    *ret_serial = serial;
    *ret_revoked = next_random(&w->state) % left < w->revoked_left;
    w->revoked_left -= *ret_revoked;
    return true;
}

static enum tm_err fill(const struct arguments *a, struct ca_filter *filter) {
    struct walk w = walk_over(a);
    struct ca_serial serial;
    enum tm_err err = TM_OK;
    for (bool revoked; !err && walk_next(&w, &serial, &revoked);)
        err = ca_filter_add(filter, &serial, revoked ? CA_FILTER_REVOKED : CA_FILTER_GOOD);
    return err;
}

static enum tm_err make(const struct arguments *a, struct ca_filter **ret_filter) {
    static const uint8_t key_id[20] = {1};
    const struct ca_filter_terms terms = {.key_id = BYTES_OF(key_id),
                                          .number = 1,
                                          .made_ms = FROM_MS,
                                          .next_ms = FROM_MS,
                                          .until_ms = (int64_t)PKI_FILTER_TIME_MAX};
    struct ca_filter *filter;
    enum tm_err err = ca_filter_new(&terms, &filter);
    if (err)
        return err;
    err = fill(a, filter);
    double began = cpu_seconds();
    if (!err)
        err = ca_filter_build(filter, NULL);
    if (err) {
        ca_filter_free(filter);
        return err;
    }
    (void)printf("built and tried: %.2f s of CPU\n", cpu_seconds() - began);
    *ret_filter = filter;
    return TM_OK;
}

/* ---- what came of it ---- */

/* The fewest octets that can say which of the issued are revoked: log2 of the number of ways. */
static double entropy(const struct arguments *a) {
    double n = (double)a->issued, r = (double)a->revoked;
    return (lgamma(n + 1) - lgamma(r + 1) - lgamma(n - r + 1)) / log(2) / 8;
}

static void print_size(const struct arguments *a, size_t header_n, size_t body_n) {
    double whole = (double)(header_n + LENGTH_SIZE + SIGNATURE_SIZE + body_n);
    double bound = entropy(a);
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("octets: %.0f (body %zu, header %zu, signature %d)\n", whole, body_n, header_n,
                 SIGNATURE_SIZE);
    if (a->issued > 0)
        (void)printf("per certificate: %.5f octets\n", whole / (double)a->issued);
    if (a->revoked > 0)
        (void)printf("per revoked certificate: %.3f octets\n", whole / (double)a->revoked);
    if (bound > 0)
        (void)printf("entropy bound: %.0f octets; body to bound %.3f, file to bound %.3f\n", bound,
                     (double)body_n / bound, whole / bound);
    (void)printf("largest memory: %ld MB\n", usage.ru_maxrss / 1024);
}

static size_t count_wrong(const struct arguments *a, const struct pki_filter_header *header,
                          struct bytes body) {
    struct walk w = walk_over(a);
    struct ca_serial serial;
    size_t wrong = 0;
    for (bool revoked; walk_next(&w, &serial, &revoked);)
        wrong += pki_filter_revoked(header, body, serial.octets) != revoked;
    return wrong;
}

static void time_look_ups(const struct arguments *a, const struct pki_filter_header *header,
                          struct bytes body) {
    static struct ca_serial sample[SAMPLE];
    struct walk w = walk_over(a);
    size_t n = 0, revoked_n = 0;
    for (bool revoked; n < SAMPLE && walk_next(&w, &sample[n], &revoked);)
        n++;
    if (n == 0)
        return;
    double began = cpu_seconds();
    for (size_t i = 0; i < LOOK_UPS; i++)
        revoked_n += pki_filter_revoked(header, body, sample[i % n].octets);
    double seconds = cpu_seconds() - began;
    (void)printf("look-ups: %.2f million per second of CPU (%.1f %% revoked)\n",
                 LOOK_UPS / seconds / 1e6, 100.0 * (double)revoked_n / LOOK_UPS);
}

static int show(const struct arguments *a, const struct ca_filter *filter) {
    struct bytes octets = ca_filter_header(filter), body = ca_filter_body(filter);
    struct pki_filter_header header;
    if (pki_filter_header_read(octets, &header))
        return 1;
    print_size(a, octets.n, body.n);
    time_look_ups(a, &header, body);
    size_t wrong = count_wrong(a, &header, body);
    (void)printf("wrong answers: %zu of %lu\n", wrong, a->issued);
    return wrong ? 1 : 0;
}

/* ---- arguments ---- */

static const struct argp_option option_rows[] = {
    {"issued", 'n', "N", 0, "Certificates issued (default 1000000)", 0},
    {"revoked", 'r', "N", 0, "Certificates revoked of them (default 1000)", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'n':
        a->issued = argument_number(state, arg, 0, 100000000);
        return 0;
    case 'r':
        a->revoked = argument_number(state, arg, 0, 100000000);
        return 0;
    case ARGP_KEY_END:
        if (a->revoked > a->issued)
            argp_error(state, "more revoked than issued");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv) {
    struct arguments a = {.issued = 1000000, .revoked = 1000};
    const struct argp argp = {option_rows,
                              parse_option,
                              NULL,
                              "The size, time and answers of an exact revocation filter.",
                              0,
                              0,
                              0};
    struct ca_filter *filter;
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    enum tm_err err = make(&a, &filter);
    if (err) {
        (void)fprintf(stderr, "touchmark-bench-filter: %s\n", tm_err_name(err));
        return 1;
    }
    int code = show(&a, filter);
    ca_filter_free(filter);
    return code;
}
