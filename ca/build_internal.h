/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the certificate builder: build.c, build_names.c, build_extensions.c. */
#ifndef TOUCHMARK_CA_BUILD_INTERNAL_H
#define TOUCHMARK_CA_BUILD_INTERNAL_H

#include "ca/build.h"

/* Each puts one element in front of what `w` holds. */
MUST_USE enum tm_err ca_put_subject(struct der_writer *w, const struct ca_profile *profile,
                                    const struct ca_device *device);
/* Whole GeneralNames, or nothing when there are none. */
MUST_USE enum tm_err ca_put_names(struct der_writer *w, const struct ca_build *b);
/* [3] Extensions. */
MUST_USE enum tm_err ca_put_extensions(struct der_writer *w, const struct ca_build *b);

#endif
