/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one cleanup idiom: AUTO(type) frees a pointer at the end of its scope with
 * the destructor that AUTO_DEFINE named for the type; TAKE(p) hands the pointer
 * on (p becomes NULL). Destructors are NULL-safe.
 *
 *     AUTO_DEFINE(BIO, BIO_free_all)         at file level, once per type
 *     AUTO(BIO) bio = BIO_new(...);          in a function
 *     *ret_bio = TAKE(bio);                  when it is to outlive the function
 */
#ifndef TOUCHMARK_BASE_AUTO_H
#define TOUCHMARK_BASE_AUTO_H

#include <stdlib.h>
#include <unistd.h>

#define AUTO_DEFINE(type, destructor)                                                              \
    __attribute__((unused)) static inline void auto_free_##type(type **p) {                        \
        if (*p)                                                                                    \
            destructor(*p);                                                                        \
    }
#define AUTO(type) __attribute__((cleanup(auto_free_##type))) type *

#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })

/* For file descriptors: AUTO_FD int fd = open(...); TAKE_FD(fd) hands it on. */
__attribute__((unused)) static inline void auto_close_fd(const int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
}
#define AUTO_FD __attribute__((cleanup(auto_close_fd)))
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int take_ = (fd);                                                                          \
        (fd) = -1;                                                                                 \
        take_;                                                                                     \
    })

/* For plain malloc'ed memory: AUTO_MEM char *p = strdup(...). */
__attribute__((unused)) static inline void auto_free_mem(void *p) {
    free(*(void **)p);
}
#define AUTO_MEM __attribute__((cleanup(auto_free_mem)))

#endif
