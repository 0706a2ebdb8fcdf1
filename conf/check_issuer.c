/* SPDX-License-Identifier: Apache-2.0 */
/* What an issuer needs by its kind, and what has no meaning for it: see check.h. */
#include "conf/check.h"

static const char *fault(const char **ret_key, const char *key, const char *text) {
    *ret_key = key;
    return text;
}

static const char *token_fault(const struct conf_issuer *issuer, const char **ret_key) {
    if (!issuer->key_label)
        return fault(ret_key, "key_label", "is missing; must be the CKA_LABEL of its key");
    if (!issuer->chain)
        return fault(ret_key, "chain", "is missing; must be a path");
    if (issuer->upstream.url)
        return fault(ret_key, "upstream.url", "is for the kind est");
    return NULL;
}

static const char *url_fault(const char *text) {
    struct conf_est_url url;
    if (!text)
        return "is missing; the kind est needs it";
    if (conf_est_url_parse(text, &url) ||
        (!conf_is_address(url.host) && !conf_is_dns_name(url.host)))
        return "is not allowed; must be https://HOST[:PORT]/.well-known/est[/LABEL]";
    return NULL;
}

static const char *upstream_fault(const struct conf_upstream *upstream, const char **ret_key) {
    const char *text = url_fault(upstream->url);
    if (text)
        return fault(ret_key, "upstream.url", text);
    if (!upstream->anchors)
        return fault(ret_key, "upstream.anchors", "is missing; the kind est needs it");
    if (!upstream->certificate != !upstream->key)
        return fault(ret_key, upstream->key ? "upstream.key" : "upstream.certificate",
                     "certificate and key go together");
    if (!upstream->user != !upstream->password_file)
        return fault(ret_key, upstream->user ? "upstream.user" : "upstream.password_file",
                     "user and password_file go together");
    if (!upstream->certificate && !upstream->user)
        return fault(ret_key, "upstream.certificate",
                     "is missing, and so is user: nobody can enroll devices without a credential");
    return NULL;
}

/* Whoever has no key signs no status either: that is the other CA's to publish. */
static const char *est_fault(const struct conf_issuer *issuer, const char **ret_key) {
    if (issuer->token)
        return fault(ret_key, "token", "is for the kind token; this key is elsewhere");
    if (issuer->key_label)
        return fault(ret_key, "key_label", "is for the kind token; this key is elsewhere");
    if (issuer->ocsp_key_label)
        return fault(ret_key, "ocsp_key_label", "is for the kind token; its CA answers elsewhere");
    if (issuer->crl_shards)
        return fault(ret_key, "crl_shards", "is for the kind token; its CA publishes elsewhere");
    return upstream_fault(&issuer->upstream, ret_key);
}

const char *conf_issuer_fault(const struct conf_issuer *issuer, const char **ret_key) {
    return issuer->kind == CONF_ISSUER_EST ? est_fault(issuer, ret_key)
                                           : token_fault(issuer, ret_key);
}
