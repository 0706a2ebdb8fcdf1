/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's own TLS certificate: touchmarkd asks itself, and may name itself only as the
 * configuration does (tls.names): dNSName and iPAddress, nothing else.
 */
#include <arpa/inet.h>
#include <string.h>

#include "ca/request.h"

#define GENERAL_NAME_DNS DER_CONTEXT(2)
#define GENERAL_NAME_IP DER_CONTEXT(7)

static bool names_equal(const struct der *name, const char *configured) {
    uint8_t address[16];
    if (name->tag == GENERAL_NAME_DNS)
        return bytes_equal(name->value, bytes_str(configured));
    if (name->tag != GENERAL_NAME_IP)
        return false;
    if (name->value.n == 4 && inet_pton(AF_INET, configured, address) == 1)
        return memcmp(address, name->value.p, 4) == 0;
    if (name->value.n == 16 && inet_pton(AF_INET6, configured, address) == 1)
        return memcmp(address, name->value.p, 16) == 0;
    return false;
}

static bool is_configured(const struct conf_strings *names, const struct der *name) {
    for (size_t i = 0; i < names->count; i++)
        if (names_equal(name, names->items[i]))
            return true;
    return false;
}

bool ca_server_names_fit(struct ca_request *r, struct ca_refusal *ret) {
    const struct pki_extension *san = pki_csr_extension(&r->csr, PKI_OID_SUBJECT_ALT_NAME);
    struct bytes in = san ? san->value : (struct bytes){0};
    struct der names;
    if (der_expect(&in, DER_SEQUENCE, &names) || in.n || !names.value.n) {
        return ca_refuse(ret, IPC_BAD_SAN, "the server's certificate needs a subjectAltName");
    }
    for (struct bytes rest = names.value; rest.n;) {
        struct der name;
        if (der_next(&rest, &name) || !is_configured(&r->service->config->server_names, &name)) {
            return ca_refuse(ret, IPC_BAD_SAN, "a name of the server is not among tls.names");
        }
    }
    r->requested_san = san->value;
    return true;
}
