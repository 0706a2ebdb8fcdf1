/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one closed set of results that functions of Touchmark return.
 *
 * TM_OK is 0. Everything else says why nothing was done: a function that fails
 * leaves its outputs (`ret_x`) untouched. These are causes inside the program;
 * what a peer is told is an `enum ipc_outcome` (ipc/outcome.h).
 */
#ifndef TOUCHMARK_BASE_ERR_H
#define TOUCHMARK_BASE_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

#define MUST_USE __attribute__((warn_unused_result))

enum tm_err {
    TM_OK = 0,
    TM_ENOMEM,    /* no memory */
    TM_EINVAL,    /* the caller broke this function's contract */
    TM_EPARSE,    /* bytes are not what their format demands */
    TM_ELIMIT,    /* a stated bound would be exceeded */
    TM_ENOTFOUND, /* no such thing */
    TM_EEXISTS,   /* there is one already */
    TM_ECONFLICT, /* a precondition of a transaction does not hold any more */
    TM_EDENIED,   /* policy or permission says no */
    TM_EIO,       /* the operating system refused; errno was logged where it happened */
    TM_EFULL,     /* a queue, map or disk has no room now */
    TM_EAGAIN,    /* not now; nothing happened */
    TM_ECLOSED,   /* the other end is gone */
    TM_ETIMEOUT,  /* the deadline passed */
    TM_ECRYPTO,   /* a cryptographic operation failed */
    TM_ETOKEN,    /* the PKCS#11 token failed or answered wrongly */
    TM_ECORRUPT,  /* stored data fails its own check */
};

/* A short constant name for logs, e.g. "conflict". Never NULL. Thread-safe. */
const char *tm_err_name(enum tm_err err);

#ifdef __cplusplus
}
#endif
#endif
