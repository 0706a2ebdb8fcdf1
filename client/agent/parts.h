/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device library stands on, as the configuration wants it: storage, key store and
 * transport. One thread.
 */
#ifndef TOUCHMARK_AGENT_PARTS_H
#define TOUCHMARK_AGENT_PARTS_H

#include "client/agent/options.h"
#include "client/transport.h"

struct agent_parts {
    const struct agent_conf *conf;
    const struct tm_storage *storage;
    const struct tm_keys *keys;
    struct tm_files *files;
    struct tm_key_files *key_files; /* the one of these three that keys.store names */
    struct tm_pkcs11 *token;
    struct tm_tpm *tpm;
    struct tm_curl *curl; /* the one of these two that transport names */
    bool without_time;    /* what it was opened for */
    struct tm_mqtt *mqtt;
    enum tm_result result; /* of the last exchange */
    void (*before)(void);  /* called before each exchange */
};

/* Storage and key store; failures are logged. *conf must outlive *ret. TM_EINVAL: the
 * configuration names what cannot be; TM_EDENIED: the PIN, or rights to a file or folder; whatever
 * else the ports return may pass. */
MUST_USE enum tm_err agent_parts_open(const struct agent_conf *conf, struct agent_parts *ret);
void agent_parts_close(struct agent_parts *parts);

/* The transport for a machine whose clock is (not) known; the one of before is kept when it is for
 * that. */
MUST_USE enum tm_err agent_parts_connect(struct agent_parts *parts, bool without_time);
/* Waits with the transport: until the time, or until wake_fd can be read. True: the server is there
 * again, what failed may be tried now. */
bool agent_parts_wait(struct agent_parts *parts, int64_t until_mono_ms, int wake_fd);
/* Its table; valid as long as *parts. */
struct tm_transport agent_parts_transport(struct agent_parts *parts);

/* Where the key of a bank is: the path of a file (of a TPM: with the wrapped key), or a token's URI
 * (RFC 7512). TM_ENOTFOUND, TM_ETOKEN, TM_ELIMIT. */
#define AGENT_KEY_PLACE_MAX 4096
MUST_USE enum tm_err agent_parts_key(const struct agent_parts *parts, unsigned bank,
                                     char ret[AGENT_KEY_PLACE_MAX]);

#endif
