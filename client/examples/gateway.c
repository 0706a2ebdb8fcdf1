/* SPDX-License-Identifier: Apache-2.0 */
/* Is a device's certificate revoked? Asks an issuer's revocation filter, without a network:
 *     gateway FILTER ISSUER.der CERTIFICATE.der
 * Exit status: 0 good, 1 revoked, 2 unknown, 3 the filter cannot be used. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "client/filter.h"
#include "client/port/openssl.h"
#include "client/port/run.h"

/* An hour without a newer filter is no reason to turn devices away. */
#define TOLERANCE_MS 3600000

/* A file, for as long as the program runs. */
static struct bytes map(const char *path) {
    struct stat facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) || facts.st_size <= 0)
        return (struct bytes){NULL, 0};
    void *p = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    return p == MAP_FAILED ? (struct bytes){NULL, 0} : (struct bytes){p, (size_t)facts.st_size};
}

int main(int argc, char **argv) {
    static const char *const words[] = {"unknown", "good", "revoked"};
    static const int codes[] = {2, 0, 1};
    const struct tm_crypto *crypto = tm_openssl_crypto();
    struct tm_filter filter;
    const char *why;
    if (argc != 4)
        return 3;
    enum tm_err err = tm_filter_open(&filter, crypto, map(argv[1]), map(argv[2]));
    if (err) {
        fprintf(stderr, "%s: %s\n", argv[1], tm_err_name(err));
        return 3;
    }
    enum tm_filter_answer answer =
        tm_filter_ask(&filter, crypto, tm_clock_now().wall_ms, TOLERANCE_MS, map(argv[3]), &why);
    printf("%s: %s (filter %llu)\n", words[answer], why, (unsigned long long)filter.number);
    return codes[answer];
}
