/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of the section `status`: see check.h. */
#include "conf/check.h"

#include <string.h>

#define SHARD_NAME_MAX 96 /* an issuer's name, "-" and a number */

static enum tm_err check_url(const struct conf_check *c) {
    const struct conf_status *status = &c->conf->status;
    struct conf_status_url url;
    if (conf_status_url_parse(status->url, &url) ||
        (!conf_is_address(url.host) && !conf_is_dns_name(url.host)))
        return CONF_REFUSE(
            c, "status.url",
            "\"%.100s\" is not allowed; must be http://HOST[:PORT][/PATH], without a "
            "slash at its end",
            status->url);
    if (!conf_is_address(status->address))
        return CONF_REFUSE(c, "status.address", "\"%s\" is not an IPv4 or IPv6 address",
                           status->address);
    return TM_OK;
}

/* A CRL that names a revocation in time is not older than the next regular one, and one that was
 * delayed is still valid. */
static enum tm_err check_times(const struct conf_check *c) {
    const struct conf_status *status = &c->conf->status;
    if (status->crl_lifetime <= status->crl_refresh)
        return CONF_REFUSE(c, "status.crl_lifetime", "must be longer than status.crl_refresh");
    if (status->crl_refresh <= status->crl_delay)
        return CONF_REFUSE(c, "status.crl_refresh", "must be longer than status.crl_delay");
    return TM_OK;
}

/* Everybody may read what lies in the folder. */
static enum tm_err check_folder(const struct conf_check *c) {
    const struct conf *conf = c->conf;
    const char *dir = conf->status.dir;
    if (conf_lies_in(dir, conf->core.store))
        return CONF_REFUSE(c, "status.dir", "lies in core.store");
    for (size_t i = 0; i < conf_token_count(conf); i++)
        if (conf_lies_in(conf_token(conf, i)->pin_file, dir))
            return CONF_REFUSE(c, "status.dir",
                               "is public, and the pin_file of token %s lies in it",
                               conf_token(conf, i)->name);
    const struct {
        const char *name, *path;
    } own[] = {{"core.store", conf->core.store},
               {"core.wrap_key", conf->core.wrap_key},
               {"tls.key", conf->tls.key},
               {"mqtt.key", conf->mqtt.key},
               {"mqtt.password_file", conf->mqtt.password_file}};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i].path && conf_lies_in(own[i].path, dir))
            return CONF_REFUSE(c, "status.dir", "is public, and %s lies in it", own[i].name);
    return TM_OK;
}

/* ISSUER-7.crl is the issuer's shard 7, and would be the whole CRL of an issuer of that name. */
static enum tm_err check_shards(const struct conf_check *c) {
    const struct conf_issuer *issuers = c->conf->issuers.items;
    char shard[SHARD_NAME_MAX], path[SHARD_NAME_MAX];
    for (size_t i = 0; i < c->conf->issuers.count; i++)
        for (size_t j = 0; j < c->conf->issuers.count; j++)
            for (uint64_t k = 0; k < issuers[j].crl_shards; k++) {
                (void)snprintf(shard, sizeof shard, "%s-%u", issuers[j].name, (unsigned)k);
                if (strcmp(issuers[i].name, shard) != 0)
                    continue;
                (void)snprintf(path, sizeof path, "issuers[%zu].name", i);
                return CONF_REFUSE(c, path, "\"%s\" is what a shard of \"%s\" is published as",
                                   shard, issuers[j].name);
            }
    return TM_OK;
}

enum tm_err conf_check_status(const struct conf_check *c) {
    if (!c->conf->status.url)
        return TM_OK;
    enum tm_err err = check_url(c);
    if (!err)
        err = check_times(c);
    if (!err)
        err = check_folder(c);
    return err ? err : check_shards(c);
}
