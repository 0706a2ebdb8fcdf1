/* SPDX-License-Identifier: Apache-2.0 */
/* What a job's terms hold: see ca/job.h. */
#include "ca/job.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

const char *ca_job_status_name(enum ca_job_status status) {
    switch (status) {
    case CA_JOB_PROPOSED:
        return "proposed";
    case CA_JOB_OPEN:
        return "open";
    case CA_JOB_STOPPED:
        return "stopped";
    case CA_JOB_CLOSING:
        return "closing";
    case CA_JOB_CLOSED:
        return "closed";
    }
    return "unknown";
}

const char *ca_job_rule_name(enum ca_job_rule rule) {
    switch (rule) {
    case CA_RULE_DUPLICATE_ID:
        return "duplicate_ids";
    case CA_RULE_DUPLICATE_KEY:
        return "duplicate_keys";
    case CA_RULE_UNKNOWN_ID:
        return "unknown_ids";
    case CA_RULE_RATE:
        return "rate";
    case CA_RULE_ERRORS:
        return "errors";
    case CA_RULE_COUNT:
        break;
    }
    return "unknown";
}

/* ---- stations and profiles ---- */

bool ca_job_names_station(const struct ca_job *job, const char *station) {
    for (size_t i = 0; i < job->station_count; i++)
        if (strcmp(job->stations[i].text, station) == 0)
            return true;
    return false;
}

const struct ca_job_profile *ca_job_profile(const struct ca_job *job, const char *profile) {
    for (size_t i = 0; i < job->profile_count; i++)
        if (strcmp(job->profiles[i].name, profile) == 0)
            return &job->profiles[i];
    return NULL;
}

/* ---- IDs ---- */

static const char digits[] = "0123456789";

/* Where the two begin to differ. */
static size_t common(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

bool ca_job_range_valid(const char *first, const char *last) {
    size_t n = strlen(first), at = common(first, last);
    return n > 0 && n == strlen(last) && strspn(first + at, digits) == n - at &&
           strspn(last + at, digits) == n - at && strcmp(first, last) <= 0;
}

/* Of equal length and with digits from the first difference on: octets sort as numbers do. */
bool ca_job_in_range(const struct ca_job *job, const char *id) {
    size_t n = strlen(job->first), at = common(job->first, job->last);
    return !job->listed && n > 0 && strlen(id) == n && strncmp(id, job->first, at) == 0 &&
           strspn(id + at, digits) == n - at && strcmp(job->first, id) <= 0 &&
           strcmp(id, job->last) <= 0;
}

/* ---- networks ---- */

struct network {
    int family;
    uint8_t octets[16];
    unsigned bits; /* of the prefix */
};

static unsigned width(const struct network *n) {
    return n->family == AF_INET ? 32 : 128;
}

static bool read_address(const char *text, struct network *ret) {
    ret->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    return inet_pton(ret->family, text, ret->octets) == 1;
}

static bool read_network(const char *text, struct network *ret) {
    char address[IPC_ADDRESS_MAX + 1];
    const char *slash = strchr(text, '/');
    if (!slash || (size_t)(slash - text) >= sizeof address || !slash[1] ||
        strspn(slash + 1, digits) != strlen(slash + 1) || strlen(slash + 1) > 3)
        return false;
    memset(ret, 0, sizeof *ret);
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    ret->bits = (unsigned)strtoul(slash + 1, NULL, 10);
    return read_address(address, ret) && ret->bits <= width(ret);
}

static bool bit(const struct network *n, unsigned at) {
    return n->octets[at / 8] >> (7 - at % 8) & 1;
}

bool ca_job_network_valid(const char *network) {
    struct network n;
    if (!read_network(network, &n))
        return false;
    for (unsigned at = n.bits; at < width(&n); at++)
        if (bit(&n, at))
            return false;
    return true;
}

static bool holds(const struct network *network, const struct network *address) {
    if (network->family != address->family)
        return false;
    for (unsigned at = 0; at < network->bits; at++)
        if (bit(network, at) != bit(address, at))
            return false;
    return true;
}

/* A listener on "::" sees IPv4 as ::ffff:192.0.2.1 (RFC 4291, 2.5.5.2). */
static void unmap(struct network *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (address->family != AF_INET6 || memcmp(address->octets, mapped, sizeof mapped) != 0)
        return;
    address->family = AF_INET;
    memmove(address->octets, address->octets + sizeof mapped, 4);
}

/* Without port and brackets. */
static bool read_remote(const char *remote, struct network *ret) {
    char text[IPC_ADDRESS_MAX + 1];
    memset(ret, 0, sizeof *ret);
    TEXT_SET(text, remote[0] == '[' ? remote + 1 : remote);
    char *end = remote[0] == '[' ? strchr(text, ']') : strrchr(text, ':');
    if (!end)
        return false;
    *end = '\0';
    if (!read_address(text, ret))
        return false;
    unmap(ret);
    return true;
}

bool ca_job_in_network(const struct ca_job *job, const char *remote) {
    struct network address, network;
    if (!job->network_count)
        return true;
    if (!read_remote(remote, &address))
        return false;
    for (size_t i = 0; i < job->network_count; i++)
        if (read_network(job->networks[i].text, &network) && holds(&network, &address))
            return true;
    return false;
}
