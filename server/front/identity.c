/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection can say of its peer: address, certificate, channel bindings. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "server/front/conn_internal.h"

static void format_v4(const void *address, in_port_t port, char *ret, size_t cap) {
    char text[INET_ADDRSTRLEN];
    if (inet_ntop(AF_INET, address, text, sizeof text))
        (void)snprintf(ret, cap, "%s:%u", text, (unsigned)ntohs(port));
}

static void format_address(const union front_address *address, char *ret, size_t cap) {
    const struct sockaddr_in6 *v6 = &address->v6;
    char text[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET)
        format_v4(&address->v4.sin_addr, address->v4.sin_port, ret, cap);
    else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        format_v4(&v6->sin6_addr.s6_addr[12], v6->sin6_port, ret, cap);
    else if (inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text))
        (void)snprintf(ret, cap, "[%s]:%u", text, (unsigned)ntohs(v6->sin6_port));
}

/* Once per connection: the certificate and the bindings do not change under it. */
static void identify(struct front_conn *conn) {
    if (conn->identified)
        return;
    conn->identified = true;
    enum tm_err err = front_tls_peer(conn->tls, &conn->peer);
    if (err && err != TM_ENOTFOUND)
        log_error("cannot read the peer's certificate: %s", tm_err_name(err));
    front_tls_bindings(conn->tls, &conn->bindings);
}

void conn_describe(void *peer, bool proofs, struct est_request *request) {
    struct front_conn *conn = peer;
    if (!conn->remote[0])
        format_address(&conn->address, conn->remote, sizeof conn->remote);
    request->remote = conn->remote;
    if (!proofs)
        return;
    identify(conn);
    if (conn->peer.der) {
        request->peer_leaf = (struct bytes){conn->peer.der, conn->peer.leaf_n};
        request->peer_chain =
            (struct bytes){conn->peer.der + conn->peer.leaf_n, conn->peer.chain_n};
    }
    request->tls_exporter = (struct bytes){conn->bindings.exporter, conn->bindings.exporter_n};
    request->tls_unique = (struct bytes){conn->bindings.unique, conn->bindings.unique_n};
}
