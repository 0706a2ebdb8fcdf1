/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linking of identity and proof of possession (RFC 7030, 3.5): the request carries, in base64, the
 * channel binding of the TLS session that carries the request: tls-unique (RFC 5929) or
 * tls-exporter (RFC 9266). In challengePassword, or in estIdentityLinking or
 * otpChallenge of RFC 7894.
 */
#include "ca/csr_check.h"
#include "est/wire/base64.h"

/* Decoded rather than compared as text: clients wrap base64 in different ways. */
static bool is_binding(struct bytes text, struct bytes exporter, struct bytes unique) {
    uint8_t octets[IPC_BINDING_MAX];
    struct buf value = BUF_ON(octets);
    if (est_base64_decode(text, &value) || value.n == 0)
        return false;
    bool is_exporter = bytes_equal_secret(buf_bytes(&value), exporter);
    bool is_unique = bytes_equal_secret(buf_bytes(&value), unique);
    return is_exporter || is_unique;
}

bool ca_check_link(const struct pki_csr *csr, const struct ca_profile *profile,
                   struct bytes exporter, struct bytes unique, bool exempt,
                   struct ca_refusal *ret) {
    const struct {
        const char *name;
        struct bytes text;
    } carried[] = {
        {"challengePassword", csr->challenge_password},
        {"estIdentityLinking", csr->est_identity_linking},
        {"otpChallenge", csr->otp_challenge},
    };
    bool linked = false;
    if (exempt)
        return true;
    for (size_t i = 0; i < sizeof carried / sizeof carried[0]; i++) {
        if (!carried[i].text.n)
            continue;
        if (!exporter.n && !unique.n)
            return ca_refuse(ret, IPC_BAD_LINK,
                             "%s holds a channel binding, but this session has none to compare it "
                             "with; leave it out (RFC 7030, 3.5)",
                             carried[i].name);
        if (!is_binding(carried[i].text, exporter, unique))
            return ca_refuse(ret, IPC_BAD_LINK,
                             "%s is not the channel binding of this TLS session; use its "
                             "tls-exporter or tls-unique value in base64 (RFC 7030, 3.5; RFC 9266)",
                             carried[i].name);
        linked = true;
    }
    if (!linked && profile->link == CA_LINK_REQUIRED)
        return ca_refuse(ret, IPC_NOT_LINKED,
                         "profile %s requires the TLS session's channel binding in "
                         "challengePassword (linking identity and POP, RFC 7030, 3.5)",
                         profile->name);
    return true;
}
