/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of the section `status`: see check.h. */
#include "conf/check.h"

#include <string.h>

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
    const struct conf_issuer *issuers = conf->issuers.items;
    for (size_t i = 0; i < conf->issuers.count; i++) {
        const struct conf_upstream *upstream = &issuers[i].upstream;
        if ((upstream->key && conf_lies_in(upstream->key, dir)) ||
            (upstream->password_file && conf_lies_in(upstream->password_file, dir)))
            return CONF_REFUSE(c, "status.dir", "is public, and a secret for %s lies in it",
                               upstream->url ? upstream->url : issuers[i].name);
    }
    return TM_OK;
}

bool conf_shard_clash(const struct conf *conf, struct conf_clash *ret) {
    const struct conf_issuer *issuers = conf->issuers.items;
    for (size_t i = 0; i < conf->issuers.count; i++)
        for (size_t j = 0; j < conf->issuers.count; j++)
            for (uint64_t k = 0; k < issuers[j].crl_shards; k++) {
                (void)snprintf(ret->shard, sizeof ret->shard, "%s-%u", issuers[j].name,
                               (unsigned)k);
                ret->named = i;
                ret->sharded = j;
                if (strcmp(issuers[i].name, ret->shard) == 0)
                    return true;
            }
    return false;
}

static enum tm_err check_shards(const struct conf_check *c) {
    const struct conf_issuer *issuers = c->conf->issuers.items;
    struct conf_clash clash;
    char path[64];
    if (!conf_shard_clash(c->conf, &clash))
        return TM_OK;
    (void)snprintf(path, sizeof path, "issuers[%zu].name", clash.named);
    return CONF_REFUSE(c, path, "\"%s\" is what a shard of \"%s\" is published as", clash.shard,
                       issuers[clash.sharded].name);
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
