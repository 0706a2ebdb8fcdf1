/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The full verification behind ca_store_ops.check: every record hash, and everything that one
 * record says of another. It looks at one committed state and needs no memory that grows with
 * the store, because each certificate names its audit leaf.
 */
#ifndef TOUCHMARK_STORE_CHECK_H
#define TOUCHMARK_STORE_CHECK_H

#include "store/reader.h"

/* On the loop's thread. TM_OK, or TM_ECORRUPT after `report` had a sentence per fault; TM_EIO. */
MUST_USE enum tm_err store_check(struct store_reader *reader,
                                 void (*report)(void *arg, const char *text), void *arg);

#endif
