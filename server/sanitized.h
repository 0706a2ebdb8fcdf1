/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this a sanitizer build? Their runtimes open files below /proc, start helper threads and
 * trace the process at its end: neither a seccomp filter nor a non-dumpable process lets them. So
 * such builds skip both, and only both; tests of them run in plain builds.
 */
#ifndef TOUCHMARK_SERVER_SANITIZED_H
#define TOUCHMARK_SERVER_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SERVER_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SERVER_SANITIZED 1
#endif
#endif
#ifndef SERVER_SANITIZED
#define SERVER_SANITIZED 0
#endif

#endif
