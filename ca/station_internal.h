/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of ca/station.h share. */
#ifndef TOUCHMARK_CA_STATION_INTERNAL_H
#define TOUCHMARK_CA_STATION_INTERNAL_H

#include "ca/challenge.h"
#include "ca/csr_check.h"
#include "ca/station.h"

struct ca_stations {
    struct ca_stations_config config;
    struct ca_hasher *hasher;
    struct ca_checker *checker;
    struct ca_challenger *challenger; /* not the one of enrollment: other keys, other challenges */
};

#endif
